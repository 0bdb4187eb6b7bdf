/*
 * seal: see seal.h.
 *
 * A leaf is made where a record's bytes are known, when it is given to the
 * sink; the chain goes on when the watermark moves over it, since only then it
 * is known that Kafka has it.  So a leaf waits in its window's slot, and a
 * record that is sent again is hashed again.
 *
 * SHA256_Init and its kin are what libcrypto calls low-level and deprecated
 * since 3.0; EVP takes twice the time for a record of 250 bytes, most of it for
 * looking up what it is to do.  They are the same code below.
 *
 * How it fails: runs for which there is no room (more than SEAL_RUNS between
 * two heartbeats that Kafka has) begin the stream's chain anew, with a `prev`
 * of zeros, which whoever checks sees as a break.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "uplink/seal.h"

#include <inttypes.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/base/text.h"

enum { PACK_VERSION = 1, TOKEN_BITS = 28 };

static const char *const stream_names[SEAL_STREAMS] = {"events", "samples", "backlog"};
static const char *const lane_names[SPOOL_LANES] = {[SPOOL_EVENTS] = "events", [SPOOL_SAMPLES] = "samples"};

/* ---- the chain ---- */

static void put_be(unsigned char *p, uint64_t v, int n)
{
        for (int i = n - 1; i >= 0; i--, v >>= 8)
                p[i] = (unsigned char)v;
}

void seal_leaf(unsigned char leaf[SEAL_HASH], uint64_t seq, const char *identity, size_t identity_len,
               const char *value, size_t value_len)
{
        unsigned char head[12];
        SHA256_CTX c;

        put_be(head, seq, 8);
        put_be(head + 8, identity_len, 4);
        SHA256_Init(&c);
        SHA256_Update(&c, head, sizeof(head));
        if (identity_len)
                SHA256_Update(&c, identity, identity_len);
        SHA256_Update(&c, value, value_len);
        SHA256_Final(leaf, &c);
}

void seal_chain(unsigned char chain[SEAL_HASH], const unsigned char leaf[SEAL_HASH])
{
        SHA256_CTX c;

        SHA256_Init(&c);
        SHA256_Update(&c, chain, SEAL_HASH);
        SHA256_Update(&c, leaf, SEAL_HASH);
        SHA256_Final(chain, &c);
}

static void begin_anew(struct seal_stream *t)
{
        memset(t->chain, 0, SEAL_HASH);
        memset(t->told, 0, SEAL_HASH);
        t->n_runs = 0;
        t->n_breaks++;
}

void seal_add(struct seal_stream *t, uint64_t seq, const unsigned char leaf[SEAL_HASH], bool apart)
{
        struct seal_run *run;

        if (apart && t->n_runs == SEAL_RUNS)
                begin_anew(t);
        if (apart || !t->n_runs)
                t->run[t->n_runs++] = (struct seal_run){.first = apart ? seq : t->upto + 1};
        run = &t->run[t->n_runs - 1];
        run->last = t->upto = seq;
        run->n++;
        seal_chain(t->chain, leaf);
}

/* ---- on disk ---- */

static unsigned char *pack(unsigned char *p, const void *v, size_t n)
{
        memcpy(p, v, n);
        return p + n;
}

/* In this machine's own order of bytes: a spool does not change machines. */
size_t seal_pack(const struct seal *s, unsigned char *out)
{
        unsigned char *p = out;

        *p++ = PACK_VERSION;
        p = pack(p, &s->epoch, sizeof(s->epoch));
        for (int i = 0; i < SEAL_STREAMS; i++) {
                const struct seal_stream *t = &s->now.stream[i];

                *p++ = (unsigned char)t->n_runs;
                p = pack(p, &t->upto, sizeof(t->upto));
                p = pack(p, t->chain, SEAL_HASH);
                p = pack(p, t->told, SEAL_HASH);
                p = pack(p, t->run, t->n_runs * sizeof(*t->run));
        }
        return (size_t)(p - out);
}
_Static_assert(9 + SEAL_STREAMS * (9 + 2 * SEAL_HASH + SEAL_RUNS * sizeof(struct seal_run)) <= SPOOL_SEAL_MAX,
               "a state fits");

static bool unpack(const unsigned char **p, const unsigned char *end, void *out, size_t n)
{
        if ((size_t)(end - *p) < n)
                return false;
        memcpy(out, *p, n);
        *p += n;
        return true;
}

static bool unpack_all(struct seal *s, const unsigned char *p, size_t n)
{
        const unsigned char *end = p + n;
        uint64_t epoch;

        if (*p++ != PACK_VERSION || !unpack(&p, end, &epoch, sizeof(epoch)) || epoch != s->epoch)
                return false;
        for (int i = 0; i < SEAL_STREAMS; i++) {
                struct seal_stream *t = &s->now.stream[i];
                unsigned char n_runs;

                if (!unpack(&p, end, &n_runs, 1) || n_runs > SEAL_RUNS || !unpack(&p, end, &t->upto, sizeof(t->upto)) ||
                    !unpack(&p, end, t->chain, SEAL_HASH) || !unpack(&p, end, t->told, SEAL_HASH) ||
                    !unpack(&p, end, t->run, n_runs * sizeof(*t->run)))
                        return false;
                t->n_runs = n_runs;
        }
        return p == end;
}

