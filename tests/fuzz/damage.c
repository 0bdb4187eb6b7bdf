/*
 * damage: see damage.h.  Cells are changed with SQLite, past all that the store
 * believes of its rows; what SQLite refuses, or can't do any more, is left out.
 */
#include "tests/fuzz/damage.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/batch.h"

enum { PAGE = PAGE_BYTES, COLUMNS_MAX = 14, TEXT_MAX = 300 };

/* ---- bytes ---- */

static uint32_t take_u24(struct bytes *b)
{
        uint32_t v = bytes_take(b);

        v = v << 8 | bytes_take(b);
        return v << 8 | bytes_take(b);
}

static int open_one(const struct house *h, struct bytes *b, off_t *size)
{
        char path[TEMP_PATH_MAX];
        struct stat st;
        int fd;

        house_path(h, bytes_take(b) % HOUSE_FILES, path);
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
        BUG_ON(fd < 0 || fstat(fd, &st) < 0);
        *size = st.st_size;
        return fd;
}

static off_t place(struct bytes *b, off_t size)
{
        uint32_t at = take_u24(b);

        return size ? at % size : 0;
}

static void put(int fd, const void *p, size_t n, off_t at)
{
        BUG_ON(pwrite(fd, p, n, at) != (ssize_t)n);
}

static void flip(int fd, struct bytes *b, off_t size)
{
        off_t at = place(b, size);
        uint8_t byte = 0;

        BUG_ON(pread(fd, &byte, 1, at) < 0);
        byte ^= (uint8_t)(1 << bytes_take(b) % 8);
        put(fd, &byte, 1, at);
}

static void overwrite(int fd, struct bytes *b, off_t size)
{
        off_t at = place(b, size);
        size_t n = bytes_take(b) % 64;

        if (n > b->n)
                n = b->n;
        put(fd, b->p, n, at);
        b->p += n;
        b->n -= n;
}

static void copy_page(int fd, struct bytes *b, off_t size)
{
        uint8_t from = bytes_take(b), to = bytes_take(b);
        off_t pages = size / PAGE;
        char page[PAGE] = {0};

        if (!pages)
                return;
        if (from) /* else zeroes */
                BUG_ON(pread(fd, page, PAGE, from % pages * PAGE) < 0);
        put(fd, page, PAGE, to % pages * PAGE);
}

static void grow(int fd, struct bytes *b, off_t size)
{
        BUG_ON(ftruncate(fd, size + take_u24(b) % (8 * PAGE)) < 0);
}

static void replace(int fd, struct bytes *b, off_t size)
{
        BUG_ON(ftruncate(fd, 0) < 0);
        overwrite(fd, b, 0);
}

static void cut(int fd, struct bytes *b, off_t size)
{
        BUG_ON(ftruncate(fd, place(b, size)) < 0);
}

/* ---- cells ---- */

static const struct {
        const char *name, *key;
        const char *column[COLUMNS_MAX + 1];
} tables[] = {
        {"meta", "key", {"key", "value"}},
        {"tag", "id", {"id", "source", "name", "unit", "labels", "driver", "last_ts_us"}},
        {"sample", "seq", {"seq", "t_us", "bits", "delay_us", "value"}},
        {"span", "first_seq", {"first_seq", "base_us"}},
        {"span_copy", "first_seq", {"first_seq", "base_us"}},
        {"event", "seq", {"seq", "ts_us", "kind", "severity", "tag", "body"}},
        {"cursor", "lane", {"lane", "acked_seq"}},
        {"dropped", "lane, first_seq", {"lane", "first_seq", "last_seq", "n", "reason", "at_us"}},
        {"dead_letter",
         "id",
         {"id", "lane", "seq", "ts_us", "tag", "quality", "flags", "value", "delay_us", "mid", "reason", "at_us"}},
        {"quarantine", "id", {"id", "at_us", "driver", "origin", "reason", "payload"}},
        {"rescue", "id", {"id", "at_us", "aside", "epoch", "readings", "events", "lost_n", "lost", "stopped"}},
        {"alarm",
         "source, tag, rule, limit_kind",
         {"source", "tag", "rule", "limit_kind", "state", "active", "unacked", "latched", "visibility", "activations",
          "since_us", "shelved_until_us", "severity", "event_id"}},
        {"alarm_log",
         "id",
         {"id", "at_us", "source", "tag", "rule", "limit_kind", "event_id", "change", "value", "limit_value",
          "severity", "operator", "comment"}},
        {"learned", "id", {"id", "at_us", "source", "tag", "rule", "limit_kind", "form", "memory"}},
        {"aggregate", "seq", {"seq", "n", "min", "max"}},
        {"ahead", "first_seq", {"first_seq", "last_seq"}},
        {"reading", "seq", {"seq", "ts_us", "tag", "quality", "flags", "value", "delay_us", "mid"}}, /* of the old */
};
enum { N_TABLES = sizeof(tables) / sizeof(*tables) };

