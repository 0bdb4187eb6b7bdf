/*
 * house_fill: a spool that has something of all that a spool can hold.
 *
 * Readings of every type, two of them aggregates; tags with a unit, with
 * labels, with a unit that changed; events; an alarm that is active, one that
 * is shelved, their journal; what a rule has learned; a ledger, dead letters,
 * a quarantine, a rescue; a watermark, and a range ahead of it. Part of it is
 * in the WAL.  How it fails: it ends the program.
 */
#include "tests/fuzz/house_fill.h"

#include <sqlite3.h>
#include <string.h>
#include <unistd.h>

#include "tests/fault/old_format.h"

enum { ROWS = 40, LONG_BYTES = 9000, S = 1000000 };

const char house_rules[] =
        "alarms:\n"
        " - {name: hot, match: \"*/temp\", rule: limits, hi: 90, hihi: 95, latching: true, re_alarm: 10s}\n"
        " - {name: odd, match: \"*/temp\", rule: deviation, sigma: 6, half_life: 60s, warm_up: 5s}\n"
        " - {name: state, match: \"*/state\", rule: off_normal, normal: run, ack_required: false}\n"
        " - {name: quiet, match: \"press-1/*\", rule: silent, after: 60s}\n";

static void take(struct house *h, const char *name, struct reading r)
{
        const char *labels = strcmp(name, "lab") ? "" : "\"line\":\"l1\",\"cell\":\"3\"";

        BUG_ON(tags_intern(h->agent.tags, "press-1", name, !strcmp(name, "temp") ? "degC" : NULL, labels, "send",
                           &r.tag) != 0);
        r.ts_us = r.arrival_us = h->sim.now.wall_us;
        BUG_ON(pipeline_take(&h->agent.pipeline, &r, 1, true) != 0);
}

static struct reading text_of(const char *text, size_t len, enum reading_type type)
{
        return (struct reading){.type = type, .v.text = text, .len = (uint32_t)len};
}

static void take_round(struct house *h, int i)
{
        static char text[LONG_BYTES];
        double hot = i == 12 || i == 13 ? 97.5 : 71.3;

        memset(text, 'x', sizeof(text));
        take(h, "temp", (struct reading){.type = READING_F64, .v.f64 = hot + i % 3 / 10.0, .mid = (uint16_t)(i + 1)});
        take(h, "lab", (struct reading){.type = READING_I64, .v.i64 = i == 5 ? INT64_C(1) << 60 : i});
        take(h, "on", (struct reading){.type = READING_BOOL, .v.b = i & 1, .flags = READING_RETAINED});
        if (i % 4 == 0)
                take(h, "state", text_of(i == 8 ? "jam" : "run", 3, READING_TEXT));
        if (i == 6)
                take(h, "raw", text_of("\x01\x00\xff{", 4, READING_RAW));
        if (i == 7)
                take(h, "state", text_of(text, sizeof(text), READING_TEXT));
        if (i == 9)
                take(h, "temp", (struct reading){.type = READING_NONE, .quality = QUALITY_BAD_NOT_CONNECTED});
}

/* With an agent, so that rules see them. */
static void fill_with_readings(struct house *h)
{
        struct err e;
        char name[] = "press-1/temp/hot.hi";
        struct alarm_key key = {0};

        BUG_ON(house_open(h, &e) < 0);
        fake_sink_set_away(&h->kafka, true);
        for (int i = 0; i < ROWS; i++) {
                take_round(h, i);
                house_run_for(h, S / 2);
        }
        BUG_ON(!alarm_key_cut(name, &key));
        BUG_ON(alarms_command(h->agent.alarms, &key, ALARM_SHELVE, h->sim.now.wall_us + INT64_C(7200000000), "lee",
                              "test run") != 0);
        spool_quarantine(h->agent.spool, "plant", "factory/l1/press-1", "no JSON", "{\"a\":", 5);
        house_close(h);
}

/* Without, so that nothing else moves a watermark. */
static void fill_with_acks(struct house *h)
{
        static const char body[] = "\"kind\":\"link\",\"state\":\"down\"";
        struct spool_conf conf = h->conf->spool;
        struct tags *tags = tags_new(50);
        struct spool *s;
        struct err e;
        struct reading r = {.type = READING_F64, .v.f64 = 1e300};

        rt_sim_init(&h->sim, 2, INT64_C(1795428000000000) + 60 * (int64_t)S);
        BUG_ON(spool_open(&s, &h->sim.rt, &conf, "gw-7", tags, NULL, &e) < 0);
        spool_ack(s, SPOOL_SAMPLES, 10);
        spool_ack(s, SPOOL_EVENTS, 2);
        spool_dead_letter(s, SPOOL_SAMPLES, 12, "too large");
        spool_dead_letter(s, SPOOL_EVENTS, 3, "refused");
        house_run_for(h, 2 * S);
        spool_ack_ahead(s, 30, 35);
        spool_refuse(s, 3, "memory_full");
        house_run_for(h, 2 * S);
        BUG_ON(tags_intern(tags, "press-1", "temp", "degF", "", "send", &r.tag) != 0);
        for (int i = 0; i < 5; i++) {
                r.ts_us = r.arrival_us = h->sim.now.wall_us;
                BUG_ON(spool_append(s, &r) != 0);
                spool_append_event(s, r.ts_us, "link", 100, i & 1 ? r.tag : SPOOL_NO_TAG, body, sizeof(body) - 1);
                house_run_for(h, 2 * S);
        }
        spool_abandon(s);
        tags_free(tags);
        rt_sim_fini(&h->sim);
}

static void run_sql(const struct house *h, const char *sql, bool keep_wal)
{
        sqlite3 *c;

        BUG_ON(sqlite3_open(h->path, &c) != SQLITE_OK);
        sqlite3_db_config(c, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, (int)keep_wal, NULL);
        BUG_ON(sqlite3_exec(c, sql, NULL, NULL, NULL) != SQLITE_OK);
        sqlite3_close(c);
}

void house_fill(struct house *h, struct house_files files[HOUSE_STATES])
{
        fill_with_readings(h);
        fill_with_acks(h);
        run_sql(h,
                "UPDATE sample SET bits = bits | 64 << 43 WHERE seq IN (20, 24);"
                "INSERT INTO aggregate VALUES (20, 60, 71.2, 71.9), (24, 3, NULL, NULL);"
                "INSERT INTO rescue VALUES (1, 1795427000000000, 'spool.db.damaged-1', 5, 100, 3, 2, '7-8', NULL);",
                true);
        house_keep(h, &files[HOUSE_KILLED]);
        run_sql(h, "PRAGMA wal_checkpoint(TRUNCATE)", false);
        house_keep(h, &files[HOUSE_CLOSED]);
        run_sql(h, OLD_FORMAT_SQL "PRAGMA wal_checkpoint(TRUNCATE)", false);
        house_keep(h, &files[HOUSE_OLD]);
}
