/*
 * audit: see audit.h.  What comes in.
 *
 * A record that is the next of its seal goes into the chain at once, one that
 * comes too early waits in a table.  Nothing waits for seqs that the ledger
 * names.  How it fails: what is no heartbeat or record of ours is counted.
 */
#include "agent/cli/audit_impl.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"

#define RUN_MOST (INT64_C(1) << 32)
#define SEQ_MOST (INT64_C(1) << 40) /* what is more is nobody's, and would take its part of memory */

struct audit *audit_new(const struct audit_conf *conf)
{
        struct audit *a = mem_alloc(sizeof(*a));

        a->conf = *conf;
        return a;
}

static void free_lane(struct audit_lane *l)
{
        for (int s = 0; s < 2; s++) {
                for (size_t i = 0; i < l->n_seals[s]; i++)
                        free(l->seal[s][i].run);
                free(l->seal[s]);
        }
        for (size_t i = 0; i < l->cap_seen; i++)
                free(l->seen[i]);
        free(l->seen);
        free(l->line);
        free(l->span);
        free(l->stash);
        free(l->twice.v);
        free(l->differ.v);
        free(l->in_gap.v);
}

void audit_free(struct audit *a)
{
        for (size_t i = 0; i < a->n_epochs; i++) {
                for (int lane = 0; lane < SPOOL_LANES; lane++)
                        free_lane(&a->epoch[i]->lane[lane]);
                free(a->epoch[i]->bad.v);
                free(a->epoch[i]);
        }
        free(a->epoch);
        free(a);
}

uint64_t audit_unread(const struct audit *a)
{
        return a->n_unread;
}

void audit_note(struct audit_ranges *r, uint64_t seq)
{
        if (r->n && r->v[r->n - 1].first <= seq && seq <= r->v[r->n - 1].last + 1) {
                if (seq > r->v[r->n - 1].last)
                        r->v[r->n - 1].last = seq;
                return;
        }
        if (r->n == r->cap) {
                r->cap = r->cap ? 2 * r->cap : 16;
                r->v = mem_grow(r->v, r->cap, sizeof(*r->v));
        }
        r->v[r->n++] = (struct audit_range){seq, seq};
}

static int compare_epoch(const struct audit_epoch *e, const char *gateway, size_t len, uint64_t epoch)
{
        int d = strncmp(e->gateway, gateway, len);

        if (d || e->gateway[len])
                return d ? d : 1;
        return e->epoch < epoch ? -1 : e->epoch > epoch;
}

static struct audit_epoch *epoch_of(struct audit *a, const char *gateway, size_t len, uint64_t epoch)
{
        size_t low = 0, high = a->n_epochs;
        struct audit_epoch *e;

        if (a->last < high && !compare_epoch(a->epoch[a->last], gateway, len, epoch))
                return a->epoch[a->last];
        while (low < high) {
                size_t mid = (low + high) / 2;

                if (compare_epoch(a->epoch[mid], gateway, len, epoch) < 0)
                        low = mid + 1;
                else
                        high = mid;
        }
        a->last = low;
        if (low < a->n_epochs && !compare_epoch(a->epoch[low], gateway, len, epoch))
                return a->epoch[low];
        if (a->n_epochs == a->cap_epochs) {
                a->cap_epochs = a->cap_epochs ? 2 * a->cap_epochs : 8;
                a->epoch = mem_grow(a->epoch, a->cap_epochs, sizeof(struct audit_epoch *));
        }
        memmove(a->epoch + low + 1, a->epoch + low, (a->n_epochs++ - low) * sizeof(struct audit_epoch *));
        e = a->epoch[low] = mem_alloc(sizeof(*e));
        snprintf(e->gateway, sizeof(e->gateway), "%.*s", (int)len, gateway);
        e->epoch = epoch;
        return e;
}

/* ---- heartbeats ---- */

