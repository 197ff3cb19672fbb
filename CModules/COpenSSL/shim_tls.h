#pragma once
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>

// What OpenSSL offers as macros, one function for each setting.

// SSL_CTX_set_min_proto_version, SSL_CTX_set_options and SSL_CTX_set_mode: TLS 1.2 and 1.3, no
// renegotiation, no compression, our order of ciphers, the kernel's records if asked for; partial
// writes from buffers that may move, and no buffers while idle.
static inline int spate_tls_configure(SSL_CTX *context, int wants_kernel) {
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                   SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                                   (wants_kernel ? SSL_OP_ENABLE_KTLS : 0));
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS);
  // One read of the socket takes what is there, not a record's header and then its body.
  SSL_CTX_set_read_ahead(context, 1);
  return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
}

// EVP_EC_gen, and the kind of a name's text.
static inline EVP_PKEY *spate_tls_make_key(void) { return EVP_EC_gen("P-256"); }
static const int spate_tls_ascii = MBSTRING_ASC;
static const int spate_tls_digest_max = EVP_MAX_MD_SIZE;

// SSL_CTX_set_session_cache_mode: tickets only, nothing is remembered here.
static inline void spate_tls_no_session_cache(SSL_CTX *context) {
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
}

// RFC 7301: the one protocol we speak, in the form of the wire.
static const unsigned char spate_alpn[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};

static inline int spate_select_alpn(SSL *session, const unsigned char **chosen,
                                    unsigned char *length, const unsigned char *offered,
                                    unsigned int offered_length, void *argument) {
  (void)session;
  (void)argument;
  return SSL_select_next_proto((unsigned char **)chosen, length, spate_alpn, sizeof spate_alpn,
                               offered, offered_length) == OPENSSL_NPN_NEGOTIATED
             ? SSL_TLSEXT_ERR_OK
             : SSL_TLSEXT_ERR_ALERT_FATAL;
}
static inline void spate_tls_accept_alpn(SSL_CTX *context) {
  SSL_CTX_set_alpn_select_cb(context, spate_select_alpn, 0);
}
static inline int spate_tls_offer_alpn(SSL_CTX *context) {
  return SSL_CTX_set_alpn_protos(context, spate_alpn, sizeof spate_alpn);
}

// SSL_CTX_set_tlsext_servername_callback.
static inline void spate_tls_on_server_name(SSL_CTX *context, int (*choose)(SSL *)) {
  SSL_CTX_callback_ctrl(context, SSL_CTRL_SET_TLSEXT_SERVERNAME_CB, (void (*)(void))choose);
}

// SSL_set_tlsext_host_name.
static inline int spate_tls_set_server_name(SSL *session, const char *name) {
  return (int)SSL_set_tlsext_host_name(session, name);
}

// TLSEXT_NAMETYPE_host_name is a macro.
static inline const char *spate_tls_server_name(SSL *session) {
  return SSL_get_servername(session, TLSEXT_NAMETYPE_host_name);
}

// BIO_get_ktls_send: the kernel makes this connection's records.
static inline int spate_tls_kernel_sends(SSL *session) {
  return BIO_get_ktls_send(SSL_get_wbio(session)) != 0;
}

// BIO_CTRL_FLUSH, the only thing a sink must answer, and the kind of a sink of ours.
static const int spate_bio_flush = BIO_CTRL_FLUSH;
static const int spate_bio_sink = BIO_TYPE_SOURCE_SINK | 127;

// ERR_GET_REASON of a connection that ended without saying so.
static inline int spate_tls_is_unexpected_end(unsigned long code) {
  return ERR_GET_LIB(code) == ERR_LIB_SSL &&
         ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
}

static const int spate_tls_verify_peer = SSL_VERIFY_PEER;
static const int spate_tls_verify_none = SSL_VERIFY_NONE;
static const int spate_tls_pem = SSL_FILETYPE_PEM;

// Readies the cipher and the code of a ticket (RFC 5077 section 4): AES-256-CBC and
// HMAC-SHA-256; the parameters of the latter are built with macros. 1 when all went well.
static inline int spate_ticket_prepare(EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *code,
                                       const unsigned char *cipher_key,
                                       const unsigned char *code_key, unsigned char *iv,
                                       int encrypts) {
  OSSL_PARAM parameters[3];
  parameters[0] =
      OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)code_key, 32);
  parameters[1] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0);
  parameters[2] = OSSL_PARAM_construct_end();
  if (encrypts && RAND_bytes(iv, 16) != 1) return 0;
  return EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), 0, cipher_key, iv, encrypts) == 1 &&
         EVP_MAC_CTX_set_params(code, parameters) == 1;
}
