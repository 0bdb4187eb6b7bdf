/*
 * test_spool_rescue: files damaged on purpose; what is readable goes on in a fresh spool, the file itself is kept, and
 * what is not ours is not touched.
 */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/base/log.h"
#include "store/batch.h"
#include "tests/lib/db.h"
#include "tests/lib/spool_fixture.h"

static uint64_t filled_epoch; /* of what was damaged */

static struct {
        const char *from, *to;
} at_sync; /* done when a file is synced next */

/* Stands before libc's, for SQLite as well. */
int fdatasync(int fd)
{
        if (at_sync.from)
                rename(at_sync.from, at_sync.to);
        at_sync.from = NULL;
        return fsync(fd);
}

enum { ROWS = 6000, ACKED = 1000, LONG_EVERY = 50, LONG_BYTES = 9000, N_TAGS = 5 };

/* Row `seq` holds seq: as a number, or at the head of a text that needs overflow pages. */
static void append_all(struct fixture *h)
{
        static char text[LONG_BYTES];

        for (uint64_t seq = 1; seq <= ROWS; seq++) {
                struct reading r = {.ts_us = h->sim.now.wall_us, .arrival_us = h->sim.now.wall_us, .type = READING_I64};
                char name[16];

                snprintf(name, sizeof(name), "tag-%d", (int)(seq % N_TAGS));
                assert_int_equal(tags_intern(h->tags, "press-1", name, "degC", "", "sim", &r.tag), 0);
                r.v.i64 = (int64_t)seq;
                if (seq % LONG_EVERY == 0) {
                        memset(text, 'x', sizeof(text));
                        text[sprintf(text, "%" PRIu64, seq)] = ' ';
                        r.type = READING_TEXT;
                        r.v.text = text;
                        r.len = sizeof(text);
                }
                assert_int_equal(spool_append(h->spool, &r), 0);
                if (seq % 500 == 0)
                        fixture_run_for(h, 2000000);
        }
}

/* One that an operator shelved, with what was said, and one that is active. */
static void put_alarms(struct fixture *h)
{
        struct spool_alarm a = {.source = "press-1",
                                .tag = "tag-1",
                                .rule = "hot",
                                .limit_kind = "hi",
                                .state = "active",
                                .active = true,
                                .unacked = true,
                                .activations = 3,
                                .severity = 700,
                                .since_us = h->sim.now.wall_us,
                                .event_id = "00112233445566778899"};
        struct spool_alarm_note n = {.at_us = h->sim.now.wall_us,
                                     .source = "press-1",
                                     .tag = "tag-1",
                                     .rule = "hot",
                                     .limit_kind = "hi",
                                     .change = "active",
                                     .by = "",
                                     .comment = "",
                                     .value = 96.5,
                                     .limit = NAN,
                                     .severity = 700};

        spool_put_alarm(h->spool, &a);
        spool_note_alarm(h->spool, &n);
        fixture_run_for(h, 2000000);
        a.tag = n.tag = "";
        spool_put_alarm(h->spool, &a);
        a.tag = n.tag = "tag-1";
        a.state = "shelved";
        a.visibility = 1;
        a.since_us = n.at_us = h->sim.now.wall_us;
        a.shelved_until_us = a.since_us + 7200000000;
        n.change = "shelved";
        n.by = "lee";
        n.comment = "test run";
        spool_put_alarm(h->spool, &a);
        spool_note_alarm(h->spool, &n);
        fixture_run_for(h, 2000000);
}

/* ACKED delivered, two seqs in the ledger, an event, and the rest held; in the database and in the WAL. */
static void fill(struct fixture *h, bool clean)
{
        static const char body[] = "\"kind\":\"link\",\"state\":\"down\"";

        assert_true(fixture_try_open(h));
        filled_epoch = fixture_counts(h).epoch;
        put_alarms(h);
        append_all(h);
        spool_append_event(h->spool, h->sim.now.wall_us, "link", 100, SPOOL_NO_TAG, body, sizeof(body) - 1);
        spool_ack(h->spool, SPOOL_SAMPLES, ACKED);
        spool_dead_letter(h->spool, SPOOL_SAMPLES, 3000, "too large");
        fixture_run_for(h, 3000000);
        if (clean)
                fixture_close(h);
        else
                fixture_cut_power(h);
}

static int setup(void **state)
{
        struct fixture *h = calloc(1, sizeof(*h));

        fixture_init(h, "spool_rescue", 7);
        h->conf.keep_delivered_us = 3600000000;
        log_init((enum log_level)0);
        *state = h;
        return 0;
}

static int teardown(void **state)
{
        struct fixture *h = *state;

        fixture_fini(h);
        free(h);
        return 0;
}

/* ---- damage ---- */

static off_t size_of(const char *path)
{
        struct stat st;

        return stat(path, &st) == 0 ? st.st_size : -1;
}

static void overwrite(const char *path, off_t at, int byte, size_t n)
{
        char *junk = malloc(n);
        int fd = open(path, O_WRONLY);

        memset(junk, byte, n);
        assert_int_equal(pwrite(fd, junk, n, at), n);
        close(fd);
        free(junk);
}

static char *beside(const struct fixture *h, const char *suffix)
{
        static char name[TEMP_PATH_MAX];

        return temp_dir_beside(h->path, suffix, name);
}

static void run_sql(const char *path, const char *sql)
{
        sqlite3 *c;

        assert_int_equal(sqlite3_open(path, &c), SQLITE_OK);
        assert_int_equal(sqlite3_exec(c, sql, NULL, NULL, NULL), SQLITE_OK);
        sqlite3_db_config(c, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        sqlite3_close(c);
}

static void copy(const char *from, const char *to)
{
        char buf[65536];
        int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0640);
        ssize_t n;

        assert_true(in >= 0 && out >= 0);
        while ((n = read(in, buf, sizeof(buf))) > 0)
                assert_int_equal(write(out, buf, (size_t)n), n);
        close(in);
        close(out);
}

static void garbage_header(struct fixture *h)
{
        overwrite(h->path, 0, 0xa5, 100);
}

static void no_version_of_writing(struct fixture *h)
{
        overwrite(h->path, 18, 0xfa, 1);
}

static void no_version_of_reading(struct fixture *h)
{
        overwrite(h->path, 19, 0xfa, 1);
}

static void zeroed_first_page(struct fixture *h)
{
        overwrite(h->path, 0, 0, PAGE_BYTES);
}

/* As files were made before. */
static void give_old_pages(struct fixture *h)
{
        run_sql(h->path, "PRAGMA journal_mode=DELETE; PRAGMA page_size=4096; VACUUM; PRAGMA journal_mode=WAL");
        assert_int_equal(db_ask(h->path, "PRAGMA page_size"), 4096);
        unlink(beside(h, "-wal"));
        unlink(beside(h, "-shm"));
}

static void old_pages_without_a_header(struct fixture *h)
{
        give_old_pages(h);
        overwrite(h->path, 0, 0xa5, 100);
}

static void old_pages_without_the_first(struct fixture *h)
{
        give_old_pages(h);
        overwrite(h->path, 0, 0, 4096);
}

static void old_pages_that_say_new(struct fixture *h)
{
        give_old_pages(h);
        overwrite(h->path, 16, PAGE_BYTES >> 8, 1);
}

static void new_pages_that_say_old(struct fixture *h)
{
        overwrite(h->path, 16, 4096 >> 8, 1);
}

static void torn_first_page(struct fixture *h)
{
        overwrite(h->path, 110, 0xff, PAGE_BYTES - 196); /* behind the header of its tree */
}

/* The root of `sample`: SQLite can't reach a single row any more. */
static void no_root(struct fixture *h)
{
        off_t root = db_ask(h->path, "SELECT rootpage FROM sqlite_master WHERE name = 'sample'");

        overwrite(h->path, (root - 1) * PAGE_BYTES, 0x5a, PAGE_BYTES);
        unlink(beside(h, "-shm"));
}

