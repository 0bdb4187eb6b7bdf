/*
 * token: what proves to Kafka who we are, for SASL OAUTHBEARER (RFC 7628).
 *
 * Reading one is pure; having one is blocking, at most the source's timeout:
 * any thread but the loop's.
 */
#ifndef MILLRACE_UPLINK_TOKEN_H
#define MILLRACE_UPLINK_TOKEN_H

#include <stdint.h>

#include "agent/base/err.h"
#include "agent/base/schema.h"

enum { TOKEN_MAX = 16384, TOKEN_WHO_MAX = 128 };

struct token {
        char text[TOKEN_MAX];
        char who[TOKEN_WHO_MAX]; /* the principal it says, for logs */
        int64_t until_us;        /* wall clock */
};

/* `kafka.token:` */
struct token_conf {
        struct schema_at at;
        const char *file;
        struct schema_list command; /* const char *: argv */
        const char *msk_region, *aws_credentials, *aws_profile;
        int64_t timeout_us;
};
extern const struct schema token_schema;

/* A copy that outlives the configuration. NULL: none is configured. */
struct token_source;
struct token_source *token_source_new(const struct token_conf *conf);
void token_source_free(struct token_source *s); /* NULL is fine */

/* 0, or -1 with a sentence that never holds the token. */
int token_fetch(const struct token_source *s, int64_t now_wall_us, struct token *out, struct err *e);

/*
 * What a file or a program gives: a JSON Web Token (RFC 7519), whose `exp` and
 * `sub` count; an answer of a token endpoint (RFC 6749, 5.1); or any other
 * text of RFC 6750's letters, which is taken to be good for five minutes.
 * White space around it is dropped.
 */
int token_read(const char *text, size_t len, int64_t now_wall_us, struct token *out, struct err *e);

/*
 * token_msk.c: Amazon's for MSK: a request to kafka-cluster:Connect, signed
 * with Signature Version 4, in base64.  `credentials` is the text of an AWS
 * credentials file.
 */
int token_msk(const char *region, const char *profile, const char *credentials, int64_t now_wall_us, struct token *out,
              struct err *e);

#endif
