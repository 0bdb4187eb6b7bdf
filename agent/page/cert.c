/*
 * cert: see cert.h.
 *
 * A P-256 key and a certificate of ten years for the names and addresses that
 * browsers will use; whoever has a real authority takes that one's.  Nothing
 * that is there is written over.  How it fails: with a sentence, and neither
 * file is left half there.
 */
#include "agent/page/cert.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DAYS = 3650, NAMES_MAX = 2048 };

static bool put_names(char *out, char **names, int n)
{
        size_t at = 0;

        for (int i = 0; i < n; i++) {
                unsigned char address[16];
                bool is_address =
                        inet_pton(AF_INET, names[i], address) == 1 || inet_pton(AF_INET6, names[i], address) == 1;

                if (strpbrk(names[i], ",:= \t\n") && !is_address)
                        return false;
                at += (size_t)snprintf(out + at, NAMES_MAX - at, "%s%s:%s", i ? "," : "", is_address ? "IP" : "DNS",
                                       names[i]);
                if (at >= NAMES_MAX)
                        return false;
        }
        return true;
}

static bool add_extension(X509 *x, int nid, const char *value)
{
        X509_EXTENSION *e;
        X509V3_CTX ctx;
        bool fine;

        X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
        e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
        fine = e && X509_add_ext(x, e, -1);
        X509_EXTENSION_free(e);
        return fine;
}

static X509 *make(EVP_PKEY *key, const char *first, const char *names)
{
        X509 *x = X509_new();
        X509_NAME *name = x ? X509_get_subject_name(x) : NULL;
        uint64_t serial;
        bool fine;

        fine = x && RAND_bytes((unsigned char *)&serial, sizeof(serial)) == 1 && X509_set_version(x, 2) &&
               ASN1_INTEGER_set_uint64(X509_get_serialNumber(x), serial >> 1) &&
               X509_gmtime_adj(X509_getm_notBefore(x), -3600) &&
               X509_gmtime_adj(X509_getm_notAfter(x), DAYS * 86400l) && X509_set_pubkey(x, key) &&
               X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)first, -1, -1, 0) &&
               X509_set_issuer_name(x, name) && add_extension(x, NID_subject_alt_name, names) &&
               add_extension(x, NID_basic_constraints, "critical,CA:FALSE") &&
               add_extension(x, NID_ext_key_usage, "serverAuth") && X509_sign(x, key, EVP_sha256());
        if (fine)
                return x;
        X509_free(x);
        return NULL;
}

static FILE *create(const char *path, unsigned mode)
{
        int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);

        if (fd < 0)
                fprintf(stderr, "millrace-page: %s can't be made: %s\n", path, strerror(errno));
        return fd < 0 ? NULL : fdopen(fd, "w");
}

static bool write_both(const char *certificate, const char *key_path, X509 *x, EVP_PKEY *key)
{
        FILE *k = create(key_path, 0640), *c = k ? create(certificate, 0644) : NULL;
        bool fine = c && PEM_write_PKCS8PrivateKey(k, key, NULL, NULL, 0, NULL, NULL) && PEM_write_X509(c, x);

        if (k)
                fine = fclose(k) == 0 && fine;
        if (c)
                fine = fclose(c) == 0 && fine;
        if (!fine && k)
                unlink(key_path);
        if (!fine && c)
                unlink(certificate);
        return fine;
}

int cert_command(char **words, int n)
{
        char names[NAMES_MAX];
        EVP_PKEY *key;
        X509 *x;
        bool fine;

        if (n < 3 || !put_names(names, words + 2, n - 2)) {
                fputs("millrace-page: cert CERTIFICATE KEY NAME…: files that are not there yet, names and addresses\n",
                      stderr);
                return 2;
        }
        key = EVP_EC_gen("P-256");
        x = key ? make(key, words[2], names) : NULL;
        fine = x && write_both(words[0], words[1], x, key);
        X509_free(x);
        EVP_PKEY_free(key);
        return fine ? 0 : 1;
}