static void no_tags(struct fixture *h)
{
        off_t root = db_ask(h->path, "SELECT rootpage FROM sqlite_master WHERE name = 'tag'");

        overwrite(h->path, (root - 1) * PAGE_BYTES, 0x5a, PAGE_BYTES);
}

static void cut_in_half(struct fixture *h)
{
        assert_int_equal(truncate(h->path, size_of(h->path) / 2 / PAGE_BYTES * PAGE_BYTES + 1000), 0);
}

static void cut_to_nothing(struct fixture *h)
{
        assert_int_equal(truncate(h->path, 0), 0);
}

static void foreign_wal(struct fixture *h)
{
        char other[TEMP_PATH_MAX];

        run_sql(beside(h, "-other"), "PRAGMA page_size=4096; PRAGMA application_id=99; PRAGMA journal_mode=WAL;"
                                     "CREATE TABLE t(x); INSERT INTO t VALUES (1)");
        copy(temp_dir_beside(h->path, "-other-wal", other), beside(h, "-wal"));
        unlink(beside(h, "-shm"));
        unlink(beside(h, "-other"));
        unlink(beside(h, "-other-wal"));
        unlink(beside(h, "-other-shm"));
}

static void marked(struct fixture *h)
{
        int fd = open(beside(h, ".damaged"), O_WRONLY | O_CREAT, 0640);

        close(fd);
}

/* What thins rows out, with all of its pages in the WAL but the one that would end it. */
static void commit_cut_short(struct fixture *h)
{
        enum { FRAME_HEAD = 24 };

        run_sql(h->path, "DELETE FROM sample WHERE seq > 2000 AND seq % 9");
        assert_int_equal(truncate(beside(h, "-wal"), size_of(beside(h, "-wal")) - PAGE_BYTES - FRAME_HEAD), 0);
        marked(h);
}

static void swapped_tags(struct fixture *h)
{
        run_sql(h->path, "UPDATE tag SET id = 90 WHERE id = 2");
}

static void no_meta(struct fixture *h)
{
        run_sql(h->path, "DELETE FROM meta WHERE key = 'epoch'");
}

/* ---- what must come of it ---- */

static char *aside_of(const struct fixture *h)
{
        static char name[TEMP_PATH_MAX];
        struct dirent *d;
        DIR *dir = opendir(h->dir.path);

        name[0] = '\0';
        while ((d = readdir(dir)))
                if (strstr(d->d_name, ".corrupt-") && !strstr(d->d_name, "-wal") && !strstr(d->d_name, "-shm"))
                        temp_dir_path(&h->dir, d->d_name, name);
        closedir(dir);
        return name;
}

struct damage {
        const char *what;
        void (*make)(struct fixture *h);
        bool clean;     /* all in the database, no WAL */
        uint64_t least; /* readings that can be carried over */
};

/* In order, each what it was under its old seq, nothing delivered, dropped or twice; lost + carried = held. */
static void check_alarms(struct fixture *h)
{
        assert_int_equal(db_ask(h->path, "SELECT count(*) FROM alarm"), 2);
        assert_int_equal(db_ask(h->path,
                                "SELECT visibility || severity || activations || active || unacked FROM alarm"
                                " WHERE tag = 'tag-1' AND state = 'shelved' AND event_id = '00112233445566778899'"
                                " AND shelved_until_us = since_us + 7200000000"),
                         1700311);
        assert_int_equal(db_ask(h->path, "SELECT visibility FROM alarm WHERE tag = '' AND state = 'active'"), 0);
        assert_int_equal(db_ask(h->path, "SELECT count(*) FROM alarm_log"), 2);
        assert_int_equal(db_ask(h->path, "SELECT operator = 'lee' AND comment = 'test run' AND change = 'shelved' AND"
                                         " limit_value IS NULL AND value = 96.5 FROM alarm_log WHERE id = 2"),
                         1);
        assert_int_equal(db_ask(h->path, "SELECT value FROM meta WHERE key = 'alarm_told'"), 0);
}

static void check_new_epoch(struct fixture *h)
{
        uint64_t epoch = fixture_counts(h).epoch;

        assert_true(epoch > filled_epoch);
        filled_epoch = epoch;
}

static void check_carried(struct fixture *h, const struct damage *d)
{
        int64_t n = db_ask(h->path, "SELECT count(*) FROM reading"),
                lost = db_ask(h->path, "SELECT lost_n FROM rescue");
        struct spool_counts c;

        spool_counts(h->spool, &c);
        check_new_epoch(h);
        assert_int_equal(c.held, n);
        assert_int_equal(c.accepted, n + lost);
        assert_int_equal(c.dropped, lost);
        assert_int_equal(lost, db_ask(h->path, "SELECT coalesce(sum(n), 0) FROM dropped WHERE reason = 'lost'"));
        assert_true((uint64_t)n >= d->least);
        assert_int_equal(db_ask(h->path, "SELECT readings FROM rescue"), n);
        assert_int_equal(db_ask(h->path,
                                "SELECT count(*) FROM (SELECT cast(value AS INTEGER) v, lag(cast(value AS INTEGER))"
                                " OVER (ORDER BY seq) p FROM reading) WHERE v <= p"),
                         0);
        assert_int_equal(db_ask(h->path, "SELECT count(*) FROM reading WHERE cast(value AS INTEGER) = 3000"), 0);
        assert_int_equal(db_ask(h->path,
                                "SELECT count(*) FROM reading WHERE typeof(value) = 'text' AND (length(value) <>"
                                " 9000 OR cast(value AS INTEGER) % 50 <> 0)"),
                         0);
        assert_int_equal(
                db_ask(h->path, "SELECT count(*) FROM reading WHERE cast(value AS INTEGER) % 5 <> (tag + 1) % 5"), 0);
        if (d->least == ROWS - ACKED - 1)
                assert_int_equal(lost, 0);
        assert_int_equal(access(beside(h, ".damaged"), F_OK), -1);
        assert_int_equal(
                db_ask(h->path, "SELECT count(*) = 1 AND max(integrity_check) = 'ok' FROM pragma_integrity_check"), 1);
}

static void check_goes_on(struct fixture *h)
{
        struct reading r = {.ts_us = h->sim.now.wall_us, .arrival_us = h->sim.now.wall_us, .type = READING_F64};
        struct spool_counts before, c;

        spool_counts(h->spool, &before);
        assert_int_equal(tags_intern(h->tags, "press-1", "tag-1", "degC", "", "sim", &r.tag), 0);
        assert_int_equal(spool_append(h->spool, &r), 0);
        fixture_run_for(h, 3000000);
        spool_counts(h->spool, &c);
        assert_int_equal(c.accepted, before.accepted + 1);
        assert_true(db_ask(h->path, "SELECT count(*) FROM event WHERE kind = 'spool_rescue' AND severity = 900") == 1);
        fixture_close(h);
        assert_true(fixture_try_open(h));
        spool_counts(h->spool, &c);
        assert_int_equal(c.epoch, before.epoch);
        assert_int_equal(c.accepted, before.accepted + 1);
}

