/*
 * token_source: `kafka.token:`, and having a token (see token.h).
 *
 * Each time anew: whoever renews a file or a key writes it, and nobody is told.
 * Copies of the configuration's texts, because a reload that changes nothing of
 * Kafka keeps the producer and frees the configuration it was made from.
 *
 * How it fails: with a sentence that names the file or the program; librdkafka
 * asks again after ten seconds.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/child.h"
#include "agent/base/text.h"
#include "uplink/token.h"

struct token_source {
        char *file, *region, *credentials, *profile;
        char **argv; /* NULL-ended */
        int64_t timeout_us;
};

#define AT(member) offsetof(struct token_conf, member)

static const struct schema_key keys[] = {
        {.name = "file",
         .type = SCHEMA_PATH,
         .offset = AT(file),
         .help = "A file that holds the token, and is written anew by whoever renews it: a JSON Web Token, or the "
                 "answer of a token endpoint."},
        {.name = "command",
         .type = SCHEMA_TEXTS,
         .flags = SCHEMA_SCALAR,
         .offset = AT(command),
         .help = "A program and its arguments that writes a token to its output; run as the service's user each time "
                 "one is needed."},
        {.name = "msk_region",
         .type = SCHEMA_TEXT,
         .offset = AT(msk_region),
         .help = "Amazon MSK with IAM: the cluster's region, as eu-central-1."},
        {.name = "aws_credentials",
         .type = SCHEMA_PATH,
         .offset = AT(aws_credentials),
         .help = "With msk_region: a credentials file of AWS, read each time a token is made."},
        {.name = "aws_profile",
         .type = SCHEMA_TEXT,
         .offset = AT(aws_profile),
         .def = "default",
         .help = "Its section."},
        {.name = "timeout",
         .type = SCHEMA_DURATION,
         .offset = AT(timeout_us),
         .min = 1e6,
         .max = 60e6,
         .def = "10s",
         .help = "How long the command may take; then it is killed."},
        {.name = NULL},
};

static bool is_region(const char *s)
{
        size_t n = strlen(s);

        return n && n <= 32 && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == n;
}

static int check(void *obj, const char **key, struct err *e)
{
        struct token_conf *c = obj;
        int ways = (c->file != NULL) + (c->command.n > 0) + (c->msk_region != NULL);

        *key = NULL;
        if (ways > 1)
                return err_set(e, "a token comes from one of file:, command: and msk_region:");
        *key = "command";
        if (c->command.n && *((const char *const *)c->command.items)[0] != '/')
                return err_set(e, "the program is named by its whole path, as /usr/local/bin/kafka-token");
        *key = "msk_region";
        if (c->msk_region && !is_region(c->msk_region))
                return err_set(e, "\"%s\" is no region: small letters, digits and - are expected", c->msk_region);
        *key = "aws_credentials";
        if (!c->msk_region != !c->aws_credentials)
                return err_set(e, "msk_region: and aws_credentials: go together");
        return 0;
}

const struct schema token_schema = {
        .name = "token",
        .help = "Tokens for clusters that want SASL OAUTHBEARER. The mechanism and security.protocol=sasl_ssl are set "
                "with it; properties may say otherwise.",
        .keys = keys,
        .size = sizeof(struct token_conf),
        .has_at = true,
        .check = check,
};

/* ---- */

static char *copy(const char *s)
{
        return s ? mem_strdup(s) : NULL;
}

struct token_source *token_source_new(const struct token_conf *c)
{
        struct token_source *s;

        if (!c->file && !c->command.n && !c->msk_region)
                return NULL;
        s = mem_alloc(sizeof(*s));
        *s = (struct token_source){.file = copy(c->file),
                                   .region = copy(c->msk_region),
                                   .credentials = copy(c->aws_credentials),
                                   .profile = copy(c->aws_profile),
                                   .argv = mem_alloc((c->command.n + 1) * sizeof(*s->argv)),
                                   .timeout_us = c->timeout_us};
        for (size_t i = 0; i < c->command.n; i++)
                s->argv[i] = mem_strdup(((const char *const *)c->command.items)[i]);
        return s;
}

void token_source_free(struct token_source *s)
{
        if (!s)
                return;
        for (size_t i = 0; s->argv[i]; i++)
                free(s->argv[i]);
        free(s->argv);
        free(s->file);
        free(s->region);
        free(s->credentials);
        free(s->profile);
        free(s);
}

/* Its length, ended by a NUL. */
static long read_file(const char *path, char *out, size_t cap, struct err *e)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        size_t n = 0;
        ssize_t r = 1;

        if (fd < 0)
                return err_errno(e, "%s can't be read", path);
        while (n < cap && (r = read(fd, out + n, cap - n)) > 0)
                n += (size_t)r;
        if (r < 0)
                err_errno(e, "%s can't be read", path);
        close(fd);
        if (r < 0)
                return -1;
        if (n == cap)
                return err_set(e, "%s is longer than %zu bytes", path, cap - 1);
        out[n] = '\0';
        return (long)n;
}

static int fetch_text(const struct token_source *s, int64_t now_us, char *text, size_t cap, struct token *out,
                      struct err *e)
{
        const char *from = s->file ? s->file : s->argv[0];
        struct err why;
        long n;

        if (s->region)
                return read_file(s->credentials, text, cap, e) < 0
                               ? -1
                               : token_msk(s->region, s->profile, text, now_us, out, e);
        n = s->file ? read_file(s->file, text, cap, e) : child_read(s->argv, s->timeout_us, text, cap, e);
        if (n < 0)
                return -1;
        return token_read(text, (size_t)n, now_us, out, &why) < 0 ? err_set(e, "the token of %s: %s", from, why.text)
                                                                  : 0;
}

int token_fetch(const struct token_source *s, int64_t now_wall_us, struct token *out, struct err *e)
{
        char text[2 * TOKEN_MAX];
        int r = fetch_text(s, now_wall_us, text, sizeof(text), out, e);

        explicit_bzero(text, sizeof(text));
        return r;
}
