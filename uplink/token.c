/*
 * token: a token's text -> what Kafka's client needs of it (see token.h).
 *
 * A broker ends a connection when its token ends, so when that is must be
 * known: a JSON Web Token says it inside, a token endpoint's answer beside it.
 * The signature is not looked at: that is the broker's to do, and its key is not
 * ours.
 *
 * How it fails: what is empty, too long, has letters no token has, or has ended
 * is told as such, without the token.
 */
#include "uplink/token.h"

#include <stdlib.h>
#include <string.h>

#include "agent/base/base64.h"
#include "agent/base/json_scan.h"
#include "agent/base/text.h"

enum { UNKNOWN_US = 300000000 };

static const int64_t most_us = 365ll * 86400 * 1000000;

static bool is_letter(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               (c && strchr("-._~+/=", c));
}

/* Seconds, as a number or (some endpoints) as a text of one. */
static bool seconds_of(const struct json_value *v, double *s)
{
        int64_t i64;
        bool is_i64;

        return (v->type == SCAN_NUMBER || v->type == SCAN_TEXT) && text_number(v->at, v->len, s, &i64, &is_i64);
}

static void take_who(const struct json_value *v, struct token *out)
{
        if (v->type != SCAN_TEXT || v->escaped || !v->len || v->len >= sizeof(out->who))
                return;
        memcpy(out->who, v->at, v->len);
        out->who[v->len] = '\0';
}

/* Values of a JSON text by three pointers; false: it is none. */
static bool look_up(const char *text, size_t len, const char *const pointer[3], struct json_value found[3])
{
        struct json_paths paths = {0};
        struct json_value all[4];
        struct json_wrong wrong;
        bool fine = true;
        int slot[3];

        for (int i = 0; i < 3; i++)
                slot[i] = json_paths_add(&paths, pointer[i], NULL);
        fine = json_scan(&paths, text, len, all, &wrong) == 0;
        for (int i = 0; i < 3 && fine; i++)
                found[i] = all[slot[i]];
        json_paths_fini(&paths);
        return fine;
}

/* What a JSON Web Token says of itself. */
static void look_inside(struct token *out)
{
        static const char *const claims[3] = {"/exp", "/sub", "/client_id"};
        const char *from = strchr(out->text, '.'), *to = from ? strchr(from + 1, '.') : NULL;
        char text[TOKEN_MAX];
        struct json_value v[3];
        double s;
        long n;

        if (!to || (n = base64_read(text, from + 1, (size_t)(to - from - 1))) <= 0 ||
            !look_up(text, (size_t)n, claims, v))
                return;
        if (seconds_of(&v[0], &s) && s > 0 && s < 1e11)
                out->until_us = (int64_t)(s * 1e6);
        take_who(&v[2], out);
        take_who(&v[1], out);
}

static int take_text(const char *s, size_t len, struct token *out, struct err *e)
{
        if (!len)
                return err_set(e, "it is empty");
        if (len >= sizeof(out->text))
                return err_set(e, "it is longer than %d bytes", TOKEN_MAX - 1);
        for (size_t i = 0; i < len; i++)
                if (!is_letter(s[i]))
                        return err_set(e, "it is no token: byte %zu is none of its letters (RFC 6750)", i + 1);
        memcpy(out->text, s, len);
        out->text[len] = '\0';
        return 0;
}

/* {"access_token": …, "expires_in": seconds} */
static int read_answer(const char *text, size_t len, int64_t now_us, struct token *out, struct err *e)
{
        static const char *const members[3] = {"/access_token", "/expires_in", "/error"};
        struct json_value v[3];
        double s;

        if (!look_up(text, len, members, v))
                return err_set(e, "it is no JSON");
        if (v[2].type == SCAN_TEXT)
                return err_set(e, "it is an error: %.*s", v[2].len > 100 ? 100 : (int)v[2].len, v[2].at);
        if (v[0].type != SCAN_TEXT || v[0].escaped)
                return err_set(e, "it is JSON without an access_token");
        if (take_text(v[0].at, v[0].len, out, e) < 0)
                return -1;
        look_inside(out);
        if (!out->until_us && seconds_of(&v[1], &s) && s > 0 && s < 1e9)
                out->until_us = now_us + (int64_t)(s * 1e6);
        return 0;
}

int token_read(const char *text, size_t len, int64_t now_wall_us, struct token *out, struct err *e)
{
        *out = (struct token){.who = "millrace"};
        while (len && strchr(" \t\r\n", text[len - 1]))
                len--;
        for (; len && strchr(" \t\r\n", *text); len--)
                text++;
        if (len && *text == '{') {
                if (read_answer(text, len, now_wall_us, out, e) < 0)
                        return -1;
        } else if (take_text(text, len, out, e) < 0) {
                return -1;
        } else {
                look_inside(out);
        }
        if (!out->until_us)
                out->until_us = now_wall_us + UNKNOWN_US;
        if (out->until_us > now_wall_us + most_us)
                out->until_us = now_wall_us + most_us;
        if (out->until_us <= now_wall_us)
                return err_set(e, "it ended %lld s ago", (long long)((now_wall_us - out->until_us) / 1000000));
        return 0;
}