static void what_is_readable_is_carried_over(void **state)
{
        static const struct damage all[] = {
                {"garbage header", garbage_header, true, ROWS - ACKED - 1},
                {"header's version of writing", no_version_of_writing, true, ROWS - ACKED - 1},
                {"header's version of reading", no_version_of_reading, true, ROWS - ACKED - 1},
                {"first page zeroed", zeroed_first_page, true, ROWS - ACKED - 1},
                {"old pages, garbage header", old_pages_without_a_header, true, ROWS - ACKED - 1},
                {"old pages, first one zeroed", old_pages_without_the_first, true, ROWS - ACKED - 1},
                {"old pages, header says new", old_pages_that_say_new, true, ROWS - ACKED - 1},
                {"header says old pages", new_pages_that_say_old, true, ROWS - ACKED - 1},
                {"first page torn", torn_first_page, true, ROWS - ACKED - 1},
                {"no root of the readings", no_root, true, ROWS - ACKED - 1},
                {"no tag table", no_tags, true, ROWS - ACKED - 1},
                {"cut in half", cut_in_half, true, 1},
                {"cut to nothing, WAL", cut_to_nothing, false, 1},
                {"another database's WAL", foreign_wal, true, ROWS - ACKED - 1},
                {"marked while it ran", marked, true, ROWS - ACKED - 1},
                {"marked while it ran, WAL", marked, false, ROWS - ACKED - 1},
                {"a commit that was cut short", commit_cut_short, false, ROWS - ACKED - 1},
                {"a tag's id changed", swapped_tags, true, ROWS - ACKED - 1},
                {"no epoch", no_meta, true, ROWS - ACKED - 1},
        };

        for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
                struct fixture *h;
                off_t before;

                print_message("%s\n", all[i].what);
                if (i) {
                        teardown(state);
                        setup(state);
                }
                h = *state;
                fill(h, all[i].clean);
                all[i].make(h);
                before = size_of(h->path);
                if (!fixture_try_open(h))
                        fail_msg("%s", h->e.text);
                assert_true(*aside_of(h));
                assert_int_equal(size_of(aside_of(h)), before);
                check_carried(h, &all[i]);
                if (all[i].least > 1)
                        check_alarms(h);
                check_goes_on(h);
        }
}

/* Overflow pages begin with a page number, leaves of tables with 13. */
static off_t leaf_in_the_middle(const char *path)
{
        off_t at = size_of(path) / 2 / PAGE_BYTES * PAGE_BYTES;
        int fd = open(path, O_RDONLY);
        char first = 0;

        for (; first != 13; at += PAGE_BYTES)
                assert_int_equal(pread(fd, &first, 1, at), 1);
        close(fd);
        return at - PAGE_BYTES;
}

/* A page in the middle that SQLite has no reason to look at when opening. */
static void a_hole_is_told_by_its_seqs(void **state)
{
        struct fixture *h = *state;
        off_t at;

        fill(h, true);
        at = leaf_in_the_middle(h->path);
        overwrite(h->path, at, 0, PAGE_BYTES);
        marked(h);
        assert_true(fixture_try_open(h));
        assert_true(db_ask(h->path, "SELECT lost_n BETWEEN 1 AND 300 FROM rescue"));
        assert_int_equal(db_ask(h->path, "SELECT lost_n + readings FROM rescue"), ROWS - ACKED - 1);
        assert_int_equal(db_ask(h->path,
                                "SELECT lost_n = (SELECT sum(gap) FROM (SELECT cast(value AS INTEGER) - lag(cast("
                                "value AS INTEGER), 1, 1000) OVER (ORDER BY seq) - 1 AS gap FROM reading)) - 1"
                                " FROM rescue"),
                         1);
        assert_int_equal(db_ask(h->path, "SELECT lost_n = cast(substr(lost, instr(lost, '-') + 1) AS INTEGER) -"
                                         " cast(lost AS INTEGER) + 1 OR lost LIKE '%,%' FROM rescue"),
                         1);
}

/* The file and what is beside it, to begin with again and again. */
static void keep_good(struct fixture *h)
{
        char from[TEMP_PATH_MAX];

        copy(h->path, beside(h, ".good"));
        copy(temp_dir_beside(h->path, ".epoch", from), beside(h, ".good-epoch"));
        copy(temp_dir_beside(h->path, ".lock", from), beside(h, ".good-lock"));
}

static void take_good(struct fixture *h)
{
        char from[TEMP_PATH_MAX];

        copy(beside(h, ".good"), h->path);
        copy(temp_dir_beside(h->path, ".good-epoch", from), beside(h, ".epoch"));
        copy(temp_dir_beside(h->path, ".good-lock", from), beside(h, ".lock"));
        unlink(beside(h, "-wal"));
}

/* What is lost of the file as it is now. */
static int64_t lost_of(struct fixture *h)
{
        int64_t lost;

        marked(h);
        if (!fixture_try_open(h))
                fail_msg("%s", h->e.text);
        lost = db_ask(h->path, "SELECT lost_n FROM rescue");
        assert_int_equal(db_ask(h->path, "SELECT lost_n + readings FROM rescue"), ROWS - ACKED - 1);
        fixture_cut_power(h);
        unlink(aside_of(h));
        return lost;
}

enum { ROWS_OF_A_PAGE = 64 };

/* Wherever it begins and ends: two pages' rows at most. */
static void noise_takes_what_it_covers(void **state)
{
        enum { BYTES = 600 };
        struct fixture *h = *state;

        fill(h, true);
        keep_good(h);
        for (int i = 0; i < 40; i++) {
                uint64_t seed = 77 + (uint64_t)i;
                off_t at;

                take_good(h);
                at = leaf_in_the_middle(h->path) + i * 20 * PAGE_BYTES / 19;
                for (int k = 0; k < BYTES; k++) {
                        seed = seed * 6364136223846793005u + 1442695040888963407u;
                        overwrite(h->path, at + k, (int)(seed >> 56), 1);
                }
                assert_in_range(lost_of(h), 0, 2 * ROWS_OF_A_PAGE);
        }
}

/* Where the rowid of a cell of a leaf begins: behind its length, which is short here. */
static off_t rowid_at(const char *path, off_t leaf, int cell)
{
        unsigned char page[PAGE_BYTES];
        int fd = open(path, O_RDONLY), n;

        assert_int_equal(pread(fd, page, sizeof(page), leaf), sizeof(page));
        close(fd);
        n = page[3] << 8 | page[4];
        assert_in_range(n, 3, ROWS_OF_A_PAGE);
        cell = cell == 0 ? 0 : cell == 1 ? n / 2 : n - 1;
        cell = page[8 + 2 * cell] << 8 | page[9 + 2 * cell];
        return leaf + cell + 1 + (page[cell] >> 7);
}

static void flip(const char *path, off_t at, int bit)
{
        int fd = open(path, O_RDWR);
        unsigned char byte;

        assert_int_equal(pread(fd, &byte, 1, at), 1);
        byte ^= (unsigned char)(1 << bit);
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        close(fd);
}

/* One changed bit in the number of a page's first, middle or last row. */
static void a_changed_rowid_takes_no_other_page(void **state)
{
        struct fixture *h = *state;
        off_t leaf;

        fill(h, true);
        keep_good(h);
        leaf = leaf_in_the_middle(h->path);
        for (int cell = 0; cell < 3; cell++)
                for (int bit = 0; bit < 16; bit++) {
                        take_good(h);
                        flip(h->path, rowid_at(h->path, leaf, cell) + bit / 8, bit % 8);
                        assert_in_range(lost_of(h), 0, ROWS_OF_A_PAGE);
                }
}

static void a_rescue_that_was_cut_short_starts_over(void **state)
{
        struct fixture *h = *state;
        char aside[TEMP_PATH_MAX], mark[TEMP_PATH_MAX + 8];

        fill(h, true);
        assert_int_equal(rename(h->path, temp_dir_beside(h->path, ".corrupt-20261123T100000Z", aside)), 0);
        snprintf(mark, sizeof(mark), "1 %s\n", aside);
        temp_dir_write(beside(h, ".damaged"), mark);
        temp_dir_write(h->path, "SQLite form"); /* the fresh file as far as it came */
        assert_true(fixture_try_open(h));
        assert_int_equal(db_ask(h->path, "SELECT count(*) FROM reading"), ROWS - ACKED - 1);
        check_goes_on(h);
}

static void a_rescue_that_never_ends_is_left(void **state)
{
        struct fixture *h = *state;

        fill(h, true);
        temp_dir_write(beside(h, ".damaged"), "3 \n");
        assert_true(fixture_try_open(h));
        assert_int_equal(db_ask(h->path, "SELECT count(*) FROM reading"), 0);
        assert_true(*aside_of(h));
}

