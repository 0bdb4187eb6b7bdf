/*
 * sign: see sign.h.
 *
 * Ed25519 as libcrypto has it: one key in one file, no certificate, nothing
 * that expires.  Who may read the private key is the file's rights; a file that
 * everybody may read is refused, for whoever reads it signs as this gateway.
 *
 * How it fails: with a sentence that names the file.
 */
#include "agent/sign.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { SIGNATURE = 64, PUBLIC = 32 };

struct signer {
        EVP_PKEY *key;
        char fingerprint[SIGN_FINGERPRINT];
};

/* No encrypted file may ask on the terminal. */
static int no_password(char *buf, int size, int rw, void *ctx)
{
        return 0;
}

static bool note_fingerprint(struct signer *s)
{
        unsigned char key[PUBLIC], hash[EVP_MAX_MD_SIZE];
        size_t n_key = sizeof(key);
        unsigned n;

        if (EVP_PKEY_get_id(s->key) != EVP_PKEY_ED25519 || EVP_PKEY_get_raw_public_key(s->key, key, &n_key) != 1 ||
            EVP_Digest(key, n_key, hash, &n, EVP_sha256(), NULL) != 1)
                return false;
        for (unsigned i = 0; i < n; i++)
                snprintf(s->fingerprint + 2 * i, 3, "%02x", hash[i]);
        return true;
}

static struct signer *take(EVP_PKEY *key, const char *path, struct err *e)
{
        struct signer *s = mem_alloc(sizeof(*s));

        ERR_clear_error();
        s->key = key;
        if (key && note_fingerprint(s))
                return s;
        signer_free(s);
        err_set(e, "%s: is no Ed25519 key in PEM (openssl genpkey -algorithm ed25519 makes one)", path);
        return NULL;
}

struct signer *signer_open(const char *path, struct err *e)
{
        FILE *f = fopen(path, "re");
        struct stat st;
        EVP_PKEY *key;

        if (!f || fstat(fileno(f), &st) < 0) {
                err_set(e, "%s: %s", path, strerror(errno));
                if (f)
                        fclose(f);
                return NULL;
        }
        if (st.st_mode & S_IROTH) {
                fclose(f);
                err_set(e, "%s: everybody may read this key; chmod 640 it, and chgrp it to millrace", path);
                return NULL;
        }
        key = PEM_read_PrivateKey(f, NULL, no_password, NULL);
        fclose(f);
        return take(key, path, e);
}

struct signer *signer_open_public(const char *path, struct err *e)
{
        FILE *f = fopen(path, "re");
        EVP_PKEY *key;

        if (!f) {
                err_set(e, "%s: %s", path, strerror(errno));
                return NULL;
        }
        key = PEM_read_PUBKEY(f, NULL, no_password, NULL);
        if (!key) {
                rewind(f);
                key = PEM_read_PrivateKey(f, NULL, no_password, NULL);
        }
        fclose(f);
        return take(key, path, e);
}

void signer_free(struct signer *s)
{
        if (!s)
                return;
        EVP_PKEY_free(s->key);
        free(s);
}

const char *signer_fingerprint(const struct signer *s)
{
        return s->fingerprint;
}

bool signer_sign(struct signer *s, const char *text, size_t len, char out[SIGN_TEXT])
{
        EVP_MD_CTX *c = EVP_MD_CTX_new();
        unsigned char signature[SIGNATURE];
        size_t n = sizeof(signature);
        bool ok = c && EVP_DigestSignInit(c, NULL, NULL, NULL, s->key) == 1 &&
                  EVP_DigestSign(c, signature, &n, (const unsigned char *)text, len) == 1;

        EVP_MD_CTX_free(c);
        if (ok)
                EVP_EncodeBlock((unsigned char *)out, signature, (int)n);
        return ok;
}

bool signer_is_right(struct signer *s, const char *text, size_t len, const char *signature)
{
        unsigned char raw[SIGN_TEXT];
        EVP_MD_CTX *c;
        bool ok;

        if (strlen(signature) != SIGN_TEXT - 1 ||
            EVP_DecodeBlock(raw, (const unsigned char *)signature, SIGN_TEXT - 1) < SIGNATURE)
                return false;
        c = EVP_MD_CTX_new();
        ok = c && EVP_DigestVerifyInit(c, NULL, NULL, NULL, s->key) == 1 &&
             EVP_DigestVerify(c, raw, SIGNATURE, (const unsigned char *)text, len) == 1;
        EVP_MD_CTX_free(c);
        ERR_clear_error();
        return ok;
}