void seal_init(struct seal *s, uint64_t epoch, const uint64_t acked[SPOOL_LANES], const void *packed, size_t n)
{
        *s = (struct seal){.epoch = epoch};
        if (n && unpack_all(s, packed, n))
                return;
        *s = (struct seal){.epoch = epoch};
        for (int i = 0; i < SEAL_STREAMS; i++)
                s->now.stream[i].upto = acked[i ? SPOOL_SAMPLES : SPOOL_EVENTS];
}

/* ---- what a heartbeat tells ---- */

static char *put_hash(char *p, const unsigned char hash[SEAL_HASH])
{
        for (int i = 0; i < SEAL_HASH; i++)
                p += sprintf(p, "%02x", hash[i]);
        return p;
}

static char *put_stream(char *p, const char *name, const struct seal_stream *t)
{
        p += sprintf(p, "{\"stream\":\"%s\",\"prev\":\"", name);
        p = put_hash(p, t->told);
        p += sprintf(p, "\",\"chain\":\"");
        p = put_hash(p, t->chain);
        p += sprintf(p, "\",\"upto\":%" PRIu64 ",\"runs\":[", t->upto);
        for (uint32_t i = 0; i < t->n_runs; i++)
                p += sprintf(p, "%s[%" PRIu64 ",%" PRIu64 ",%" PRIu64 "]", i ? "," : "", t->run[i].first,
                             t->run[i].last, t->run[i].n);
        return p + sprintf(p, "]}");
}

static char *put_ledger(char *p, const struct spool_ledger *l, uint64_t after_no)
{
        bool first = true;

        for (size_t i = 0; i < l->n; i++) {
                const struct spool_ledger_line *line = &l->line[i];

                if (line->no <= after_no)
                        continue;
                p += sprintf(p, "%s[\"%s\",%" PRIu64 ",%" PRIu64 ",\"", first ? "" : ",", lane_names[line->lane],
                             line->first, line->last);
                p += text_put_json(p, line->reason, strlen(line->reason));
                p += sprintf(p, "\"]");
                first = false;
        }
        return p;
}
_Static_assert(SPOOL_LEDGER_LINES *(64 + 6 * SPOOL_REASON_MAX) + SEAL_STREAMS * (256 + 64 * SEAL_RUNS) + 1024 <=
                       SEAL_TEXT_MAX,
               "a text fits");

uint32_t seal_text(struct seal *s, const char *gateway, int64_t at_us, const struct spool_ledger *ledger, char *out)
{
        char *p = out + sprintf(out, "{\"v\":1,\"gateway\":\"");

        p += text_put_json(p, gateway, strlen(gateway));
        p += sprintf(p, "\",\"epoch\":%" PRIu64 ",\"at_us\":%" PRId64 ",\"streams\":[", s->epoch, at_us);
        for (int i = 0; i < SEAL_STREAMS; i++) {
                if (i)
                        *p++ = ',';
                p = put_stream(p, stream_names[i], &s->now.stream[i]);
        }
        p += sprintf(p, "],\"dropped\":[");
        p = put_ledger(p, ledger, s->now.ledger_no);
        sprintf(p, "]}");
        s->sent = s->now;
        s->sent.ledger_no = ledger->no;
        s->token = (s->token + 1) & ((1u << TOKEN_BITS) - 1);
        s->token += !s->token;
        return s->token;
}

/* What came since the heartbeat stays: its runs, and of the run that went on the rest. */
static void settle(struct seal_stream *now, const struct seal_stream *sent)
{
        uint32_t n_done = sent->n_runs;
        struct seal_run *run;

        if (now->n_breaks != sent->n_breaks)
                return;
        memcpy(now->told, sent->chain, SEAL_HASH);
        if (!n_done)
                return;
        run = &now->run[n_done - 1];
        if (run->n > sent->run[n_done - 1].n) {
                run->first = sent->run[n_done - 1].last + 1;
                run->n -= sent->run[n_done - 1].n;
                n_done--;
        }
        memmove(now->run, now->run + n_done, (now->n_runs - n_done) * sizeof(*now->run));
        now->n_runs -= n_done;
}

void seal_told(struct seal *s, uint32_t token)
{
        if (!token || token != s->token)
                return;
        for (int i = 0; i < SEAL_STREAMS; i++)
                settle(&s->now.stream[i], &s->sent.stream[i]);
        s->now.ledger_no = s->sent.ledger_no;
        s->token = 0;
}