/* Whatever is in the marker: the spool is neither removed nor taken for its own remains. */
static void a_damaged_marker_is_none(void **state)
{
        static const struct {
                const char *words, *of_the_spool; /* NULL: nothing of it is named */
        } marks[] = {{"1 ", ""},    {"1 ", "-wal"},        {"1 /dev/null", NULL},
                     {"-7 ", NULL}, {"2000000000 ", NULL}, {"so", NULL}};
        struct fixture *h = *state;
        char mark[TEMP_PATH_MAX + 32];

        for (size_t i = 0; i < sizeof(marks) / sizeof(*marks); i++) {
                const char *named = marks[i].of_the_spool;

                fill(h, i & 1);
                snprintf(mark, sizeof(mark), "%s%s%s\n", marks[i].words, named ? h->path : "", named ? named : "");
                temp_dir_write(beside(h, ".damaged"), mark);
                assert_true(fixture_try_open(h));
                assert_int_equal(db_ask(h->path, "SELECT count(*) FROM reading"), ROWS - ACKED - 1);
                assert_true(*aside_of(h));
                fixture_close(h);
                temp_dir_fini(&h->dir);
                temp_dir_init(&h->dir, "spool_rescue");
                temp_dir_path(&h->dir, "spool.db", h->path);
        }
        assert_true(fixture_try_open(h));
}

static void on_alarm(void *ctx, const struct spool_alarm *a)
{
}

/* Found when the rules ask for it: this start fails, the next one rescues the file. */
static void alarms_that_cannot_be_read_are_damage(void **state)
{
        struct fixture *h = *state;

        fill(h, true);
        overwrite(h->path,
                  (db_ask(h->path, "SELECT rootpage FROM sqlite_master WHERE name = 'alarm'") - 1) * PAGE_BYTES, 0,
                  PAGE_BYTES);
        assert_true(fixture_try_open(h));
        assert_int_equal(spool_each_alarm(h->spool, on_alarm, NULL, &h->e), -1);
        assert_non_null(strstr(h->e.text, "its alarms cannot be read"));
        fixture_cut_power(h);
        assert_true(fixture_try_open(h));
        assert_int_equal(spool_each_alarm(h->spool, on_alarm, NULL, &h->e), 0);
        assert_int_equal(db_ask(h->path, "SELECT count(*) FROM reading"), ROWS - ACKED - 1);
        assert_true(*aside_of(h));
}

/* No lane ever comes that far; behind the greatest integer there would be no next one. */
static void a_seq_that_none_can_have_is_damage(void **state)
{
        static const char *const sql[] = {
                "UPDATE sample SET seq = 9223372036854775807 WHERE seq = 5000",
                "UPDATE cursor SET acked_seq = 9223372036854775806 WHERE lane = 'samples'",
                "UPDATE event SET seq = 9223372036854775807",
                "INSERT INTO dropped VALUES ('samples', 7000, 9223372036854775807, 1, 'lost', 0)",
                "DELETE FROM cursor WHERE lane = 'samples'",
        };
        struct fixture *h = *state;

        for (size_t i = 0; i < sizeof(sql) / sizeof(*sql); i++) {
                fill(h, true);
                run_sql(h->path, sql[i]);
                assert_true(fixture_try_open(h));
                assert_true(*aside_of(h));
                assert_true(db_ask(h->path, "SELECT count(*) FROM reading") >= ROWS - ACKED - 2);
                assert_true(fixture_counts(h).accepted < 2 * ROWS);
                fixture_close(h);
                temp_dir_fini(&h->dir);
                temp_dir_init(&h->dir, "spool_rescue");
                temp_dir_path(&h->dir, "spool.db", h->path);
        }
        assert_true(fixture_try_open(h));
}

static void what_is_not_ours_is_not_touched(void **state)
{
        struct fixture *h = *state;
        off_t before;

        run_sql(h->path, "PRAGMA application_id=99; CREATE TABLE t(x)");
        before = size_of(h->path);
        assert_false(fixture_try_open(h));
        assert_non_null(strstr(h->e.text, "another program"));
        assert_int_equal(size_of(h->path), before);
        unlink(h->path);
        overwrite((close(open(h->path, O_CREAT | O_WRONLY, 0640)), h->path), 0, 'x', 5000);
        assert_false(fixture_try_open(h));
        assert_non_null(strstr(h->e.text, "not a spool"));
        assert_int_equal(size_of(h->path), 5000);
        assert_string_equal(aside_of(h), "");
}

static void random_bytes(struct fixture *h, size_t from, size_t n)
{
        uint64_t seed = 99;
        int fd = open(h->path, O_WRONLY | O_CREAT, 0640);

        for (size_t i = from; i < n; i++) {
                unsigned char byte;

                seed = seed * 6364136223846793005u + 1442695040888963407u;
                byte = (unsigned char)(seed >> 56);
                assert_int_equal(pwrite(fd, &byte, 1, (off_t)i), 1);
        }
        close(fd);
}

static void magic_and_noise(struct fixture *h)
{
        unlink(h->path);
        temp_dir_write(h->path, "SQLite format 3");
        random_bytes(h, 16, PAGE_BYTES);
        overwrite(h->path, 15, 0, 1);
}

static void nothing_but_noise(struct fixture *h)
{
        random_bytes(h, 0, (size_t)size_of(h->path));
}

static void another_programs(struct fixture *h)
{
        unlink(h->path);
        run_sql(h->path, "PRAGMA application_id=99; CREATE TABLE t(x)");
}

static void gone(struct fixture *h)
{
        unlink(h->path);
}

static void emptied(struct fixture *h)
{
        assert_int_equal(truncate(h->path, 0), 0);
}

static void no_table(struct fixture *h)
{
        db_run(h->path, "DROP TABLE learned");
}

static void no_format(struct fixture *h)
{
        db_run(h->path, "PRAGMA user_version=-3");
}

static void an_older_format(struct fixture *h)
{
        db_run(h->path, "PRAGMA user_version=2");
}

/*
 * Whatever lies where our spool was: it is moved aside, and what the mark knows is told: of which epoch, what it had,
 * what Kafka had of it.
 */
static void whatever_lies_there_is_told(void **state)
{
        static const struct {
                void (*make)(struct fixture *h);
                bool all_lost, moved, no_sidecar;
        } all[] = {
                {magic_and_noise, true, true, false},  {nothing_but_noise, true, true, false},
                {another_programs, true, true, false}, {gone, true, false, false},
                {emptied, true, false, false},         {magic_and_noise, true, true, true},
                {no_table, false, true, false},        {no_format, false, true, false},
                {an_older_format, false, true, false},
        };

        for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
                struct fixture *h;
                uint64_t old;

                if (i) {
                        teardown(state);
                        setup(state);
                }
                h = *state;
                print_message("%zu\n", i);
                fill(h, true);
                old = filled_epoch;
                all[i].make(h);
                if (all[i].no_sidecar)
                        unlink(beside(h, ".epoch"));
                if (!fixture_try_open(h))
                        fail_msg("%s", h->e.text);
                assert_int_equal(*aside_of(h) != '\0', all[i].moved);
                check_new_epoch(h);
                assert_int_equal(db_ask(h->path, "SELECT epoch FROM rescue"), old);
                assert_int_equal(db_ask(h->path, "SELECT lost_n FROM rescue"), all[i].all_lost ? ROWS - ACKED : 0);
                if (all[i].all_lost)
                        assert_int_equal(db_ask(h->path, "SELECT lost = '1001-6000' FROM rescue"), 1);
                assert_int_equal(fixture_counts(h).dropped, all[i].all_lost ? ROWS - ACKED : 0);
                assert_int_equal(fixture_counts(h).held, all[i].all_lost ? 0 : ROWS - ACKED - 1);
                check_goes_on(h);
        }
}