static bool get_hash(json_t *o, const char *key, unsigned char out[SEAL_HASH])
{
        const char *hex = json_string_value(json_object_get(o, key));
        unsigned v;

        if (!hex || strlen(hex) != 2 * SEAL_HASH || strspn(hex, "0123456789abcdef") != 2 * SEAL_HASH)
                return false;
        for (int i = 0; i < SEAL_HASH; i++) {
                sscanf(hex + 2 * i, "%2x", &v);
                out[i] = (unsigned char)v;
        }
        return true;
}

static void take_stream(struct audit_epoch *e, json_t *stream)
{
        const char *name = json_string_value(json_object_get(stream, "stream"));
        struct audit_lane *l = &e->lane[name && !strcmp(name, "events") ? SPOOL_EVENTS : SPOOL_SAMPLES];
        int which = name && !strcmp(name, "backlog");
        json_t *runs = json_object_get(stream, "runs");
        struct audit_seal *s;

        if (!name || !json_array_size(runs))
                return;
        if (l->n_seals[which] == l->cap_seals[which]) {
                l->cap_seals[which] = l->cap_seals[which] ? 2 * l->cap_seals[which] : 16;
                l->seal[which] = mem_grow(l->seal[which], l->cap_seals[which], sizeof(**l->seal));
        }
        s = &l->seal[which][l->n_seals[which]];
        *s = (struct audit_seal){.n_runs = json_array_size(runs)};
        if (!get_hash(stream, "prev", s->prev) || !get_hash(stream, "chain", s->chain))
                return;
        s->run = mem_alloc(s->n_runs * sizeof(*s->run));
        for (size_t i = 0; i < s->n_runs; i++) {
                json_t *run = json_array_get(runs, i);
                int64_t first = json_integer_value(json_array_get(run, 0)),
                        last = json_integer_value(json_array_get(run, 1));

                if (first < 1 || last < first || last > SEQ_MOST || last - first > RUN_MOST ||
                    (i && (uint64_t)first <= s->run[i - 1].last)) {
                        free(s->run);
                        return;
                }
                s->run[i] = (struct seal_run){(uint64_t)first, (uint64_t)last,
                                              (uint64_t)json_integer_value(json_array_get(run, 2))};
        }
        memcpy(s->now, s->prev, SEAL_HASH);
        l->n_seals[which]++;
}

static void take_line(struct audit_epoch *e, json_t *line)
{
        const char *lane = json_string_value(json_array_get(line, 0)),
                   *why = json_string_value(json_array_get(line, 3));
        struct audit_lane *l = &e->lane[lane && !strcmp(lane, "events") ? SPOOL_EVENTS : SPOOL_SAMPLES];
        int64_t first = json_integer_value(json_array_get(line, 1)), last = json_integer_value(json_array_get(line, 2));

        if (first < 1 || last < first || last > SEQ_MOST)
                return;
        if (l->n_lines == l->cap_lines) {
                l->cap_lines = l->cap_lines ? 2 * l->cap_lines : 16;
                l->line = mem_grow(l->line, l->cap_lines, sizeof(*l->line));
        }
        l->line[l->n_lines] = (struct audit_line){.first = (uint64_t)first, .last = (uint64_t)last};
        snprintf(l->line[l->n_lines++].reason, SPOOL_REASON_MAX, "%s", why ? why : "");
}

static uint64_t upto_of(json_t *streams)
{
        uint64_t upto = 0;

        for (size_t i = 0; i < json_array_size(streams); i++) {
                uint64_t v = (uint64_t)json_integer_value(json_object_get(json_array_get(streams, i), "upto"));

                upto = v > upto ? v : upto;
        }
        return upto;
}

static void take_seal(struct audit *a, json_t *seal, bool counts)
{
        const char *gateway = json_string_value(json_object_get(seal, "gateway"));
        json_t *streams = json_object_get(seal, "streams"), *dropped = json_object_get(seal, "dropped");
        int64_t at_us = json_integer_value(json_object_get(seal, "at_us"));
        struct audit_epoch *e;

        if (!gateway || at_us < a->conf.since_us || at_us > a->conf.until_us)
                return;
        e = epoch_of(a, gateway, strlen(gateway), (uint64_t)json_integer_value(json_object_get(seal, "epoch")));
        if (!counts || json_integer_value(json_object_get(seal, "v")) != 1) {
                audit_note(&e->bad, upto_of(streams));
                return;
        }
        a->n_seals++;
        for (size_t i = 0; i < json_array_size(streams); i++)
                take_stream(e, json_array_get(streams, i));
        for (size_t i = 0; i < json_array_size(dropped); i++)
                take_line(e, json_array_get(dropped, i));
}

