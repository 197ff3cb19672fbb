#pragma once
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "shim_tls.h"