static void on_never(struct spool_sync *q)
{
        fail_msg("it is not on disk");
}

/* While it is open: told by a commit and without one, nothing is durable any more, and it goes on when it is back. */
static void a_file_that_is_taken_away_is_told(void **state)
{
        struct fixture *h = *state;
        struct spool_sync never = {.on_durable = on_never};
        struct reading r = {.ts_us = h->sim.now.wall_us, .type = READING_I64};
        char away[TEMP_PATH_MAX];

        assert_true(fixture_try_open(h));
        assert_int_equal(tags_intern(h->tags, "press-1", "t", "", "", "sim", &r.tag), 0);
        assert_int_equal(spool_append(h->spool, &r), 0);
        fixture_run_for(h, 3000000);
        filled_epoch = fixture_counts(h).epoch;
        list_init(&never.node);
        temp_dir_beside(h->path, ".away", away);
        for (int idle = 0; idle < 2; idle++) {
                assert_int_equal(rename(h->path, away), 0);
                if (idle) {
                        spool_watch(h->spool);
                } else {
                        assert_int_equal(spool_append(h->spool, &r), 0);
                        spool_sync(h->spool, &never);
                }
                fixture_run_for(h, 1500000);
                assert_true(fixture_counts(h).failing);
                assert_non_null(strstr(fixture_counts(h).fault, "is not the open file any more"));
                assert_int_equal(fixture_counts(h).accepted, 1 + idle);
                spool_sync_cancel(&never);
                assert_int_equal(rename(away, h->path), 0);
                fixture_run_for(h, 60000000);
                assert_false(fixture_counts(h).failing);
                assert_int_equal(fixture_counts(h).accepted, 2);
        }
        for (int k = 0; k < 3; k++)
                spool_watch(h->spool);
        fixture_run_for(h, 3000000);
        assert_false(fixture_counts(h).failing);
        unlink(h->path);
        unlink(beside(h, "-wal"));
        unlink(beside(h, ".epoch"));
        unlink(beside(h, ".lock"));
        spool_watch(h->spool);
        fixture_run_for(h, 1500000);
        assert_true(fixture_counts(h).failing);
        fixture_cut_power(h);
        assert_true(fixture_try_open(h));
        check_new_epoch(h);
        assert_int_equal(fixture_counts(h).dropped, 2);
        assert_int_equal(db_ask(h->path, "SELECT lost = '1-2' FROM rescue"), 1);
}

/* Eight times, as the coin of the clock lets the look be before the end and behind it. */
static void a_look_may_outlive_the_spool(void **state)
{
        struct fixture *h = *state;

        for (int k = 0; k < 8; k++) {
                assert_true(fixture_try_open(h));
                spool_watch(h->spool);
                assert_true(spool_close(h->spool));
                fixture_leave(h);
                assert_int_equal(unlink(h->path), 0);
                unlink(beside(h, ".epoch"));
                fixture_run_for(h, 1000000);
        }
}

static void on_durable(struct spool_sync *q)
{
        q->batch = 0; /* told */
}

/* While a commit runs, behind its look: what it brought may not be acknowledged before the file is back. */
static void a_file_that_goes_while_a_commit_runs_is_not_acknowledged(void **state)
{
        struct fixture *h = *state;
        struct reading r = {.ts_us = h->sim.now.wall_us, .type = READING_I64};
        struct spool_sync q = {.on_durable = on_durable};
        char away[TEMP_PATH_MAX];

        assert_true(fixture_try_open(h));
        assert_int_equal(tags_intern(h->tags, "press-1", "t", "", "", "sim", &r.tag), 0);
        temp_dir_beside(h->path, ".away", away);
        for (int i = 1; i <= 3; i++) {
                list_init(&q.node);
                at_sync.from = h->path;
                at_sync.to = away;
                assert_int_equal(spool_append(h->spool, &r), 0);
                spool_sync(h->spool, &q);
                fixture_run_for(h, 1500000);
                assert_null(at_sync.from);
                assert_true(fixture_counts(h).failing);
                assert_non_null(strstr(fixture_counts(h).fault, "is not the open file any more (1 readings in it"));
                assert_int_equal(fixture_counts(h).accepted, i);
                assert_int_not_equal(q.batch, 0);
                assert_int_equal(rename(away, h->path), 0);
                fixture_run_for(h, 60000000);
                assert_false(fixture_counts(h).failing);
                assert_int_equal(q.batch, 0);
                spool_ack(h->spool, SPOOL_SAMPLES, (uint64_t)i);
                fixture_run_for(h, 2000000);
        }
        fixture_cut_power(h);
        assert_true(fixture_try_open(h));
        assert_int_equal(fixture_counts(h).accepted, 3);
        assert_string_equal(aside_of(h), "");
}

/* The -shm, without which another program would not see our locks; a lock that is replaced by one that nobody has. */
static void what_keeps_others_out_is_watched(void **state)
{
        struct fixture *h = *state;
        struct reading r = {.ts_us = h->sim.now.wall_us, .type = READING_I64};
        char away[TEMP_PATH_MAX], lock[TEMP_PATH_MAX];
        int fd;

        assert_true(fixture_try_open(h));
        assert_int_equal(tags_intern(h->tags, "press-1", "t", "", "", "sim", &r.tag), 0);
        assert_int_equal(spool_append(h->spool, &r), 0);
        fixture_run_for(h, 1500000);
        temp_dir_beside(h->path, ".away", away);
        assert_int_equal(rename(beside(h, "-shm"), away), 0);
        spool_watch(h->spool);
        fixture_run_for(h, 1500000);
        assert_true(fixture_counts(h).failing);
        assert_int_equal(rename(away, beside(h, "-shm")), 0);
        fixture_run_for(h, 60000000);
        assert_false(fixture_counts(h).failing);
        temp_dir_beside(h->path, ".lock", lock);
        assert_int_equal(rename(lock, away), 0);
        fd = open(lock, O_RDWR | O_CREAT, 0640);
        close(fd);
        spool_watch(h->spool);
        fixture_run_for(h, 1500000);
        assert_false(fixture_counts(h).failing);
        assert_true(size_of(lock) > 32);
        fixture_cut_power(h);
        assert_true(fixture_try_open(h));
        assert_int_equal(fixture_counts(h).accepted, 1);
        assert_string_equal(aside_of(h), "");
}

/* Beside a -wal that is newer, which SQLite takes for its own: the copy alone goes on, and what it lacks is told. */
static void an_older_copy_beside_a_newer_wal_is_told(void **state)
{
        struct fixture *h = *state;
        char kept[TEMP_PATH_MAX], aside[TEMP_PATH_MAX];
        uint64_t n = 0, n_kept = 0;

        h->conf.max_size_bytes = 4 << 20;
        for (int i = 0; i < 40; i++) {
                struct reading r = {.ts_us = h->sim.now.wall_us, .type = READING_I64};

                assert_true(fixture_try_open(h));
                assert_int_equal(fixture_counts(h).accepted, n);
                filled_epoch = fixture_counts(h).epoch;
                assert_int_equal(tags_intern(h->tags, "press-1", "t", "", "", "sim", &r.tag), 0);
                for (int k = 0; k < 900; k++, n++)
                        assert_int_equal(spool_append(h->spool, &r), 0);
                fixture_run_for(h, 3000000);
                fixture_cut_power(h);
                if (i == 19) {
                        copy(h->path, temp_dir_beside(h->path, ".kept", kept));
                        n_kept = (uint64_t)db_ask(kept, "SELECT max(seq) FROM sample");
                }
        }
        assert_true(n_kept > 0);
        copy(kept, h->path);
        assert_true(fixture_try_open(h));
        check_new_epoch(h);
        assert_int_equal(fixture_counts(h).held, n_kept);
        assert_int_equal(fixture_counts(h).dropped, n - n_kept);
        snprintf(aside, sizeof(aside), "%s-other-wal", aside_of(h));
        assert_true(size_of(aside) > 0);
        check_goes_on(h);
}

