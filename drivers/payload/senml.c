/*
 * senml: see senml.h.
 *
 * The pack is walked like any array, and the rows are then gone through in
 * order, as a base value counts from its record on (4.6).  CBOR is known by its
 * first byte; its labels are numbers (6).
 *
 * Times below 2^28 are relative to now (4.5.3).  A version above 10 is refused,
 * as RFC 8428 wants (4.4).  A record may have a value, a sum, or both; a value
 * that is null or not finite is a bad reading, as elsewhere.
 *
 * Fails: with the number of the record and a reason; nothing of the pack is
 * taken then.
 */
#include "drivers/payload/senml.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/base64.h"
#include "agent/base/text.h"
#include "drivers/payload/binary.h"

enum {
        BN = 1,
        BT,
        BU,
        BV,
        BS,
        BVER,
        N,
        U,
        V,
        VS,
        VB,
        VD,
        S,
        T,
        N_FIELDS,
        NAME_MAX = 1024,
        VERSION = 10,
        MOST_SLOTS = 1024
};

struct payload_senml {
        struct json_paths json, cbor;
        struct json_rows rows;
        char *names; /* those put together, and data that was base64 */
        size_t n_names, size;
        char why[128];
        /* Base values, as far as the pack has come. */
        struct json_value bn, bu;
        double bt, bv, bs;
};

struct payload_senml *payload_senml_new(size_t most)
{
        static const char *const json[] = {"/bn", "/bt", "/bu", "/bv", "/bs", "/bver", "/n",
                                           "/u",  "/v",  "/vs", "/vb", "/vd", "/s",    "/t"};
        static const char *const cbor[] = {"/-2", "/-3", "/-4", "/-5", "/-6", "/-1", "/0",
                                           "/1",  "/2",  "/3",  "/4",  "/8",  "/5",  "/6"};
        struct payload_senml *s = mem_alloc(sizeof(*s));
        struct err e;

        s->rows.most = most;
        BUG_ON(json_paths_walk(&s->json, "", &e) < 0 || json_paths_walk(&s->cbor, "", &e) < 0);
        for (int i = 0; i < N_FIELDS - 1; i++)
                BUG_ON(json_paths_add_in(&s->json, json[i], &e) != i + 1 ||
                       json_paths_add_in(&s->cbor, cbor[i], &e) != i + 1);
        return s;
}

void payload_senml_free(struct payload_senml *s)
{
        if (!s)
                return;
        json_paths_fini(&s->json);
        json_paths_fini(&s->cbor);
        json_rows_fini(&s->rows);
        free(s->names);
        free(s);
}

int payload_senml_paths(struct json_paths *p, struct err *e)
{
        static const char *const cells[] = {"/n", "/u", "/v", "/t", "/s", "/device", "/name"};

        if (json_paths_walk(p, "", e) < 0)
                return -1;
        for (int i = 0; i < SENML_CELLS - 1; i++)
                BUG_ON(json_paths_add_in(p, cells[i], e) != i + 1);
        return 0;
}

/* ---- parts of a record ---- */

static bool number(const struct json_value *v, double *out)
{
        int64_t i64;
        bool is_i64;

        if (v->type == SCAN_I64)
                *out = (double)v->i64;
        else if (v->type == SCAN_F64)
                *out = v->f64;
        else
                return v->type == SCAN_NUMBER && text_number(v->at, v->len, out, &i64, &is_i64);
        return isfinite(*out);
}

/* What is not there is `out` as it was. */
static const char *take_number(const struct json_value *v, double *out)
{
        return v->type == SCAN_ABSENT || number(v, out) ? NULL : "a number that is none";
}

static const char *take_bases(struct payload_senml *s, const struct json_value *row)
{
        double version = VERSION;
        const char *why = take_number(&row[BVER], &version);

        if (!why && version > VERSION)
                why = "a version (bver) that is not known";
        if (!why)
                why = take_number(&row[BT], &s->bt);
        if (!why)
                why = take_number(&row[BV], &s->bv);
        if (!why)
                why = take_number(&row[BS], &s->bs);
        if (row[BN].type != SCAN_ABSENT)
                s->bn = row[BN];
        if (row[BU].type != SCAN_ABSENT)
                s->bu = row[BU];
        return why;
}

/*
 * A text without its escapes, put behind what is in `names`, where there is
 * room for all of a pack's.
 */
