/*
 * pages: see pages.h.  The format is SQLite's (sqlite.org/fileformat2.html):
 * big-endian, leaf pages of tables start with 13 and those of indexes (our
 * tables WITHOUT ROWID) with 10, cells are found through a pointer array.  An
 * index has rows in its inner pages (2) as well.
 *
 * One pass notes for every such page the first rowid, 24 bytes a page, so that
 * rows come in order with bounded memory; the pages are read again when their
 * turn is.  Of a page that is free only what no other has is taken.  Frames of
 * the WAL count when their salts are the header's and their
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

#include "store/rescue/record.h"

enum {
        PAGE_NEW = 1024, /* of the files of today, and of before */
        PAGE_OLD = 4096,
        PAGE_MOST = PAGE_OLD,
        WAL_HEAD = 32,
        FRAME_HEAD = 24,
        LEAF_TABLE = 13,
        LEAF_INDEX = 10,
        INNER_INDEX = 2,
        PAYLOAD_MAX = 80 << 20,
        ID_AT = 68, /* application_id in the first page */
};

struct leaf {
        uint64_t first; /* rowid */
        uint32_t page;
        uint8_t type;
        bool is_free; /* what it has is from before */
};

struct pages {
        int fd, wal;
        uint32_t page_bytes, n_pages;
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

/* ---- pages ---- */

static bool read_page(struct pages *p, uint32_t no, unsigned char *out)
{
        uint32_t frame;

        if (no < 1 || no > p->n_pages)
                return false;
        frame = p->frame[no];
        if (frame)
                return pread(p->wal, out, p->page_bytes,
                             WAL_HEAD + (off_t)(frame - 1) * (FRAME_HEAD + p->page_bytes) + FRAME_HEAD) ==
                       (ssize_t)p->page_bytes;
        return pread(p->fd, out, p->page_bytes, (off_t)(no - 1) * p->page_bytes) == (ssize_t)p->page_bytes;
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

static bool frame_is_whole(const struct pages *p, const unsigned char *frame, const unsigned char *head,
                           const unsigned char *before)
{
        uint32_t sum[2] = {be32(before), be32(before + 4)};

        if (memcmp(frame + 8, head + 16, 8) != 0)
                return false;
        wal_sum(head[3] & 1, frame, 8, sum);
        wal_sum(head[3] & 1, frame + FRAME_HEAD, p->page_bytes, sum);
        return sum[0] == be32(frame + 16) && sum[1] == be32(frame + 20);
}

/*
 * Calls nothing for a WAL that is not one, or that holds another program's
 * first page.
 */
static void read_wal(struct pages *p, const char *path)
{
        unsigned char head[WAL_HEAD], frame[FRAME_HEAD + PAGE_MOST], before[8];
        size_t size = FRAME_HEAD + p->page_bytes;
        uint32_t n_before = p->n_pages;
        off_t at = WAL_HEAD;

        p->wal = open(path, O_RDONLY | O_CLOEXEC);
        if (p->wal < 0 || pread(p->wal, head, sizeof(head), 0) != sizeof(head) || be32(head) >> 1 != 0x377f0682 >> 1 ||
            be32(head + 8) != p->page_bytes)
                return;
        memcpy(before, head + 24, 8);
        for (uint32_t i = 1; pread(p->wal, frame, size, at) == (ssize_t)size; i++) {
                bool foreign = be32(frame) == 1 && memcmp(frame + FRAME_HEAD + ID_AT, "MLR1", 4) != 0 &&
                               be32(frame + FRAME_HEAD + ID_AT) != 0;

                if (frame_is_whole(p, frame, head, before) && foreign) {
                        memset(p->frame, 0, ((size_t)p->n_pages + 1) * sizeof(*p->frame));
                        p->n_pages = n_before;
                        return;
                }
                if (frame_is_whole(p, frame, head, before) && be32(frame) && grow_pages(p, be32(frame)))
                        p->frame[be32(frame)] = i;
                memcpy(before, frame + 16, 8);
                at += (off_t)size;
        }
}

/* ---- cells ---- */

static uint64_t local_bytes(uint64_t page_bytes, uint64_t payload, bool table)
{
        uint64_t most = table ? page_bytes - 35 : (page_bytes - 12) * 64 / 255 - 23;
        uint64_t least = (page_bytes - 12) * 32 / 255 - 23, k = least + (payload - least) % (page_bytes - 4);

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
        unsigned char page[PAGE_MOST];
        uint32_t no = be32(local + n_local), most = p->page_bytes - 4;
        uint64_t done = n_local;

        if (payload > PAYLOAD_MAX)
                return NULL;
        if (payload > p->cap_payload) {
                p->cap_payload = payload;
                p->payload = mem_grow(p->payload, p->cap_payload, 1);
        }
        memcpy(p->payload, local, n_local);
        while (done < payload) {
                uint64_t n = payload - done < most ? payload - done : most;

                if (!read_page(p, no, page))
                        return NULL;
                memcpy(p->payload + done, page + 4, n);
                done += n;
                no = be32(page);
        }
        return no == 0 ? p->payload : NULL;
}

/* Where the places of cells are; an inner page has one more number before them. */
static size_t cells_at(const unsigned char *page, size_t head_at)
{
        return head_at + (page[head_at] == INNER_INDEX ? 12 : 8);
}

/* Row `i` of a page into `row`. */
static bool parse_cell(struct pages *p, const unsigned char *page, size_t head_at, unsigned i, int n_columns,
                       struct pages_row *row)
{
        bool table = page[head_at] == LEAF_TABLE;
        const unsigned char *end = page + p->page_bytes, *c = page + be16(page + cells_at(page, head_at) + 2 * i);
        uint64_t payload, rowid = 0, n_local;
        int n;

        if (c < page + head_at + 8)
                return false;
        c += page[head_at] == INNER_INDEX ? 4 : 0; /* the page to its left */
        if (!(n = record_varint(c, end, &payload)) || payload < 2 || payload > PAYLOAD_MAX)
                return false;
        c += n;
        if (table && !(n = record_varint(c, end, &rowid)))
                return false;
        c += table ? n : 0;
        row->rowid = (int64_t)rowid;
        n_local = local_bytes(p->page_bytes, payload, table);
        if (n_local + (n_local < payload ? 4 : 0) > (uint64_t)(end - c))
                return false;
        if (n_local < payload && !(c = follow(p, c, n_local, payload)))
                return false;
        return record_parse(row, c, payload, n_columns);
}

/* ---- leaves ---- */

static bool has_rows(const struct pages *p, const unsigned char *page, size_t head_at)
{
        unsigned n = be16(page + head_at + 3);

        return (page[head_at] == LEAF_TABLE || page[head_at] == LEAF_INDEX || page[head_at] == INNER_INDEX) && n > 0 &&
               n <= p->page_bytes / 4 && cells_at(page, head_at) + 2 * n <= p->page_bytes;
}

static bool first_rowid(const struct pages *p, const unsigned char *page, size_t head_at, uint64_t *out)
{
        const unsigned char *c = page + be16(page + head_at + 8), *end = page + p->page_bytes;
        int n = record_varint(c, end, out);

        *out = 0;
        return page[head_at] != LEAF_TABLE || (n && record_varint(c + n, end, out));
}

/* As the map of pages says ("Pointer map pages"); where that is damaged, none is. */
static bool is_free(struct pages *p, uint32_t no, unsigned char *map, uint32_t *map_no)
{
        enum { ENTRY = 5, FREE = 2 };
        uint32_t each = p->page_bytes / ENTRY + 1, of = no < 2 ? 0 : (no - 2) / each * each + 2;

        if (no <= of || !of)
                return false;
        if (of != *map_no && !read_page(p, of, map))
                memset(map, 0, p->page_bytes);
        *map_no = of;
        return map[(no - of - 1) * ENTRY] == FREE;
}

static int by_first(const void *a, const void *b)
{
        const struct leaf *x = a, *y = b;

        return x->first != y->first ? (x->first < y->first ? -1 : 1) : x->page < y->page ? -1 : x->page > y->page;
}

static void find_leaves(struct pages *p)
{
        unsigned char page[PAGE_MOST], map[PAGE_MOST];
        uint32_t map_no = 0;

        for (uint32_t no = 1; no <= p->n_pages; no++) {
                size_t head_at = no == 1 ? 100 : 0;
                uint64_t first;

                if (!read_page(p, no, page) || !has_rows(p, page, head_at) || !first_rowid(p, page, head_at, &first))
                        continue;
                if (p->n_leaves == p->cap_leaves) {
                        p->cap_leaves = p->cap_leaves ? 2 * p->cap_leaves : 256;
                        p->leaves = mem_grow(p->leaves, p->cap_leaves, sizeof(*p->leaves));
                }
                p->leaves[p->n_leaves++] = (struct leaf){
                        .first = first, .page = no, .type = page[head_at], .is_free = is_free(p, no, map, &map_no)};
        }
        if (p->n_leaves)
                qsort(p->leaves, p->n_leaves, sizeof(*p->leaves), by_first);
}

/* The next page in use of a table with so many columns, from `i` on; n_leaves: there is none. */
static size_t next_in_use(struct pages *p, size_t i, int n_columns)
{
        unsigned char page[PAGE_MOST];
        struct pages_row row;

        for (; i < p->n_leaves; i++)
                if (!p->leaves[i].is_free && p->leaves[i].type == LEAF_TABLE && read_page(p, p->leaves[i].page, page) &&
                    parse_cell(p, page, p->leaves[i].page == 1 ? 100 : 0, 0, n_columns, &row))
                        break;
        return i;
}

/* Rows of a table at or above `end` are left out. */
static bool each_of_page(struct pages *p, const struct leaf *leaf, uint64_t end, int n_columns,
                         bool (*each)(void *ctx, const struct pages_row *row), void *ctx)
{
        size_t head_at = leaf->page == 1 ? 100 : 0;
        unsigned char page[PAGE_MOST];
        struct pages_row row;
        int64_t last = 0;

        if (!read_page(p, leaf->page, page) || !has_rows(p, page, head_at))
                return true;
        for (unsigned i = 0; i < be16(page + head_at + 3); i++) {
                if (!parse_cell(p, page, head_at, i, n_columns, &row))
                        continue;
                if (leaf->type == LEAF_TABLE && ((i && row.rowid <= last) || (uint64_t)row.rowid >= end))
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
        size_t next = 0;

        for (size_t i = 0; i < p->n_leaves; i++) {
                bool table = p->leaves[i].type == LEAF_TABLE;
                uint64_t end = UINT64_MAX;

                if (table != (kind == PAGES_TABLE))
                        continue;
                /* What was on a free page once is older than what the table has there now. */
                if (table && p->leaves[i].is_free) {
                        next = next_in_use(p, next > i ? next : i + 1, n_columns);
                        end = next < p->n_leaves ? p->leaves[next].first : UINT64_MAX;
                }
                if (!each_of_page(p, &p->leaves[i], end, n_columns, each, ctx))
                        return;
        }
}

/* ---- how large they are ---- */

/* A page with rows, were pages so large: all its cells lie within it. */
static bool is_sound(const unsigned char *page, size_t page_bytes, size_t head_at)
{
        struct pages p = {.page_bytes = (uint32_t)page_bytes};
        size_t n = be16(page + head_at + 3), from = cells_at(page, head_at);

        if (!has_rows(&p, page, head_at))
                return false;
        for (size_t i = 0; i < n; i++) {
                size_t at = be16(page + from + 2 * i);

                if (at < from + 2 * n || at >= page_bytes)
                        return false;
        }
        return true;
}

/*
 * By its pages, whatever its header says: of large ones hardly any is sound
 * when taken for a small one, for rows lie at a page's end.  0: it has none.
 */
static uint32_t find_page_bytes(int fd)
{
        enum { SURE = 1000 };
        int n_new = 0, n_old = 0;
        unsigned char block[PAGE_OLD] = {0};

        for (off_t at = 0; n_new < SURE && n_old < SURE && pread(fd, block, sizeof(block), at) > 0; at += PAGE_OLD) {
                n_old += is_sound(block, PAGE_OLD, at ? 0 : 100);
                for (size_t k = 0; k < PAGE_OLD; k += PAGE_NEW)
                        n_new += is_sound(block + k, PAGE_NEW, at || k ? 0 : 100);
        }
        return !n_new && !n_old ? 0 : n_new >= n_old ? PAGE_NEW : PAGE_OLD;
}

/* As the WAL's header says, where there is one. */
static uint32_t told_page_bytes(const char *wal)
{
        unsigned char head[WAL_HEAD];
        int fd = open(wal, O_RDONLY | O_CLOEXEC);
        bool read = fd >= 0 && pread(fd, head, sizeof(head), 0) == sizeof(head);

        if (fd >= 0)
                close(fd);
        return read && be32(head + 8) == PAGE_OLD ? PAGE_OLD : PAGE_NEW;
}

int pages_open(struct pages **out, const char *path, struct err *e)
{
        struct pages *p = mem_alloc(sizeof(*p));
        char wal[4200];
        struct stat st;

        snprintf(wal, sizeof(wal), "%s-wal", path);
        p->wal = -1;
        p->fd = open(path, O_RDONLY | O_CLOEXEC);
        if (p->fd < 0 || fstat(p->fd, &st) != 0) {
                err_errno(e, "spool %s", path);
                pages_close(p);
                return -1;
        }
        p->page_bytes = find_page_bytes(p->fd);
        if (!p->page_bytes)
                p->page_bytes = told_page_bytes(wal);
        p->n_pages = (uint32_t)(st.st_size / p->page_bytes);
        p->frame = mem_alloc(((size_t)p->n_pages + 1) * sizeof(*p->frame));
        read_wal(p, wal);
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