/* Each holds its time. */
static void append_some(struct fixture *h, int n)
{
        struct reading r = {.type = READING_I64};

        assert_int_equal(tags_intern(h->tags, "press-1", "t", "", "", "sim", &r.tag), 0);
        for (int i = 0; i < n; i++) {
                r.ts_us = r.arrival_us = r.v.i64 = h->sim.now.wall_us + i;
                assert_int_equal(spool_append(h->spool, &r), 0);
        }
        fixture_run_for(h, 3000000);
}

/* In order, each with its own time. */
static void check_times(const struct fixture *h, int64_t least)
{
        assert_true(db_ask(h->path, "SELECT count(*) FROM reading") >= least);
        assert_int_equal(db_ask(h->path, "SELECT count(*) FROM reading WHERE ts_us != value"), 0);
        assert_int_equal(
                db_ask(h->path,
                       "SELECT count(*) FROM reading a JOIN reading b ON b.seq = a.seq + 1 WHERE b.value <= a.value"),
                0);
}

static sqlite3 *read_on(const struct fixture *h)
{
        sqlite3 *c;

        assert_int_equal(sqlite3_open(h->path, &c), SQLITE_OK);
        assert_int_equal(sqlite3_exec(c, "BEGIN; SELECT count(*) FROM sample", NULL, NULL, NULL), SQLITE_OK);
        return c;
}

/*
 * Some of a WAL is in the database, because somebody reads; a copy of that is one as old as all of it.  Who writes the
 * rest of it back is us, or a shell.
 */
static void a_copy_of_half_a_wal_is_told(void **state)
{
        struct fixture *h = *state;
        char kept[TEMP_PATH_MAX];
        sqlite3 *reader;
        int64_t n_kept;

        h->conf.max_size_bytes = 4 << 20;
        for (int by_shell = 0; by_shell < 2; by_shell++) {
                assert_true(fixture_try_open(h));
                filled_epoch = fixture_counts(h).epoch;
                for (int i = 0; i < 20; i++)
                        append_some(h, 900);
                reader = read_on(h);
                for (int i = 0; i < 20; i++)
                        append_some(h, 900);
                copy(h->path, temp_dir_beside(h->path, ".kept", kept));
                n_kept = db_ask(kept, "SELECT count(*) FROM sample");
                assert_true(n_kept > 0 && (uint64_t)n_kept < fixture_counts(h).accepted);
                sqlite3_close(reader);
                if (by_shell)
                        run_sql(h->path, "PRAGMA wal_checkpoint");
                append_some(h, 900);
                append_some(h, 900);
                fixture_cut_power(h);
                copy(kept, h->path);
                assert_true(fixture_try_open(h));
                check_new_epoch(h);
                check_times(h, n_kept);
                fixture_close(h);
                unlink(aside_of(h));
        }
}

static jmp_buf damaged;

static void on_damaged(void *ctx)
{
        longjmp(damaged, 1);
}

/* Device and inode are the same; what is in the -wal would make a third of the two. */
static void an_older_copy_written_over_it_is_told(void **state)
{
        struct fixture *h = *state;
        char kept[TEMP_PATH_MAX];
        int64_t n_kept;

        h->conf.max_size_bytes = 4 << 20;
        h->up.on_damaged = on_damaged;
        assert_true(fixture_try_open(h));
        for (int i = 0; i < 40; i++)
                append_some(h, 900);
        copy(h->path, temp_dir_beside(h->path, ".kept", kept));
        n_kept = db_ask(kept, "SELECT count(*) FROM sample");
        for (int i = 0; i < 40; i++)
                append_some(h, 900);
        filled_epoch = fixture_counts(h).epoch;
        copy(kept, h->path);
        if (setjmp(damaged) == 0) {
                for (int i = 0; i < 40; i++)
                        append_some(h, 900);
                fail_msg("nothing was told");
        }
        fixture_cut_power(h);
        assert_true(fixture_try_open(h));
        check_new_epoch(h);
        check_times(h, n_kept);
        check_goes_on(h);
}

/*
 * The other way round: an older -wal beside a newer database would take pages of it back.  After a crash, after an end
 * in order, and while it runs.
 */
static void an_older_wal_is_told(void **state)
{
        struct fixture *h = *state;
        char kept[TEMP_PATH_MAX], alone[TEMP_PATH_MAX];
        volatile int64_t n_alone;

        h->conf.max_size_bytes = 4 << 20;
        h->up.on_damaged = on_damaged;
        temp_dir_beside(h->path, ".kept", kept);
        temp_dir_beside(h->path, ".alone", alone);
        for (volatile int when = 0; when < 3; when++) {
                assert_true(fixture_try_open(h));
                filled_epoch = fixture_counts(h).epoch;
                for (int i = 0; i < 15; i++)
                        append_some(h, 300);
                copy(beside(h, "-wal"), kept);
                assert_true(size_of(kept) > 0);
                for (int i = 0; i < 25; i++)
                        append_some(h, 300);
                if (when == 1)
                        fixture_close(h);
                else if (when == 0)
                        fixture_cut_power(h);
                copy(h->path, alone);
                n_alone = db_ask(alone, "SELECT count(*) FROM sample");
                copy(kept, beside(h, "-wal"));
                if (when < 2)
                        unlink(beside(h, "-shm"));
                if (when == 2 && setjmp(damaged) == 0) {
                        for (int i = 0; i < 200; i++)
                                append_some(h, 90);
                        fail_msg("nothing was told");
                }
                if (when == 2)
                        fixture_cut_power(h);
                assert_true(fixture_try_open(h));
                check_new_epoch(h);
                check_times(h, n_alone);
                fixture_close(h);
                unlink(aside_of(h));
        }
}

/*
 * Of a while ago, of the epoch before, or of an end in order since when there was another, beside the file as it is:
 * the -wal is not blamed for that.
 */
static void an_older_mark_loses_nothing(void **state)
{
        struct fixture *h = *state;
        char kept[TEMP_PATH_MAX];
        int64_t n = 0;

        h->conf.max_size_bytes = 4 << 20;
        temp_dir_beside(h->path, ".kept", kept);
        for (int of = 0; of < 3; of++) {
                bool other_epoch = of == 1;

                assert_true(fixture_try_open(h));
                append_some(h, 300);
                if (of == 2)
                        fixture_close(h);
                copy(beside(h, ".lock"), kept);
                if (of == 2)
                        assert_true(fixture_try_open(h));
                for (int i = 0; i < 20; i++)
                        append_some(h, 300);
                fixture_cut_power(h);
                if (other_epoch)
                        unlink(beside(h, ".lock"));
                assert_true(fixture_try_open(h));
                append_some(h, 300);
                filled_epoch = fixture_counts(h).epoch;
                fixture_cut_power(h);
                unlink(aside_of(h));
                n += 22 * 300;
                copy(kept, beside(h, ".lock"));
                assert_true(fixture_try_open(h));
                assert_int_equal(fixture_counts(h).epoch > filled_epoch, other_epoch);
                assert_int_equal(fixture_counts(h).held, n);
                check_times(h, n);
                if (other_epoch)
                        assert_int_equal(db_ask(h->path, "SELECT stopped LIKE 'nothing beside it%' FROM rescue"
                                                         " ORDER BY id DESC LIMIT 1"),
                                         1);
                append_some(h, 300);
                n += 300;
                assert_int_equal(fixture_counts(h).held, n);
                fixture_close(h);
        }
}