static void put(struct payload_senml *s, const struct json_value *v)
{
        if (v->type != SCAN_TEXT)
                return;
        if (v->escaped) {
                s->n_names += json_unescape(s->names + s->n_names, v);
                return;
        }
        memcpy(s->names + s->n_names, v->at, v->len);
        s->n_names += v->len;
}

static struct json_value text(const char *at, size_t len)
{
        return (struct json_value){.type = len ? SCAN_TEXT : SCAN_ABSENT, .at = at, .len = (uint32_t)len};
}

static struct json_value unescaped(struct payload_senml *s, const struct json_value *v)
{
        const char *from = s->names + s->n_names;

        if (v->type != SCAN_TEXT || !v->escaped)
                return *v;
        put(s, v);
        return (struct json_value){.type = SCAN_TEXT, .at = from, .len = (uint32_t)(s->names + s->n_names - from)};
}

static const char *set_name(struct payload_senml *s, const struct json_value *row, struct json_value *out)
{
        const char *from = s->names + s->n_names;
        size_t len, at;

        put(s, &s->bn);
        put(s, &row[N]);
        len = (size_t)(s->names + s->n_names - from);
        if (!len || len > NAME_MAX)
                return len ? "a name of more than 1024 bytes" : "no name";
        for (at = len; at && from[at - 1] != '/' && from[at - 1] != ':'; at--)
                continue;
        if (at == len) /* it ends with one */
                at = 0;
        out[SENML_N] = text(from, len);
        out[SENML_DEVICE] = text(from, at ? at - 1 : 0);
        out[SENML_NAME] = text(from + at, len - at);
        return NULL;
}

static const char *take_data(struct payload_senml *s, const struct json_value *v, struct json_value *out)
{
        char *from = s->names + s->n_names;
        long len;

        *out = *v;
        if (v->type == SCAN_BYTES)
                return NULL;
        if (v->type != SCAN_TEXT)
                return "data (vd) that is none";
        len = base64_read(from, v->at, v->len);
        if (len < 0)
                return "data (vd) that is no base64";
        s->n_names += (size_t)len;
        *out = (struct json_value){.type = SCAN_BYTES, .at = from, .len = (uint32_t)len};
        return NULL;
}

static const char *set_value(struct payload_senml *s, const struct json_value *row, struct json_value *out)
{
        const struct json_value *v = &row[V];
        double f64;

        out[SENML_V].type = SCAN_ABSENT;
        if (v->type == SCAN_NULL || v->type == SCAN_ABSENT) {
                v = row[VS].type != SCAN_ABSENT ? &row[VS] : &row[VB];
                out[SENML_V] = unescaped(s, v);
                if (row[VS].type != SCAN_ABSENT && v->type != SCAN_TEXT)
                        return "a text (vs) that is none";
                if (v->type == SCAN_ABSENT && row[VD].type != SCAN_ABSENT)
                        return take_data(s, &row[VD], &out[SENML_V]);
                if (v == &row[VB] && v->type != SCAN_ABSENT && v->type != SCAN_TRUE && v->type != SCAN_FALSE)
                        return "a flag (vb) that is none";
                if (v->type == SCAN_ABSENT)
                        out[SENML_V] = row[V];
                return NULL;
        }
        if (v->type == SCAN_F64 && !isfinite(v->f64)) {
                out[SENML_V] = *v;
                return NULL;
        }
        if (!number(v, &f64))
                return "a value (v) that is no number";
        out[SENML_V] = s->bv != 0 ? (struct json_value){.type = SCAN_F64, .f64 = f64 + s->bv} : *v;
        return NULL;
}

static const char *set_sum(struct payload_senml *s, const struct json_value *row, struct json_value *out)
{
        double f64;

        out[SENML_S].type = SCAN_ABSENT;
        if (row[S].type == SCAN_ABSENT)
                return NULL;
        if (!number(&row[S], &f64))
                return "a sum (s) that is no number";
        out[SENML_S] = (struct json_value){.type = SCAN_F64, .f64 = f64 + s->bs};
        return NULL;
}

static const char *set_time(struct payload_senml *s, const struct json_value *row, int64_t now_us,
                            struct json_value *out)
{
        double t = 0, us;
        const char *why = take_number(&row[T], &t);

        t += s->bt;
        us = t * 1e6 + (t < 268435456.0 ? (double)now_us : 0);
        out[SENML_T] = (struct json_value){.type = t != 0 ? SCAN_I64 : SCAN_ABSENT};
        if (t != 0)
                out[SENML_T].i64 = fabs(us) < 9e18 ? llround(us) : 0;
        return why;
}

