#pragma once
// The message-digest half of libcrypto: everything Digests uses.
#include <openssl/evp.h>