/* Nothing in it, nothing beside it that knows of a spool, and a WAL that is another file's: it is as good as none. */
static void a_database_without_a_table_is_nobodys(void **state)
{
        struct fixture *h = *state;
        char kept[TEMP_PATH_MAX];

        h->conf.max_size_bytes = 4 << 20;
        assert_true(fixture_try_open(h));
        filled_epoch = fixture_counts(h).epoch;
        for (int i = 0; i < 40; i++)
                append_some(h, 900);
        fixture_cut_power(h);
        copy(beside(h, "-wal"), temp_dir_beside(h->path, ".kept", kept));
        unlink(beside(h, ".epoch"));
        unlink(beside(h, ".lock"));
        unlink(beside(h, "-wal"));
        unlink(beside(h, "-shm"));
        unlink(h->path);
        run_sql(h->path, "PRAGMA page_size=4096; PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=WAL");
        copy(kept, beside(h, "-wal"));
        assert_true(fixture_try_open(h));
        check_goes_on(h);
}

/* Nothing says any more that there was a spool of ours: kept all the same, and the start is not refused. */
static void a_wal_without_anything_is_set_aside(void **state)
{
        struct fixture *h = *state;
        char aside[TEMP_PATH_MAX];

        fill(h, false);
        for (int i = 0; i < 3; i++) {
                unlink(beside(h, ".epoch"));
                unlink(beside(h, ".lock"));
                if (i == 0) {
                        assert_int_equal(truncate(h->path, 0), 0);
                        assert_true(size_of(beside(h, "-wal")) > 0);
                } else {
                        unlink(h->path);
                        unlink(beside(h, "-wal"));
                        marked(h); /* by a daemon that met damage */
                }
                assert_true(fixture_try_open(h));
                snprintf(aside, sizeof(aside), "%s-wal", aside_of(h));
                assert_true(i || size_of(aside) > 0);
                assert_int_equal(db_ask(h->path, "SELECT stopped LIKE 'nothing beside it%' FROM rescue"), 1);
                fixture_close(h);
                unlink(aside);
                unlink(aside_of(h));
        }
}

/* Nobody knows then how far the file was: what is in it goes on, but under a new epoch. */
static void a_file_whose_mark_is_gone_gives_no_more_ids(void **state)
{
        struct fixture *h = *state;
        char lock[TEMP_PATH_MAX], kept[TEMP_PATH_MAX];

        fill(h, false);
        temp_dir_beside(h->path, ".lock", lock);
        for (int i = 0; i < 4; i++) {
                assert_true(fixture_try_open(h));
                filled_epoch = fixture_counts(h).epoch;
                fixture_close(h);
                if (i == 0)
                        copy(lock, temp_dir_beside(h->path, ".kept", kept));
                else if (i == 3)
                        copy(kept, lock); /* of an epoch that is over */
                else
                        assert_int_equal(i == 1 ? unlink(lock) : truncate(lock, 300), 0);
                assert_true(fixture_try_open(h));
                assert_int_equal(fixture_counts(h).held, ROWS - ACKED - 1);
                if (i) {
                        assert_true(fixture_counts(h).epoch > filled_epoch);
                        assert_int_equal(unlink(aside_of(h)), 0);
                } else {
                        assert_int_equal(fixture_counts(h).epoch, filled_epoch);
                }
                fixture_close(h);
        }
}

/* Readers make the -shm anew; a file that lost its WAL stands where the last checkpoint left it. */
static void a_missing_shm_is_nothing(void **state)
{
        struct fixture *h = *state;
        struct spool_counts c;

        fill(h, false);
        unlink(beside(h, "-shm"));
        assert_true(fixture_try_open(h));
        spool_counts(h->spool, &c);
        assert_int_equal(c.accepted, ROWS);
        assert_string_equal(aside_of(h), "");
}

/* Random bytes anywhere: it opens, or is rescued, and never ends the program. */
static void any_damage_is_survived(void **state)
{
        struct fixture *h = *state;
        uint64_t seed = 1;

        fill(h, true);
        copy(h->path, beside(h, ".good"));
        for (int i = 0; i < 60; i++) {
                copy(beside(h, ".good"), h->path);
                unlink(beside(h, "-wal"));
                for (int k = 0; k < 1 + i; k++) {
                        seed = seed * 6364136223846793005u + 1442695040888963407u;
                        overwrite(h->path, (off_t)((seed >> 20) % (uint64_t)size_of(h->path)), (int)(seed >> 56),
                                  1 + (seed >> 50) % 16);
                }
                marked(h);
                if (!fixture_try_open(h))
                        fail_msg("%s", h->e.text);
                fixture_cut_power(h);
                unlink(aside_of(h));
        }
}

/* The database alone is a file as good as any; what it lacks is known from beside it. */
static void a_wal_that_is_gone_is_told(void **state)
{
        struct fixture *h = *state;
        struct reading r = {.ts_us = h->sim.now.wall_us, .type = READING_I64};
        struct spool_counts c;

        fill(h, true);
        assert_true(fixture_try_open(h));
        for (int i = 0; i < 10; i++) {
                assert_int_equal(spool_append(h->spool, &r), 0);
                fixture_run_for(h, 2000000);
        }
        fixture_cut_power(h);
        assert_int_equal(unlink(beside(h, "-wal")), 0);
        unlink(beside(h, "-shm"));
        assert_true(fixture_try_open(h));
        spool_counts(h->spool, &c);
        check_new_epoch(h);
        assert_int_equal(c.held, ROWS - ACKED - 1);
        assert_int_equal(c.dropped, 10);
        assert_int_equal(db_ask(h->path, "SELECT lost_n = 10 AND lost = '6001-6010' FROM rescue"), 1);
        assert_int_equal(db_ask(h->path, "SELECT first_seq = 5000 AND last_seq = 5009 AND n = 10 FROM dropped WHERE"
                                         " lane = 'samples' AND reason = 'lost'"),
                         1);
        check_goes_on(h);
        assert_int_equal(db_ask(h->path, "SELECT count(*) FROM event WHERE kind = 'dropped' AND body LIKE"
                                         " '%\"reason\":\"lost\",\"n\":10,\"first_seq\":5000,\"last_seq\":5009'"),
                         1);
}

static void move_beside(struct fixture *h, const char *suffix, const char *to)
{
        char from[TEMP_PATH_MAX], where[TEMP_PATH_MAX];

        temp_dir_beside(h->path, suffix, from);
        temp_dir_beside(h->path, to, where);
        if (size_of(from) >= 0)
                copy(from, where);
        else
                unlink(where);
}

/* As it is right behind a checkpoint. */
static void append_until_written_back(struct fixture *h)
{
        struct stat before, now;

        assert_int_equal(stat(h->path, &before), 0);
        now = before;
        for (int k = 0; k < 500 && !memcmp(&now.st_mtim, &before.st_mtim, sizeof(now.st_mtim)); k++) {
                append_some(h, 50);
                assert_int_equal(stat(h->path, &now), 0);
        }
}

/*
 * Without its WAL the file has all that was committed, or says what it has not: after each commit, whatever it brought
 * (readings, events, both, a checkpoint). With it, nothing is damaged.
 */
