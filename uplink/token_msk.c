/*
 * token_msk: a token for Amazon MSK's IAM access (see token.h).
 *
 * It is the address of a request that is never made, signed with Signature
 * Version 4 ("presigned", 15 minutes) for the service kafka-cluster, in base64:
 * what AWS documents as its OAUTHBEARER token.  The credentials file is read
 * anew each time, so whoever renews short-lived keys writes that file.
 *
 * Pure.  How it fails: keys that are not in the file, or a name that can't stand
 * in an address, with a sentence that never holds a key.
 */
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "agent/base/base64.h"
#include "uplink/token.h"

enum { GOOD_S = 900, KEY_MAX = 256, SESSION_MAX = 4096, HASH = 32 };

struct keys {
        char id[KEY_MAX], secret[KEY_MAX], session[SESSION_MAX];
};

/* ---- the credentials file: an INI with a section for each profile ---- */

static void take_value(const char *line, size_t len, const char *name, char *out, size_t cap)
{
        size_t n = strlen(name);
        const char *end = line + len;

        if (len < n || memcmp(line, name, n) != 0)
                return;
        for (line += n; line < end && (*line == ' ' || *line == '\t');)
                line++;
        if (line == end || *line++ != '=')
                return;
        while (line < end && (*line == ' ' || *line == '\t'))
                line++;
        while (end > line && strchr(" \t\r", end[-1]))
                end--;
        if ((size_t)(end - line) < cap) {
                memcpy(out, line, (size_t)(end - line));
                out[end - line] = '\0';
        }
}

static int read_keys(const char *text, const char *profile, struct keys *k, struct err *e)
{
        bool ours = false;

        *k = (struct keys){0};
        for (const char *line = text; *line;) {
                size_t len = strcspn(line, "\n");

                if (*line == '[')
                        ours = len > strlen(profile) + 1 && !strncmp(line + 1, profile, strlen(profile)) &&
                               line[1 + strlen(profile)] == ']';
                if (ours) {
                        take_value(line, len, "aws_access_key_id", k->id, sizeof(k->id));
                        take_value(line, len, "aws_secret_access_key", k->secret, sizeof(k->secret));
                        take_value(line, len, "aws_session_token", k->session, sizeof(k->session));
                }
                line += len + (line[len] == '\n');
        }
        if (*k->id && *k->secret)
                return 0;
        return err_set(e, "the AWS credentials have no aws_access_key_id and aws_secret_access_key in [%s]", profile);
}

/* ---- Signature Version 4 ---- */

static void hmac(unsigned char out[HASH], const void *key, int key_len, const char *text)
{
        unsigned n = HASH;

        BUG_ON(!HMAC(EVP_sha256(), key, key_len, (const unsigned char *)text, strlen(text), out, &n));
}

static void put_hex(char *out, const unsigned char *hash)
{
        for (int i = 0; i < HASH; i++)
                sprintf(out + 2 * i, "%02x", hash[i]);
}

static void hash_hex(char *out, const char *text)
{
        unsigned char hash[HASH];

        BUG_ON(!EVP_Digest(text, strlen(text), hash, NULL, EVP_sha256(), NULL));
        put_hex(out, hash);
}

/* Percent-encoded, but for what RFC 3986 calls unreserved. */
static void put_encoded(char *out, size_t cap, const char *s)
{
        size_t n = strlen(out);

        for (; *s && n + 4 < cap; s++) {
                bool plain = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9') ||
                             strchr("-._~", *s);

                n += (size_t)(plain ? sprintf(out + n, "%c", *s) : sprintf(out + n, "%%%02X", (unsigned char)*s));
        }
}

struct when {
        char day[16], second[24];
};

static void put_query(char *out, size_t cap, const struct keys *k, const struct when *w, const char *scope)
{
        char whose[KEY_MAX + 80];

        snprintf(out, cap, "Action=kafka-cluster%%3AConnect&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=");
        snprintf(whose, sizeof(whose), "%s/%s", k->id, scope);
        put_encoded(out, cap, whose);
        snprintf(out + strlen(out), cap - strlen(out), "&X-Amz-Date=%s&X-Amz-Expires=%d", w->second, GOOD_S);
        if (*k->session) {
                snprintf(out + strlen(out), cap - strlen(out), "&X-Amz-Security-Token=");
                put_encoded(out, cap, k->session);
        }
        snprintf(out + strlen(out), cap - strlen(out), "&X-Amz-SignedHeaders=host");
}

static void sign(char hex[2 * HASH + 1], const struct keys *k, const struct when *w, const char *region,
                 const char *text)
{
        unsigned char key[HASH];
        char first[KEY_MAX + 8];

        snprintf(first, sizeof(first), "AWS4%s", k->secret);
        hmac(key, first, (int)strlen(first), w->day);
        hmac(key, key, HASH, region);
        hmac(key, key, HASH, "kafka-cluster");
        hmac(key, key, HASH, "aws4_request");
        hmac(key, key, HASH, text);
        put_hex(hex, key);
        explicit_bzero(first, sizeof(first));
        explicit_bzero(key, sizeof(key));
}

static void put_address(char *out, size_t cap, const struct keys *k, const struct when *w, const char *region)
{
        char scope[80], query[SESSION_MAX * 3 + 1024], text[sizeof(query) + 512], hex[2 * HASH + 1];

        snprintf(scope, sizeof(scope), "%s/%.32s/kafka-cluster/aws4_request", w->day, region);
        put_query(query, sizeof(query), k, w, scope);
        hash_hex(hex, "");
        snprintf(text, sizeof(text), "GET\n/\n%s\nhost:kafka.%s.amazonaws.com\n\nhost\n%s", query, region, hex);
        hash_hex(hex, text);
        snprintf(text, sizeof(text), "AWS4-HMAC-SHA256\n%s\n%s\n%s", w->second, scope, hex);
        sign(hex, k, w, region, text);
        snprintf(out, cap, "https://kafka.%s.amazonaws.com/?%s&X-Amz-Signature=%s&User-Agent=millrace", region, query,
                 hex);
}

int token_msk(const char *region, const char *profile, const char *credentials, int64_t now_wall_us, struct token *out,
              struct err *e)
{
        time_t now_s = (time_t)(now_wall_us / 1000000);
        char address[SESSION_MAX * 3 + 2048];
        struct keys k;
        struct when w;
        struct tm tm;
        int r = read_keys(credentials, profile, &k, e);

        *out = (struct token){.until_us = now_wall_us + (int64_t)GOOD_S * 1000000};
        if (r == 0) {
                gmtime_r(&now_s, &tm);
                strftime(w.day, sizeof(w.day), "%Y%m%d", &tm);
                strftime(w.second, sizeof(w.second), "%Y%m%dT%H%M%SZ", &tm);
                put_address(address, sizeof(address), &k, &w, region);
                snprintf(out->who, sizeof(out->who), "%.127s", k.id);
                if (BASE64_ROOM(strlen(address)) > sizeof(out->text))
                        r = err_set(e, "the AWS session token is too long");
                else
                        base64_put_url(out->text, address, strlen(address));
        }
        explicit_bzero(&k, sizeof(k));
        return r;
}
