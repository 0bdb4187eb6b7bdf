/*
 * reading_view: three forms of the same row.
 *
 * The record's form is made by the uplink's own encoder, so that what `spool
 * tail --json` shows is what Kafka gets, byte for byte.  For people and for a
 * pipe it is one line with fixed columns (rows stream, so widths can't be
 * gathered first). CSV is RFC 4180: a header, quotes where they are needed.
 *
 * Nothing fails here; a write error stays in the stream, and the caller of a
 * long listing asks out_broken().
 */
#include "agent/cli/reading_view.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/base/text.h"

enum { PEOPLE_VALUE_MAX = 160, TAGS_MAX = 1 << 20 };

static size_t put_hex(char *out, size_t cap, const char *bytes, size_t len)
{
        size_t at = (size_t)snprintf(out, cap, "0x");

        for (size_t i = 0; i < len && at + 3 <= cap; i++)
                at += (size_t)snprintf(out + at, cap - at, "%02x", (unsigned char)bytes[i]);
        return at;
}

static size_t put_text(char *out, size_t cap, const char *text, size_t len)
{
        size_t n = len < cap ? len : cap - 1;

        while (n < len && n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
                n--;
        memcpy(out, text, n);
        out[n] = '\0';
        return n;
}

size_t view_put_value(char *out, size_t cap, const struct reading *r)
{
        char number[TEXT_DOUBLE_MAX];

        out[0] = '\0';
        switch (r->type) {
        case READING_F64:
                return put_text(out, cap, number, text_put_double(number, r->v.f64));
        case READING_I64:
                return put_text(out, cap, number, text_put_i64(number, r->v.i64));
        case READING_BOOL:
                return r->v.b ? put_text(out, cap, "true", 4) : put_text(out, cap, "false", 5);
        case READING_TEXT:
                return put_text(out, cap, r->v.text, r->len);
        case READING_RAW:
                return put_hex(out, cap, r->v.text, r->len);
        default:
                return 0;
        }
}

/* Of the doubles that are the same float32, the one with the fewest digits. */
static double as_float32(double v)
{
        char digits[32];

        for (int n = 6; n <= 9; n++) {
                snprintf(digits, sizeof(digits), "%.*g", n, v);
                if (strtof(digits, NULL) == (float)v)
                        return strtod(digits, NULL);
        }
        return v;
}

size_t view_put_shown(char *out, size_t cap, const struct reading *r)
{
        struct reading shown = *r;

        if (r->type == READING_F64 && fabs(r->v.f64) < FLT_MAX && fabs(r->v.f64) > FLT_MIN &&
            (double)(float)r->v.f64 == r->v.f64)
                shown.v.f64 = as_float32(r->v.f64);
        return view_put_value(out, cap, &shown);
}

size_t view_put_quality(char *out, size_t cap, unsigned quality)
{
        const char *reason = quality_reason(quality);

        return (size_t)snprintf(out, cap, "%s%s%s", quality_name(quality), reason ? "/" : "", reason ? reason : "");
}

const char *view_flag_name(unsigned bit)
{
        static const struct {
                unsigned bit;
                const char *name;
        } names[] = {
                {READING_SOURCE_TIME, "source_time"},       {READING_CLOCK_UNSYNCED, "clock_unsynced"},
                {READING_TIME_UNTRUSTED, "time_untrusted"}, {READING_TIME_MOVED, "time_moved"},
                {READING_HISTORICAL, "historical"},         {READING_TIME_REPAIRED, "time_repaired"},
                {READING_AGGREGATE, "aggregate"},           {READING_RETAINED, "retained"},
                {READING_TIME_BACK, "time_back"},           {READING_TEST, "test"},
        };

        for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
                if (names[i].bit == bit)
                        return names[i].name;
        return NULL;
}

void view_init(struct view *v, struct out *out, enum view_form form, const struct spool_query *q)
{
        struct uplink_identity id = {.gateway = spool_query_gateway(q), .epoch = spool_query_epoch(q)};

        *v = (struct view){.out = out, .form = form};
        record_encoder_init(&v->encoder, &id);
}

void view_fini(struct view *v)
{
        record_encoder_fini(&v->encoder);
        free(v->buf);
}

static void reserve(struct view *v, size_t need)
{
        if (need <= v->cap)
                return;
        v->cap = need + need / 2;
        v->buf = mem_grow(v->buf, v->cap, 1);
}

const char *view_record(struct view *v, const struct spool_query_row *row, size_t *len)
{
        struct spool_row r = {.seq = row->seq, .r = row->r, .a = row->a};
        struct tag tag = {
                .source = row->source, .name = row->name, .unit = row->unit, .labels = row->labels, .driver = ""};

        if (r.r.tag > TAGS_MAX) /* of none, or damaged: the encoder has a place for each below */
                r.r.tag = TAGS_MAX;
        reserve(v, record_bound(&v->encoder, &tag, &r) + 1);
        *len = record_encode_sample(&v->encoder, v->buf, v->cap - 1, &tag, &r);
        v->buf[*len] = '\0';
        return v->buf;
}

static void row_record(struct view *v, const struct spool_query_row *row)
{
        size_t len;
        const char *s = view_record(v, row, &len);

        fwrite(s, 1, len, v->out->f);
        fputc('\n', v->out->f);
}

static void put_csv_text(FILE *f, const char *s)
{
        if (!strpbrk(s, ",\"\r\n")) {
                fputs(s, f);
                return;
        }
        fputc('"', f);
        for (; *s; s++) {
                if (*s == '"')
                        fputc('"', f);
                fputc(*s, f);
        }
        fputc('"', f);
}

static void row_csv(struct view *v, const struct spool_query_row *row)
{
        FILE *f = v->out->f;
        char ts[TEXT_TIME_MAX], quality[48];

        reserve(v, 2 * (size_t)row->r.len + 64);
        fprintf(f, "%" PRIu64 ",%.*s,", row->seq, (int)text_put_time(ts, row->r.ts_us), ts);
        fprintf(f, "%s,%s,", row->source, row->name);
        view_put_value(v->buf, v->cap, &row->r);
        put_csv_text(f, v->buf);
        fputc(',', f);
        put_csv_text(f, row->unit);
        view_put_quality(quality, sizeof(quality), row->r.quality);
        fprintf(f, ",%s,%s\n", quality, row->delivered ? "delivered" : "held");
}

/* To the millisecond, by the people's clock. */
static void put_fine_time(char *s, size_t cap, int64_t us, bool utc)
{
        enum { SECONDS = sizeof("2026-11-23 10:00:00") - 1 };
        char whole[64];

        if (out_put_time(whole, sizeof(whole), us, utc) <= SECONDS)
                snprintf(s, cap, "%s", whole);
        else
                snprintf(s, cap, "%.*s.%03d%s", SECONDS, whole, (int)((us % 1000000 + 1000000) % 1000000 / 1000),
                         whole + SECONDS);
}

static void row_people(struct view *v, const struct spool_query_row *row)
{
        char ts[80], tag[2 * TEXT_NAME_MAX + 2], value[PEOPLE_VALUE_MAX], clean[PEOPLE_VALUE_MAX], quality[48];
        const char *off = out_off(v->out), *on = "", *state = row->delivered ? "delivered" : "held";
        bool terminal = v->out->terminal;

        if (terminal)
                put_fine_time(ts, sizeof(ts), row->r.ts_us, v->out->utc);
        else
                ts[text_put_time(ts, row->r.ts_us)] = '\0';
        snprintf(tag, sizeof(tag), "%s/%s", row->source, row->name);
        (terminal ? view_put_shown : view_put_value)(value, sizeof(value), &row->r);
        out_put_clean(clean, sizeof(clean), value[0] ? value : "-");
        view_put_quality(quality, sizeof(quality), row->r.quality);
        if (row->r.quality != QUALITY_GOOD)
                on = out_on(v->out, quality_is_bad(row->r.quality) ? OUT_RED : OUT_YELLOW);
        if (terminal)
                fprintf(v->out->f, "%10" PRIu64 "  %s  %-28s  %14s %-6s  %s%s%s  %s\n", row->seq, ts, tag, clean,
                        row->unit, on, quality, on[0] ? off : "", state);
        else
                fprintf(v->out->f, "%" PRIu64 "\t%s\t%s\t%s\t%s\t%s\t%s\n", row->seq, ts, tag, clean, row->unit,
                        quality, state);
}

void view_head(struct view *v)
{
        const char *on = out_on(v->out, OUT_BOLD), *off = out_off(v->out);

        if (v->form == VIEW_CSV)
                fputs("seq,ts,source,tag,value,unit,quality,state\n", v->out->f);
        else if (v->form == VIEW_PEOPLE && v->out->terminal)
                fprintf(v->out->f, "%s%10s  %-27s  %-28s  %14s %-6s  %s  %s%s\n", on, "SEQ", "TIME", "TAG", "VALUE",
                        "UNIT", "QUALITY", "STATE", off);
        else if (v->form == VIEW_PEOPLE)
                fputs("SEQ\tTIME\tTAG\tVALUE\tUNIT\tQUALITY\tSTATE\n", v->out->f);
}

void view_row(struct view *v, const struct spool_query_row *row)
{
        if (v->form == VIEW_RECORD)
                row_record(v, row);
        else if (v->form == VIEW_CSV)
                row_csv(v, row);
        else
                row_people(v, row);
}
