/*
 * pages: see pages.h.  The format is SQLite's (sqlite.org/fileformat2.html):
 * big-endian, leaf pages of tables start with 13 and those of indexes (our
 * tables WITHOUT ROWID) with 10, cells are found through a pointer array.
 *
 * One pass notes for every leaf page the first rowid, 24 bytes a page, so that
 * rows come in order with bounded memory; the pages are read again when their
 * turn is.  Frames of the WAL count when their salts are the header's and their
 * own checksum, which goes on from the frame before, is right.  A WAL whose
 * first page is another program's is left out. How it fails: what can't be read
 * is not there.
 */
#include "store/rescue/pages.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
        PAGE = 4096,
        WAL_HEAD = 32,
        FRAME_HEAD = 24,
        LEAF_TABLE = 13,
        LEAF_INDEX = 10,
        CELLS_MAX = PAGE / 4,
        PAYLOAD_MAX = 80 << 20,
        ID_AT = 68, /* application_id in the first page */
};

struct leaf {
        uint64_t first; /* rowid */
        uint32_t page;
        uint8_t type;
};

struct pages {
        int fd, wal;
        uint32_t n_pages;
        uint32_t *frame; /* by page: 1-based frame of the WAL, 0: the file's own */
        struct leaf *leaves;
        size_t n_leaves, cap_leaves;
        unsigned char *payload; /* of a row with overflow pages */
        size_t cap_payload;
};

