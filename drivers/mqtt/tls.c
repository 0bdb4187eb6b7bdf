/*
 * tls: see tls.h.
 *
 * Why not the library's: it reads its bytes from OpenSSL, so nobody could look
 * at them first.  What is asked for is what it asked: TLS 1.2 or later, a
 * certificate that the authority has signed, and that is for the host of the
 * url - as a name or an address, in the subject when there is nothing else.
 *
 * Renegotiation (TLS 1.2) is refused: it wants to read in order to write, and
 * what is written waits here for the disk.
 *
 * How it fails: with OpenSSL's own reason, which names certificates; the link
 * is lost then.
 */
#include "drivers/mqtt/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MODES = SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS };

struct mqtt_tls {
        SSL_CTX *ctx;
        SSL *ssl;
        char fault[200];
};

/* What OpenSSL says last; its queue is empty then. */
static void say(const struct mqtt_tls *t, char *out, size_t size)
{
        long verdict = t->ssl ? SSL_get_verify_result(t->ssl) : X509_V_OK;
        unsigned long code, last = 0;

        while ((code = ERR_get_error()))
                last = last ? last : code;
        if (verdict != X509_V_OK)
                snprintf(out, size, "the broker's certificate: %s", X509_verify_cert_error_string(verdict));
        else if (last && ERR_reason_error_string(last))
                snprintf(out, size, "%s", ERR_reason_error_string(last));
        else
                snprintf(out, size, "it ends the handshake");
}

/* An encrypted key would make OpenSSL ask on the terminal. */
static int on_key_password(char *buf, int size, int rw, void *ctx)
{
        return 0;
}

static int fault_of(const struct mqtt_tls *t, const char *file, struct err *why)
{
        char text[200];

        say(t, text, sizeof(text));
        return err_set(why, "TLS: %s: %s", file, text);
}

static int set_up(struct mqtt_tls *t, const struct mqtt_tls_conf *conf, struct err *why)
{
        const char *folder = conf->ca_file ? NULL : "/etc/ssl/certs";

        t->ctx = SSL_CTX_new(TLS_client_method());
        if (!t->ctx)
                return fault_of(t, "OpenSSL", why);
        SSL_CTX_set_min_proto_version(t->ctx, TLS1_2_VERSION);
        SSL_CTX_set_options(t->ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
        SSL_CTX_set_mode(t->ctx, MODES);
        SSL_CTX_set_verify(t->ctx, SSL_VERIFY_PEER, NULL);
        SSL_CTX_set_default_passwd_cb(t->ctx, on_key_password);
        if (SSL_CTX_load_verify_locations(t->ctx, conf->ca_file, folder) != 1)
                return fault_of(t, conf->ca_file ? conf->ca_file : folder, why);
        if (conf->cert_file && SSL_CTX_use_certificate_chain_file(t->ctx, conf->cert_file) != 1)
                return fault_of(t, conf->cert_file, why);
        if (conf->key_file && SSL_CTX_use_PrivateKey_file(t->ctx, conf->key_file, SSL_FILETYPE_PEM) != 1)
                return fault_of(t, conf->key_file, why);
        if (conf->key_file && SSL_CTX_check_private_key(t->ctx) != 1)
                return fault_of(t, conf->key_file, why);
        return 0;
}

static int64_t now_ms(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* 0; or -1 with what is wrong. */
static int shake_hands(struct mqtt_tls *t, int fd, int limit_ms, char *out, size_t size)
{
        int64_t end_ms = now_ms() + limit_ms, left_ms;
        struct pollfd p = {.fd = fd};
        int r;

        for (;;) {
                ERR_clear_error();
                r = SSL_connect(t->ssl);
                if (r == 1)
                        return 0;
                r = SSL_get_error(t->ssl, r);
                if (r != SSL_ERROR_WANT_READ && r != SSL_ERROR_WANT_WRITE) {
                        say(t, out, size);
                        return -1;
                }
                p.events = r == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
                left_ms = end_ms - now_ms();
                if (left_ms <= 0 || poll(&p, 1, (int)left_ms) == 0) {
                        snprintf(out, size, "it does not answer");
                        return -1;
                }
        }
}

static bool is_for(X509 *cert, const char *host)
{
        return X509_check_ip_asc(cert, host, 0) == 1 || X509_check_host(cert, host, 0, 0, NULL) == 1;
}

static int connect_to(struct mqtt_tls *t, int fd, const char *host, int limit_ms, struct err *why)
{
        char text[200] = "";
        X509 *cert;

        t->ssl = SSL_new(t->ctx);
        if (!t->ssl || SSL_set_fd(t->ssl, fd) != 1)
                return fault_of(t, "OpenSSL", why);
        SSL_set_tlsext_host_name(t->ssl, host);
        if (shake_hands(t, fd, limit_ms, text, sizeof(text)) < 0)
                return err_set(why, "%s", text);
        cert = SSL_get1_peer_certificate(t->ssl);
        if (!cert || !is_for(cert, host))
                err_set(why, "the broker's certificate is not for '%s'", host);
        X509_free(cert);
        return why->text[0] ? -1 : 0;
}

struct mqtt_tls *mqtt_tls_open(int fd, const struct mqtt_tls_conf *conf, int limit_ms, struct err *why)
{
        struct mqtt_tls *t = mem_alloc(sizeof(*t));

        ERR_clear_error();
        if (set_up(t, conf, why) == 0 && connect_to(t, fd, conf->host, limit_ms, why) == 0)
                return t;
        mqtt_tls_close(t);
        return NULL;
}

void mqtt_tls_close(struct mqtt_tls *t)
{
        if (!t)
                return;
        if (t->ssl && SSL_is_init_finished(t->ssl) && !t->fault[0])
                SSL_shutdown(t->ssl);
        SSL_free(t->ssl);
        SSL_CTX_free(t->ctx);
        ERR_clear_error();
        free(t);
}

static long result(struct mqtt_tls *t, int r)
{
        int fault = errno;

        switch (SSL_get_error(t->ssl, r)) {
        case SSL_ERROR_WANT_READ:
        case SSL_ERROR_WANT_WRITE:
                errno = EAGAIN;
                return -1;
        case SSL_ERROR_ZERO_RETURN:
                return 0;
        case SSL_ERROR_SYSCALL:
                errno = fault;
                return fault ? -1 : 0;
        default:
                if (ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
                        return 0;
                say(t, t->fault, sizeof(t->fault));
                errno = EPROTO;
                return -1;
        }
}

long mqtt_tls_read(struct mqtt_tls *t, void *bytes, size_t n)
{
        int r;

        ERR_clear_error();
        errno = 0;
        r = SSL_read(t->ssl, bytes, (int)n);
        return r > 0 ? r : result(t, r);
}

long mqtt_tls_write(struct mqtt_tls *t, const void *bytes, size_t n)
{
        int r;

        ERR_clear_error();
        errno = 0;
        r = SSL_write(t->ssl, bytes, (int)n);
        return r > 0 ? r : result(t, r);
}

const char *mqtt_tls_fault(const struct mqtt_tls *t)
{
        return t->fault;
}

size_t mqtt_tls_pending(const struct mqtt_tls *t)
{
        return (size_t)SSL_pending(t->ssl);
}