static int64_t take_odd(struct bytes *b)
{
        static const int64_t odd[] = {INT64_MAX,
                                      INT64_MIN,
                                      -1,
                                      0,
                                      INT64_C(1) << 32,
                                      INT64_C(1) << 53,
                                      UINT32_MAX,
                                      INT32_MAX,
                                      INT64_C(1795428000000000),
                                      INT64_MAX - 1,
                                      1000000,
                                      INT64_C(1) << 62,
                                      INT32_MIN,
                                      65535,
                                      INT64_C(-1795428000000000),
                                      INT64_MIN + 1};

        return odd[bytes_take(b) % (sizeof(odd) / sizeof(*odd))];
}

static void bind_text(sqlite3_stmt *st, struct bytes *b, bool blob)
{
        size_t n = bytes_take(b);

        if (n > b->n)
                n = b->n;
        if (blob)
                sqlite3_bind_blob(st, 1, b->p, (int)n, SQLITE_TRANSIENT);
        else
                sqlite3_bind_text(st, 1, (const char *)b->p, (int)n, SQLITE_TRANSIENT);
        b->p += n;
        b->n -= n;
}

static void bind_value(sqlite3_stmt *st, struct bytes *b)
{
        uint8_t kind = bytes_take(b) % 8;
        uint64_t bits;
        double real;

        switch (kind) {
        case 0:
                sqlite3_bind_int64(st, 1, (int8_t)bytes_take(b));
                break;
        case 1:
                sqlite3_bind_int64(st, 1, (int64_t)bytes_u64(b));
                break;
        case 2:
                sqlite3_bind_int64(st, 1, take_odd(b));
                break;
        case 3:
                bits = bytes_u64(b);
                memcpy(&real, &bits, sizeof(real));
                sqlite3_bind_double(st, 1, real);
                break;
        case 4:
        case 5:
                bind_text(st, b, kind == 5);
                break;
        case 6:
                sqlite3_bind_zeroblob(st, 1, bytes_take(b) * TEXT_MAX);
                break;
        default:
                sqlite3_bind_null(st, 1);
        }
}

static sqlite3 *open_spool(const struct house *h)
{
        sqlite3 *c;

        if (sqlite3_open_v2(h->path, &c, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK) {
                sqlite3_db_config(c, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
                sqlite3_exec(c, "PRAGMA synchronous=OFF", NULL, NULL, NULL);
        }
        return c;
}

static void run(const struct house *h, const char *sql, int row, struct bytes *value)
{
        sqlite3 *c = open_spool(h);
        sqlite3_stmt *st = NULL;

        if (sqlite3_prepare_v2(c, sql, -1, &st, NULL) == SQLITE_OK) {
                if (value)
                        bind_value(st, value);
                sqlite3_bind_int(st, 2, row);
                sqlite3_step(st);
        }
        sqlite3_finalize(st);
        sqlite3_close(c);
}

static void cell(const struct house *h, struct bytes *b)
{
        int t = bytes_take(b) % N_TABLES, row = bytes_take(b), n = 0;
        const char *column;
        char sql[400];

        while (n < COLUMNS_MAX && tables[t].column[n])
                n++;
        column = tables[t].column[bytes_take(b) % n];
        snprintf(sql, sizeof(sql),
                 "UPDATE OR REPLACE %s SET %s = ?1 WHERE (%s) = (SELECT %s FROM %s LIMIT 1 OFFSET ?2)", tables[t].name,
                 column, tables[t].key, tables[t].key, tables[t].name);
        run(h, sql, row, b);
}

/* A row, or the whole table. */
static void drop(const struct house *h, struct bytes *b)
{
        int t = bytes_take(b) % N_TABLES, row = bytes_take(b);
        char sql[400];

        if (row == 255)
                snprintf(sql, sizeof(sql), "DROP TABLE %s", tables[t].name);
        else
                snprintf(sql, sizeof(sql), "DELETE FROM %s WHERE (%s) = (SELECT %s FROM %s LIMIT 1 OFFSET ?2)",
                         tables[t].name, tables[t].key, tables[t].key, tables[t].name);
        run(h, sql, row, NULL);
}

static void set_version(const struct house *h, struct bytes *b)
{
        char sql[64];

        snprintf(sql, sizeof(sql), "PRAGMA user_version=%d", bytes_take(b) % 16);
        run(h, sql, 0, NULL);
}

/* ---- instructions ---- */

static void of_bytes(const struct house *h, struct bytes *b, void (*step)(int fd, struct bytes *b, off_t size))
{
        off_t size;
        int fd = open_one(h, b, &size);

        step(fd, b, size);
        close(fd);
}

static void remove_one(const struct house *h, struct bytes *b)
{
        char path[TEMP_PATH_MAX];

        house_path(h, bytes_take(b) % HOUSE_FILES, path);
        unlink(path);
}

void damage_files(const struct house *h, struct bytes *b)
{
        static void (*const of_a_file[])(int fd, struct bytes *b, off_t size) = {flip, overwrite, copy_page,
                                                                                 grow, replace,   cut};
        char path[TEMP_PATH_MAX];

        for (int i = 0; i < DAMAGE_STEPS && b->n; i++) {
                uint8_t what = bytes_take(b) % 16;

                if (what < 6)
                        of_bytes(h, b, of_a_file[what]);
                else if (what == 6)
                        remove_one(h, b);
                else if (what == 7)
                        drop(h, b);
                else if (what == 8)
                        set_version(h, b);
                else
                        cell(h, b);
        }
        unlink(temp_dir_beside(h->path, "-shm", path));
}