static uint32_t be32(const unsigned char *p)
{
        return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static unsigned be16(const unsigned char *p)
{
        return (unsigned)p[0] << 8 | p[1];
}

/* 0: does not end within `end`. */
static int varint(const unsigned char *p, const unsigned char *end, uint64_t *out)
{
        uint64_t v = 0;

        for (int i = 0; i < 9 && p + i < end; i++) {
                if (i == 8) {
                        *out = v << 8 | p[i];
                        return 9;
                }
                v = v << 7 | (p[i] & 0x7f);
                if (!(p[i] & 0x80)) {
                        *out = v;
                        return i + 1;
                }
        }
        return 0;
}

/* ---- pages ---- */

static bool read_page(struct pages *p, uint32_t no, unsigned char *out)
{
        uint32_t frame;

        if (no < 1 || no > p->n_pages)
                return false;
        frame = p->frame[no];
        if (frame)
                return pread(p->wal, out, PAGE, WAL_HEAD + (off_t)(frame - 1) * (FRAME_HEAD + PAGE) + FRAME_HEAD) ==
                       PAGE;
        return pread(p->fd, out, PAGE, (off_t)(no - 1) * PAGE) == PAGE;
}

static void wal_sum(bool big, const unsigned char *p, size_t n, uint32_t sum[2])
{
        for (size_t i = 0; i + 8 <= n; i += 8) {
                uint32_t a = be32(p + i), b = be32(p + i + 4);

                if (!big) {
                        a = __builtin_bswap32(a);
                        b = __builtin_bswap32(b);
                }
                sum[0] += a + sum[1];
                sum[1] += b + sum[0];
        }
}

static bool grow_pages(struct pages *p, uint32_t no)
{
        if (no > p->n_pages + (1u << 22))
                return false;
        if (no > p->n_pages) {
                p->frame = mem_grow(p->frame, (size_t)no + 1, sizeof(*p->frame));
                memset(p->frame + p->n_pages + 1, 0, (no - p->n_pages) * sizeof(*p->frame));
                p->n_pages = no;
        }
        return true;
}

static bool frame_is_whole(const unsigned char *frame, const unsigned char *head, const unsigned char *before)
{
        uint32_t sum[2] = {be32(before), be32(before + 4)};

        if (memcmp(frame + 8, head + 16, 8) != 0)
                return false;
        wal_sum(head[3] & 1, frame, 8, sum);
        wal_sum(head[3] & 1, frame + FRAME_HEAD, PAGE, sum);
        return sum[0] == be32(frame + 16) && sum[1] == be32(frame + 20);
}

/*
 * Calls nothing for a WAL that is not one, or that holds another program's
 * first page.
 */
static void read_wal(struct pages *p, const char *path)
{
        unsigned char head[WAL_HEAD], frame[FRAME_HEAD + PAGE], before[8];
        uint32_t n_before = p->n_pages;
        off_t at = WAL_HEAD;

        p->wal = open(path, O_RDONLY | O_CLOEXEC);
        if (p->wal < 0 || pread(p->wal, head, sizeof(head), 0) != sizeof(head) || be32(head) >> 1 != 0x377f0682 >> 1 ||
            be32(head + 8) != PAGE)
                return;
        memcpy(before, head + 24, 8);
        for (uint32_t i = 1; pread(p->wal, frame, sizeof(frame), at) == (ssize_t)sizeof(frame); i++) {
                bool foreign = be32(frame) == 1 && memcmp(frame + FRAME_HEAD + ID_AT, "MLR1", 4) != 0 &&
                               be32(frame + FRAME_HEAD + ID_AT) != 0;

                if (frame_is_whole(frame, head, before) && foreign) {
                        memset(p->frame, 0, ((size_t)p->n_pages + 1) * sizeof(*p->frame));
                        p->n_pages = n_before;
                        return;
                }
                if (frame_is_whole(frame, head, before) && be32(frame) && grow_pages(p, be32(frame)))
                        p->frame[be32(frame)] = i;
                memcpy(before, frame + 16, 8);
                at += (off_t)sizeof(frame);
        }
}

/* ---- cells ---- */

static int put_value(struct pages_value *v, uint64_t serial, const unsigned char *p, const unsigned char *end)
{
        static const uint8_t bytes[] = {0, 1, 2, 3, 4, 6, 8, 8, 0, 0};
        uint64_t len = serial < 10 ? bytes[serial] : (serial - 12) / 2, bits = 0;

        if (serial == 10 || serial == 11 || len > (uint64_t)(end - p))
                return -1;
        *v = (struct pages_value){.p = (const char *)p, .len = (uint32_t)len};
        if (serial >= 12) {
                v->type = serial & 1 ? PAGES_TEXT : PAGES_BLOB;
        } else if (serial) {
                for (uint64_t i = 0; i < len; i++)
                        bits = bits << 8 | (!i && p[0] & 0x80 && serial != 7 ? ~0xffull | p[0] : p[i]);
                v->type = serial == 7 ? PAGES_REAL : PAGES_INT;
                v->i = serial == 9 ? 1 : (int64_t)bits;
                memcpy(&v->real, &bits, sizeof(v->real));
        }
        return (int)len;
}

/* False: not a record of `n_columns` that fills its payload exactly. */
static bool parse_record(struct pages_row *row, const unsigned char *p, uint64_t n_bytes, int n_columns)
{
        const unsigned char *end = p + n_bytes, *head_end, *value;
        uint64_t head, serial;
        int n = varint(p, end, &head);

        if (!n || head > n_bytes || head < (uint64_t)n)
                return false;
        head_end = value = p + head;
        p += n;
        for (row->n = 0; p < head_end; row->n++) {
                int len;

                n = varint(p, head_end, &serial);
                if (!n || row->n == n_columns || (len = put_value(&row->v[row->n], serial, value, end)) < 0)
                        return false;
                value += len;
                p += n;
        }
        return row->n == n_columns && value == end;
}

static uint64_t local_bytes(uint64_t payload, bool table)
{
        uint64_t most = table ? PAGE - 35 : (PAGE - 12) * 64 / 255 - 23;
        uint64_t least = (PAGE - 12) * 32 / 255 - 23, k = least + (payload - least) % (PAGE - 4);

        if (payload <= most)
                return payload;
        return k <= most ? k : least;
}

/*
 * The whole payload of a cell whose local part ends with the number of its
 * first overflow page.
 */
static const unsigned char *follow(struct pages *p, const unsigned char *local, uint64_t n_local, uint64_t payload)
{
        unsigned char page[PAGE];
        uint32_t no = be32(local + n_local);
        uint64_t done = n_local;

        if (payload > PAYLOAD_MAX)
                return NULL;
        if (payload > p->cap_payload) {
                p->cap_payload = payload;
                p->payload = mem_grow(p->payload, p->cap_payload, 1);
        }
        memcpy(p->payload, local, n_local);
        while (done < payload) {
                uint64_t n = payload - done < PAGE - 4 ? payload - done : PAGE - 4;

                if (!read_page(p, no, page))
                        return NULL;
                memcpy(p->payload + done, page + 4, n);
                done += n;
                no = be32(page);
        }
        return no == 0 ? p->payload : NULL;
}

/* Row `i` of a leaf page into `row`. */
static bool parse_cell(struct pages *p, const unsigned char *page, size_t head_at, unsigned i, int n_columns,
                       struct pages_row *row)
{
        bool table = page[head_at] == LEAF_TABLE;
        const unsigned char *end = page + PAGE, *c = page + be16(page + head_at + 8 + 2 * i);
        uint64_t payload, rowid = 0, n_local;
        int n;

        if (c < page + head_at + 8 || !(n = varint(c, end, &payload)) || payload < 2 || payload > PAYLOAD_MAX)
                return false;
        c += n;
        if (table && !(n = varint(c, end, &rowid)))
                return false;
        c += table ? n : 0;
        row->rowid = (int64_t)rowid;
        n_local = local_bytes(payload, table);
        if (n_local + (n_local < payload ? 4 : 0) > (uint64_t)(end - c))
                return false;
        if (n_local < payload && !(c = follow(p, c, n_local, payload)))
                return false;
        return parse_record(row, c, payload, n_columns);
}

/* ---- leaves ---- */

static bool is_leaf(const unsigned char *page, size_t head_at)
{
        unsigned n = be16(page + head_at + 3);

        return (page[head_at] == LEAF_TABLE || page[head_at] == LEAF_INDEX) && n > 0 && n <= CELLS_MAX &&
               head_at + 8 + 2 * n <= PAGE;
}

static bool first_rowid(const unsigned char *page, size_t head_at, uint64_t *out)
{
        const unsigned char *c = page + be16(page + head_at + 8), *end = page + PAGE;
        int n = varint(c, end, out);

        *out = 0;
        return page[head_at] == LEAF_INDEX || (n && varint(c + n, end, out));
}

static int by_first(const void *a, const void *b)
{
        const struct leaf *x = a, *y = b;

        return x->first != y->first ? (x->first < y->first ? -1 : 1) : x->page < y->page ? -1 : x->page > y->page;
}

static void find_leaves(struct pages *p)
{
        unsigned char page[PAGE];

        for (uint32_t no = 1; no <= p->n_pages; no++) {
                size_t head_at = no == 1 ? 100 : 0;
                uint64_t first;

                if (!read_page(p, no, page) || !is_leaf(page, head_at) || !first_rowid(page, head_at, &first))
                        continue;
                if (p->n_leaves == p->cap_leaves) {
                        p->cap_leaves = p->cap_leaves ? 2 * p->cap_leaves : 256;
                        p->leaves = mem_grow(p->leaves, p->cap_leaves, sizeof(*p->leaves));
                }
                p->leaves[p->n_leaves++] = (struct leaf){.first = first, .page = no, .type = page[head_at]};
        }
        if (p->n_leaves)
                qsort(p->leaves, p->n_leaves, sizeof(*p->leaves), by_first);
}

static bool each_of_page(struct pages *p, const struct leaf *leaf, int n_columns,
                         bool (*each)(void *ctx, const struct pages_row *row), void *ctx)
{
        size_t head_at = leaf->page == 1 ? 100 : 0;
        unsigned char page[PAGE];
        struct pages_row row;
        int64_t last = 0;

        if (!read_page(p, leaf->page, page) || !is_leaf(page, head_at))
                return true;
        for (unsigned i = 0; i < be16(page + head_at + 3); i++) {
                if (!parse_cell(p, page, head_at, i, n_columns, &row))
                        continue;
                if (leaf->type == LEAF_TABLE && i && row.rowid <= last)
                        continue;
                last = row.rowid;
                if (!each(ctx, &row))
                        return false;
        }
        return true;
}

void pages_each(struct pages *p, enum pages_kind kind, int n_columns,
                bool (*each)(void *ctx, const struct pages_row *row), void *ctx)
{
        for (size_t i = 0; i < p->n_leaves; i++)
                if ((p->leaves[i].type == LEAF_TABLE) == (kind == PAGES_TABLE) &&
                    !each_of_page(p, &p->leaves[i], n_columns, each, ctx))
                        return;
}

int pages_open(struct pages **out, const char *path, struct err *e)
{
        struct pages *p = mem_alloc(sizeof(*p));
        char name[4200];
        struct stat st;

        p->wal = -1;
        p->fd = open(path, O_RDONLY | O_CLOEXEC);
        if (p->fd < 0 || fstat(p->fd, &st) != 0) {
                err_errno(e, "spool %s", path);
                pages_close(p);
                return -1;
        }
        p->n_pages = (uint32_t)(st.st_size / PAGE);
        p->frame = mem_alloc(((size_t)p->n_pages + 1) * sizeof(*p->frame));
        snprintf(name, sizeof(name), "%s-wal", path);
        read_wal(p, name);
        find_leaves(p);
        *out = p;
        return 0;
}

void pages_close(struct pages *p)
{
        if (p->fd >= 0)
                close(p->fd);
        if (p->wal >= 0)
                close(p->wal);
        free(p->frame);
        free(p->leaves);
        free(p->payload);
        free(p);
}
