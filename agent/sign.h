/*
 * sign: the gateway's Ed25519 key, with which it signs the seals of its
 * heartbeats (uplink/seal.h), so that whoever has the public one knows that
 * they are the gateway's.
 *
 * Blocking where it says so; else the loop thread: a signature takes some tens
 * of microseconds, once a minute.
 */
#ifndef MILLRACE_AGENT_SIGN_H
#define MILLRACE_AGENT_SIGN_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/base/err.h"

enum { SIGN_TEXT = 89, SIGN_FINGERPRINT = 65 }; /* base64 and hexadecimal, with their ends */

struct signer;

/*
 * Blocking. The private key in PEM, as `openssl genpkey -algorithm ed25519`
 * writes it; NULL with a sentence when it can't be used.
 */
struct signer *signer_open(const char *path, struct err *e);
void signer_free(struct signer *s); /* NULL is fine */

/* False: libcrypto refuses, which it never does with a key that was opened. */
bool signer_sign(struct signer *s, const char *text, size_t len, char out[SIGN_TEXT]);

/* SHA-256 of the public key's 32 bytes. */
const char *signer_fingerprint(const struct signer *s);

/*
 * For who checks. Blocking; a public key in PEM, or a private one of which the
 * public half is taken.
 */
struct signer *signer_open_public(const char *path, struct err *e);
bool signer_is_right(struct signer *s, const char *text, size_t len, const char *signature);

#endif