/* A record that only sets base values has no place in the rows. */
static const char *resolve(struct payload_senml *s, const struct json_value *row, int64_t now_us,
                           const struct json_paths *p, struct json_rows *rows, struct json_value *found)
{
        struct json_value cells[SENML_CELLS] = {{0}};
        const char *why = take_bases(s, row);

        if (!why)
                why = set_value(s, row, cells);
        if (!why)
                why = set_sum(s, row, cells);
        if (why || (cells[SENML_V].type == SCAN_ABSENT && cells[SENML_S].type == SCAN_ABSENT))
                return why;
        why = set_name(s, row, cells);
        if (!why)
                why = set_time(s, row, now_us, cells);
        cells[SENML_U] = unescaped(s, row[U].type != SCAN_ABSENT ? &row[U] : &s->bu);
        for (int i = 1; i < p->n_cells; i++)
                found[p->cell[i]] = i < SENML_CELLS ? cells[i] : (struct json_value){.type = SCAN_ABSENT};
        if (!why && !json_rows_take(p, rows, found, &row[JSON_CELL_KEY]))
                why = "more elements than max_elements";
        return why;
}

/* ---- a pack ---- */

static bool begins_array(const char *s, size_t len)
{
        while (len && (*s == ' ' || *s == '\t' || *s == '\r' || *s == '\n')) {
                s++;
                len--;
        }
        return len && *s == '[';
}

static const char *scan(struct payload_senml *s, const void *bytes, size_t len, const struct json_paths **p)
{
        struct json_value found[N_FIELDS];
        struct json_wrong wrong;
        bool is_cbor = (*(const unsigned char *)bytes & 0xe0) == 0x80;
        int r;

        *p = is_cbor ? &s->cbor : &s->json;
        s->rows.n = 0;
        s->rows.entered = s->rows.over = false;
        if (!is_cbor && !begins_array(bytes, len))
                return "no SenML: an array was expected";
        if (is_cbor)
                r = payload_binary_scan(*p, payload_cbor_token, bytes, len, found, &s->rows, &wrong);
        else
                r = json_scan_rows(*p, bytes, len, found, &s->rows, &wrong);
        if (r < 0)
                snprintf(s->why, sizeof(s->why), "no SenML: %s (byte %zu)", wrong.why, wrong.byte);
        else if (!s->rows.entered)
                snprintf(s->why, sizeof(s->why), "no SenML: an array was expected");
        return r < 0 || !s->rows.entered ? s->why : NULL;
}

/* Names and texts of all records, base names as often as they count. */
static void make_room(struct payload_senml *s, const struct json_paths *p, size_t len)
{
        size_t need = len + 1, base = 0;

        for (size_t i = 0; i < s->rows.n; i++) {
                const struct json_value *row = json_rows_at(p, &s->rows, i);

                if (row[BN].type == SCAN_TEXT)
                        base = row[BN].len < NAME_MAX ? row[BN].len : NAME_MAX;
                need += base;
        }
        need += s->rows.n * NAME_MAX; /* base units with escapes, again and again */
        if (need > s->size) {
                s->size = need;
                s->names = mem_grow(s->names, need, 1);
        }
}

const char *payload_senml_read(struct payload_senml *s, const void *bytes, size_t len, int64_t now_us,
                               const struct json_paths *p, struct json_rows *rows)
{
        struct json_value found[MOST_SLOTS];
        const struct json_paths *own;
        const char *why;

        if (!len)
                return "empty";
        why = scan(s, bytes, len, &own);
        if (why)
                return why;
        make_room(s, own, len);
        s->n_names = 0;
        s->bn = s->bu = (struct json_value){.type = SCAN_ABSENT};
        s->bt = s->bv = s->bs = 0;
        json_rows_begin(rows);
        for (size_t i = 0; i < s->rows.n && !why; i++) {
                const struct json_value *row = json_rows_at(own, &s->rows, i);

                if ((row[BN].type == SCAN_TEXT && row[BN].len > NAME_MAX) ||
                    (row[BU].type == SCAN_TEXT && row[BU].len > NAME_MAX))
                        why = "a name of more than 1024 bytes";
                else
                        why = resolve(s, row, now_us, p, rows, found);
                if (why)
                        snprintf(s->why, sizeof(s->why), "record %zu: %s", i, why);
        }
        return why ? s->why : NULL;
}