void audit_heartbeat(struct audit *a, const char *value, size_t len)
{
        json_t *beat = json_loadb(value, len, 0, NULL), *seal = NULL;
        const char *text = json_string_value(json_object_get(beat, "seal"));
        const char *signature = json_string_value(json_object_get(beat, "seal_signature"));

        if (text)
                seal = json_loads(text, 0, NULL);
        if (seal)
                take_seal(a, seal,
                          !a->conf.is_signed ||
                                  (signature && a->conf.is_signed(a->conf.ctx, text, strlen(text), signature)));
        json_decref(seal);
        json_decref(beat);
}

/* ---- records ---- */

static size_t place_of(const struct audit_lane *l, uint64_t seq)
{
        size_t i = (size_t)(seq * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (l->cap_stash - 1);

        while (l->stash[i].seq && l->stash[i].seq != seq)
                i = (i + 1) & (l->cap_stash - 1);
        return i;
}

const unsigned char *audit_waiting(const struct audit_lane *l, uint64_t seq)
{
        size_t i = l->n_stash ? place_of(l, seq) : 0;

        return l->n_stash && l->stash[i].seq ? l->stash[i].leaf : NULL;
}

static void grow_stash(struct audit_lane *l)
{
        struct audit_stash *old = l->stash;
        size_t cap = l->cap_stash;

        l->cap_stash = cap ? 2 * cap : 1024;
        l->stash = mem_alloc(l->cap_stash * sizeof(*l->stash));
        for (size_t i = 0; i < cap; i++)
                if (old[i].seq)
                        l->stash[place_of(l, old[i].seq)] = old[i];
        free(old);
}

static void put_aside(struct audit_lane *l, uint64_t seq, const unsigned char leaf[SEAL_HASH])
{
        size_t i;

        if (2 * l->n_stash >= l->cap_stash)
                grow_stash(l);
        i = place_of(l, seq);
        l->stash[i].seq = seq;
        memcpy(l->stash[i].leaf, leaf, SEAL_HASH);
        l->n_stash++;
}

/* The hole is closed by those behind it that would not be found over it. */
static void take_away(struct audit_lane *l, uint64_t seq)
{
        size_t hole = place_of(l, seq);

        l->stash[hole].seq = 0;
        l->n_stash--;
        for (size_t i = (hole + 1) & (l->cap_stash - 1); l->stash[i].seq; i = (i + 1) & (l->cap_stash - 1)) {
                struct audit_stash moved = l->stash[i];

                l->stash[i].seq = 0;
                l->stash[place_of(l, moved.seq)] = moved;
        }
}

static void extend(struct audit_lane *l, struct audit_seal *s, uint64_t seq, const unsigned char leaf[SEAL_HASH])
{
        const unsigned char *waits;

        seal_chain(s->now, leaf);
        s->n_found++;
        s->next = seq + 1;
        for (audit_seek(l, s); s->at < s->n_runs && (waits = audit_waiting(l, s->next)); audit_seek(l, s)) {
                seal_chain(s->now, waits);
                s->n_found++;
                take_away(l, s->next++);
        }
}

static struct audit_span *span_of(const struct audit_lane *l, uint64_t seq)
{
        size_t low = 0, high = l->n_spans;

        while (low < high) {
                size_t mid = (low + high) / 2;

                if (l->span[mid].last < seq)
                        low = mid + 1;
                else
                        high = mid;
        }
        return low < l->n_spans && l->span[low].first <= seq ? &l->span[low] : NULL;
}

/* False: it came before, and what that means is noted. */
static bool is_first(struct audit_lane *l, uint64_t seq, const unsigned char leaf[SEAL_HASH])
{
        size_t chunk = seq / AUDIT_CHUNK;
        uint64_t print, *seen;

        memcpy(&print, leaf, sizeof(print));
        print |= !print;
        if (chunk >= l->cap_seen) {
                size_t cap = 2 * chunk + 16;

                l->seen = mem_grow(l->seen, cap, sizeof(*l->seen));
                memset(l->seen + l->cap_seen, 0, (cap - l->cap_seen) * sizeof(*l->seen));
                l->cap_seen = cap;
        }
        if (!l->seen[chunk])
                l->seen[chunk] = mem_alloc(AUDIT_CHUNK * sizeof(**l->seen));
        seen = &l->seen[chunk][seq % AUDIT_CHUNK];
        if (*seen) {
                l->n_duplicates++;
                audit_note(*seen == print ? &l->twice : &l->differ, seq);
                return false;
        }
        *seen = print;
        return true;
}

static void note_behind(struct audit_lane *l, uint64_t seq)
{
        if (!l->n_behind++ || seq < l->behind_first)
                l->behind_first = seq;
        if (seq > l->behind_last)
                l->behind_last = seq;
}

static void take_record(struct audit_lane *l, uint64_t seq, const unsigned char leaf[SEAL_HASH])
{
        struct audit_span *span = span_of(l, seq);
        const struct audit_line *line = audit_line_at(l, seq);

        if (!span && (!l->n_spans || seq > l->span[l->n_spans - 1].last))
                note_behind(l, seq);
        if (line && strcmp(line->reason, "dead_letter") != 0)
                audit_note(&l->in_gap, seq);
        if (line || !span)
                return;
        if (!is_first(l, seq, leaf))
                return;
        l->n_found++;
        if (span->seal->at < span->seal->n_runs && span->seal->next == seq)
                extend(l, span->seal, seq, leaf);
        else
                put_aside(l, seq, leaf);
}

/* gateway:epoch:seq, up to the quote. */
static bool read_id(const char *id, size_t len, size_t *gateway_len, uint64_t *epoch, char *mark, uint64_t *seq)
{
        const char *quote = memchr(id, '"', len), *colon, *mid;
        char text[48];
        int n = 0;

        colon = quote ? memrchr(id, ':', (size_t)(quote - id)) : NULL;
        mid = colon ? memrchr(id, ':', (size_t)(colon - id)) : NULL;
        if (!mid || quote - mid >= (int)sizeof(text))
                return false;
        *gateway_len = (size_t)(mid - id);
        snprintf(text, sizeof(text), "%.*s", (int)(quote - mid), mid);
        *mark = colon[1];
        n = (*mark == 'e' || *mark == 'a') ? sscanf(text, ":%" SCNu64 ":%*c%" SCNu64, epoch, seq)
                                           : sscanf(text, ":%" SCNu64 ":%" SCNu64, epoch, seq);
        return n == 2 && *seq && *seq <= (uint64_t)SEQ_MOST;
}

void audit_record(struct audit *a, const char *identity, size_t identity_len, const char *value, size_t len)
{
        static const char key[] = "\"id\":\"";
        const char *text = identity_len ? identity : value;
        size_t text_len = identity_len ? identity_len : len, gateway_len;
        const char *id = text_len ? memmem(text, text_len, key, sizeof(key) - 1) : NULL;
        unsigned char leaf[SEAL_HASH];
        uint64_t epoch, seq;
        char mark;

        if (!a->arranged)
                audit_arrange(a);
        if (!id || !read_id(id + sizeof(key) - 1, (size_t)(text + text_len - id) - sizeof(key) + 1, &gateway_len,
                            &epoch, &mark, &seq)) {
                a->n_unread++;
                return;
        }
        seal_leaf(leaf, seq, identity, identity_len, value, len);
        take_record(&epoch_of(a, id + sizeof(key) - 1, gateway_len, epoch)
                             ->lane[mark == 'e' ? SPOOL_EVENTS : SPOOL_SAMPLES],
                    seq, leaf);
}