static void a_wal_may_go_after_any_commit(void **state)
{
        static const char body[] = "\"kind\":\"link\",\"state\":\"down\"";
        static const char *const all[] = {"", "-wal", ".lock", ".epoch"};
        static const char *const kept[] = {".kept", ".kept-wal", ".kept-lock", ".kept-epoch"};
        struct fixture *h = *state;
        struct spool_counts before, c;
        int n_whole = 0, n_told = 0;

        h->conf.max_size_bytes = 4 << 20;
        for (int i = 0; i < 60; i++) {
                struct reading r = {.ts_us = h->sim.now.wall_us, .type = READING_I64};

                assert_true(fixture_try_open(h));
                assert_int_equal(tags_intern(h->tags, "press-1", "t", "", "", "sim", &r.tag), 0);
                for (int k = 0; k < (i % 3 ? 900 : 0); k++)
                        assert_int_equal(spool_append(h->spool, &r), 0);
                if (i % 6 == 1)
                        append_until_written_back(h);
                if (i % 3 != 1)
                        spool_append_event(h->spool, r.ts_us, "link", 100, SPOOL_NO_TAG, body, sizeof(body) - 1);
                fixture_run_for(h, 3000000);
                before = fixture_counts(h);
                fixture_cut_power(h);
                for (size_t k = 0; k < 4; k++)
                        move_beside(h, all[k], kept[k]);
                unlink(beside(h, "-wal"));
                unlink(beside(h, "-shm"));
                assert_true(fixture_try_open(h));
                c = fixture_counts(h);
                if (c.epoch == before.epoch) {
                        assert_int_equal(c.accepted, before.accepted);
                        assert_int_equal(c.events_accepted, before.events_accepted);
                        n_whole++;
                } else {
                        assert_int_equal(c.accepted, before.accepted);
                        assert_int_equal(db_ask(h->path, "SELECT count(*) FROM rescue"), 1);
                        n_told++;
                }
                fixture_cut_power(h);
                unlink(aside_of(h));
                unlink(beside(h, "-shm"));
                for (size_t k = 0; k < 4; k++)
                        move_beside(h, kept[k], all[k]);
                assert_true(fixture_try_open(h));
                assert_int_equal(fixture_counts(h).epoch, before.epoch);
                if (i % 12 == 11)
                        fixture_close(h); /* the WAL begins anew */
                else
                        fixture_cut_power(h);
        }
        assert_true(n_told >= 20);
        assert_true(n_whole >= 5);
}

static void keep(struct fixture *h, const char *as)
{
        char name[TEMP_PATH_MAX];

        copy(h->path, temp_dir_beside(h->path, as, name));
}

/* A backup of the file alone: of the same epoch, and of one that is over. */
static void an_older_copy_is_told(void **state)
{
        struct fixture *h = *state;
        struct reading r = {.ts_us = h->sim.now.wall_us, .type = READING_I64};
        char name[TEMP_PATH_MAX];

        fill(h, true);
        keep(h, ".backup");
        assert_true(fixture_try_open(h));
        assert_int_equal(spool_append(h->spool, &r), 0);
        fixture_close(h);
        for (int i = 0; i < 2; i++) {
                copy(temp_dir_beside(h->path, ".backup", name), h->path);
                assert_true(fixture_try_open(h));
                check_new_epoch(h);
                assert_int_equal(fixture_counts(h).held, ROWS - ACKED - 1);
                /* What it lacks; or all that the file had which it took the place of. */
                assert_int_equal(fixture_counts(h).dropped, i ? ROWS - ACKED + 1 : 1);
                check_goes_on(h);
                fixture_close(h);
                unlink(aside_of(h));
        }
}

/* Nothing beside it that knows: the file itself does. */
static void a_damaged_file_alone_gets_a_greater_epoch(void **state)
{
        struct fixture *h = *state;
        char name[TEMP_PATH_MAX];

        fill(h, true);
        unlink(temp_dir_beside(h->path, ".epoch", name));
        unlink(temp_dir_beside(h->path, ".lock", name));
        marked(h);
        h->sim.now.wall_us = FIXTURE_WALL_US - 86400000000;
        assert_true(fixture_try_open(h));
        check_new_epoch(h);
        assert_int_equal(db_ask(h->path, "SELECT value FROM meta WHERE key = 'epoch'"), filled_epoch);
        check_goes_on(h);
}

/* A cut of power in the middle of writing it: half of one number, half of another. */
static void a_torn_mark_is_none(void **state)
{
        char torn[300];
        struct fixture *h = *state;
        struct spool_counts c;
        int fd;

        fill(h, false);
        snprintf(torn, sizeof(torn), "%20" PRIu64 " %20d %20d %20d %20d %20" PRIu64 " %20d %20d %20d %20d\n",
                 filled_epoch, 9999999, 12, 0, 0, filled_epoch, 5000, 12, 0, 0);
        fd = open(beside(h, ".lock"), O_WRONLY);
        assert_int_equal(pwrite(fd, torn, strlen(torn), 32), strlen(torn));
        assert_int_equal(pwrite(fd, torn, strlen(torn), 544), strlen(torn));
        close(fd);
        assert_true(fixture_try_open(h));
        spool_counts(h->spool, &c);
        assert_int_equal(c.epoch, filled_epoch);
        assert_int_equal(c.held, ROWS - ACKED - 1);
}

/* Somebody's tool that writes the WAL back into the database takes nothing away. */
static void a_wal_that_was_written_back_is_none_that_is_gone(void **state)
{
        struct fixture *h = *state;
        struct spool_counts c;

        fill(h, false);
        db_run(h->path, "PRAGMA wal_checkpoint(TRUNCATE)");
        assert_int_equal(size_of(beside(h, "-wal")), -1);
        assert_true(fixture_try_open(h));
        spool_counts(h->spool, &c);
        assert_int_equal(c.epoch, filled_epoch);
        assert_int_equal(c.held, ROWS - ACKED - 1);
}

/* Numbers that no spool of ours would say are damage, and never reach an assertion. */
static void books_that_contradict_themselves_are_damage(void **state)
{
        static const char *const lies[] = {
                "INSERT INTO dropped VALUES ('samples', 2000, 1500, 3, 'full', 0)",
                "INSERT INTO dropped VALUES ('samples', 2000, 2500, 501, '', 0), ('samples', 2400, 2600, 201, '', 0)",
                "INSERT INTO dropped VALUES ('samples', 2, 3, 9999999, 'full', 0)",
                "INSERT INTO dropped VALUES ('samples', -5, 3, 9, 'full', 0)",
                "INSERT INTO dropped VALUES ('events', 9223372036854775807, 1, -9, 'full', 0)",
                "UPDATE cursor SET acked_seq = -4",
        };
        struct fixture *h = *state;

        fill(h, true);
        for (size_t i = 0; i < sizeof(lies) / sizeof(*lies); i++) {
                db_run(h->path, lies[i]);
                if (!fixture_try_open(h))
                        fail_msg("%s: %s", lies[i], h->e.text);
                check_new_epoch(h);
                fixture_close(h);
        }
        assert_true(fixture_try_open(h));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        const struct CMUnitTest tests[] = {
                T(a_wal_that_is_gone_is_told),
                T(a_wal_may_go_after_any_commit),
                T(an_older_copy_is_told),
                T(a_damaged_file_alone_gets_a_greater_epoch),
                T(a_torn_mark_is_none),
                T(a_file_that_goes_while_a_commit_runs_is_not_acknowledged),
                T(what_keeps_others_out_is_watched),
                T(an_older_copy_beside_a_newer_wal_is_told),
                T(a_copy_of_half_a_wal_is_told),
                T(an_older_copy_written_over_it_is_told),
                T(an_older_wal_is_told),
                T(an_older_mark_loses_nothing),
                T(a_database_without_a_table_is_nobodys),
                T(a_wal_without_anything_is_set_aside),
                T(a_file_whose_mark_is_gone_gives_no_more_ids),
                T(a_wal_that_was_written_back_is_none_that_is_gone),
                T(what_is_readable_is_carried_over),
                T(a_hole_is_told_by_its_seqs),
                T(noise_takes_what_it_covers),
                T(a_changed_rowid_takes_no_other_page),
                T(a_rescue_that_was_cut_short_starts_over),
                T(a_rescue_that_never_ends_is_left),
                T(a_damaged_marker_is_none),
                T(alarms_that_cannot_be_read_are_damage),
                T(a_seq_that_none_can_have_is_damage),
                T(what_is_not_ours_is_not_touched),
                T(whatever_lies_there_is_told),
                T(a_file_that_is_taken_away_is_told),
                T(a_look_may_outlive_the_spool),
                T(a_missing_shm_is_nothing),
                T(any_damage_is_survived),
                T(books_that_contradict_themselves_are_damage),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
