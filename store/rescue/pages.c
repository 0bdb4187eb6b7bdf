/*
 * pages: see pages.h.  The format is SQLite's (sqlite.org/fileformat2.html):
 * big-endian, leaf pages of tables start with 13 and those of indexes (our
 * tables WITHOUT ROWID) with 10, cells are found through a pointer array.  An
 * index has rows in its inner pages (2) as well.
 *
 * One pass notes where in its table every such page is, 24 bytes a page, so
 * that rows come in order with bounded memory; the pages are read again when
 * their turn is.  Where it is the row in its middle says: one damaged rowid
 * moves no page, and none that breaks the page's order counts.  Of a page that
 * is free only what no other has is taken.  Frames of the WAL count when their
 * salts are the header's and their own checksum, which goes on from the frame
 * before, is right, and when the end of a commit follows: pages of one that was
 * cut short lack what others of it took over from them.  A WAL whose first page
 * is another program's is left out. How it fails: what can't be read is not
 * there.
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
        uint64_t first, middle; /* rowids */
        uint32_t page;
        uint16_t look; /* pages of one table have the same */
        uint8_t type;
        bool is_free; /* what it has is from before */
};

enum { CELLS_MAX = PAGE_MOST / 4 };

/* The cells of a page, in an order that is possible. */
struct run {
        unsigned n;
        uint16_t cell[CELLS_MAX];
        uint64_t rowid[CELLS_MAX];
        uint16_t look; /* of most */
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

/* False: there is none. `before` is the sum that it goes on from, then its own. */
static bool read_frame(const struct pages *p, const unsigned char *head, uint32_t i, unsigned char *frame,
                       unsigned char *before, bool *whole)
{
        size_t size = FRAME_HEAD + p->page_bytes;

        if (pread(p->wal, frame, size, WAL_HEAD + (off_t)(i - 1) * (off_t)size) != (ssize_t)size)
                return false;
        *whole = frame_is_whole(p, frame, head, before);
        memcpy(before, frame + 16, 8);
        return true;
}

/* The frame that ends it. */
static uint32_t find_last_commit(const struct pages *p, const unsigned char *head)
{
        unsigned char frame[FRAME_HEAD + PAGE_MOST], before[8];
        uint32_t last = 0;
        bool whole;

        memcpy(before, head + 24, 8);
        for (uint32_t i = 1; read_frame(p, head, i, frame, before, &whole); i++)
                if (whole && be32(frame + 4))
                        last = i;
        return last;
}

/*
 * Calls nothing for a WAL that is not one, or that holds another program's
 * first page.
 */
static void read_wal(struct pages *p, const char *path)
{
        unsigned char head[WAL_HEAD], frame[FRAME_HEAD + PAGE_MOST], before[8];
        uint32_t n_before = p->n_pages, last;
        bool whole;

        p->wal = open(path, O_RDONLY | O_CLOEXEC);
        if (p->wal < 0 || pread(p->wal, head, sizeof(head), 0) != sizeof(head) || be32(head) >> 1 != 0x377f0682 >> 1 ||
            be32(head + 8) != p->page_bytes)
                return;
        memcpy(before, head + 24, 8);
        last = find_last_commit(p, head);
        for (uint32_t i = 1; i <= last && read_frame(p, head, i, frame, before, &whole); i++) {
                bool foreign = be32(frame) == 1 && memcmp(frame + FRAME_HEAD + ID_AT, "MLR1", 4) != 0 &&
                               be32(frame + FRAME_HEAD + ID_AT) != 0;

                if (whole && foreign) {
                        memset(p->frame, 0, ((size_t)p->n_pages + 1) * sizeof(*p->frame));
                        p->n_pages = n_before;
                        return;
                }
                if (whole && be32(frame) && grow_pages(p, be32(frame)))
                        p->frame[be32(frame)] = i;
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

/* Number and types of its columns. */
static uint16_t look_of(const struct pages_row *row)
{
        enum { LOOKED_AT = 4 };
        unsigned look = (unsigned)row->n;

        for (int i = 0; i < LOOKED_AT; i++)
                look = look << 3 | (i < row->n ? row->v[i].type : 0);
        return (uint16_t)look;
}

static int columns_of(const struct leaf *l)
{
        return l->look >> 12;
}

/* Leaves the most rows there are whose ids rise: those that fit in with most others. */
static void keep_rising(struct run *r)
{
        uint16_t best[CELLS_MAX], before[CELLS_MAX]; /* the lowest end of so many; the one before */
        unsigned n = 0, at;

        for (unsigned i = 0; i < r->n; i++) {
                unsigned low = 0, high = n;

                while (low < high) {
                        unsigned mid = (low + high) / 2;

                        if (r->rowid[best[mid]] < r->rowid[i])
                                low = mid + 1;
                        else
                                high = mid;
                }
                before[i] = low ? best[low - 1] : 0;
                best[low] = (uint16_t)i;
                n += low == n;
        }
        at = n ? best[n - 1] : 0;
        for (unsigned i = n; i-- > 0; at = before[at])
                best[i] = (uint16_t)at;
        for (unsigned i = 0; i < n; i++) {
                r->cell[i] = r->cell[best[i]];
                r->rowid[i] = r->rowid[best[i]];
        }
        r->n = n;
}

/* What the cells say, whole or not; false where that is no order. */
static bool read_order(const struct pages *p, const unsigned char *page, size_t head_at, struct run *r)
{
        const unsigned char *end = page + p->page_bytes;
        uint64_t payload;

        for (r->n = 0; r->n < be16(page + head_at + 3) && r->n < CELLS_MAX; r->n++) {
                const unsigned char *c = page + be16(page + cells_at(page, head_at) + 2 * r->n);
                int n = c < page + head_at + 8 ? 0 : record_varint(c, end, &payload);

                if (!n || !record_varint(c + n, end, &r->rowid[r->n]) || r->rowid[r->n] > INT64_MAX ||
                    (r->n && r->rowid[r->n] <= r->rowid[r->n - 1]))
                        return false;
                r->cell[r->n] = (uint16_t)r->n;
        }
        return true;
}

static void read_whole(struct pages *p, const unsigned char *page, size_t head_at, struct run *r)
{
        struct pages_row row;

        r->n = 0;
        for (unsigned i = 0; i < be16(page + head_at + 3) && i < CELLS_MAX; i++) {
                if (!parse_cell(p, page, head_at, i, RECORD_ANY, &row) || row.rowid < 0)
                        continue;
                r->cell[r->n] = (uint16_t)i;
                r->rowid[r->n++] = (uint64_t)row.rowid;
        }
}

/* What two of three rows look like; 0: none is whole. */
static uint16_t look_of_most(struct pages *p, const unsigned char *page, size_t head_at, const struct run *r)
{
        const unsigned asked[] = {0, r->n / 2, r->n - 1};
        struct pages_row row;
        uint16_t look = 0;
        int votes = 0;

        for (size_t i = 0; r->n && i < sizeof(asked) / sizeof(*asked); i++) {
                if (!parse_cell(p, page, head_at, r->cell[asked[i]], RECORD_ANY, &row))
                        continue;
                look = votes ? look : look_of(&row);
                votes += look == look_of(&row) ? 1 : -1;
        }
        return look;
}

/* Only where the order is broken is each cell looked into: the others are when their turn is. */
static void read_run(struct pages *p, const unsigned char *page, size_t head_at, struct run *r)
{
        bool table = page[head_at] == LEAF_TABLE;

        if (!table || !read_order(p, page, head_at, r)) {
                read_whole(p, page, head_at, r);
                if (table)
                        keep_rising(r);
        }
        r->look = look_of_most(p, page, head_at, r);
        r->n = r->look ? r->n : 0;
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

static int by_middle(const void *a, const void *b)
{
        const struct leaf *x = a, *y = b;

        return x->middle != y->middle ? (x->middle < y->middle ? -1 : 1) : x->page < y->page ? -1 : x->page > y->page;
}

static void find_leaves(struct pages *p)
{
        unsigned char page[PAGE_MOST], map[PAGE_MOST];
        uint32_t map_no = 0;
        struct run r;

        for (uint32_t no = 1; no <= p->n_pages; no++) {
                size_t head_at = no == 1 ? 100 : 0;

                if (!read_page(p, no, page) || !has_rows(p, page, head_at))
                        continue;
                read_run(p, page, head_at, &r);
                if (!r.n)
                        continue;
                if (p->n_leaves == p->cap_leaves) {
                        p->cap_leaves = p->cap_leaves ? 2 * p->cap_leaves : 256;
                        p->leaves = mem_grow(p->leaves, p->cap_leaves, sizeof(*p->leaves));
                }
                p->leaves[p->n_leaves++] = (struct leaf){.first = r.rowid[0],
                                                         .middle = r.rowid[r.n / 2],
                                                         .page = no,
                                                         .look = r.look,
                                                         .type = page[head_at],
                                                         .is_free = is_free(p, no, map, &map_no)};
        }
        if (p->n_leaves)
                qsort(p->leaves, p->n_leaves, sizeof(*p->leaves), by_middle);
}

/*
 * Leaves out what is far off the others of its page, and where another page is
 * (`low` and `high` are of those before and behind it): one changed bit makes
 * such a rowid.
 */
static void cut_ends(struct run *r, uint64_t low, uint64_t high)
{
        unsigned from = 0, to = r->n;

        for (unsigned i = 0; i + 1 < r->n; i++) {
                if (r->rowid[i + 1] - r->rowid[i] <= r->n)
                        continue;
                if (i < r->n / 2 && r->rowid[i] <= low)
                        from = i + 1;
                if (i >= r->n / 2 && r->rowid[i + 1] >= high && i + 1 < to)
                        to = i + 1;
        }
        r->n = to - from;
        memmove(r->cell, r->cell + from, r->n * sizeof(*r->cell));
        memmove(r->rowid, r->rowid + from, r->n * sizeof(*r->rowid));
}

/* Rows of a table at or above `end` are left out. */
static bool each_of_page(struct pages *p, const struct leaf *leaf, const uint64_t between[2], uint64_t end,
                         int n_columns, bool (*each)(void *ctx, const struct pages_row *row), void *ctx)
{
        size_t head_at = leaf->page == 1 ? 100 : 0;
        unsigned char page[PAGE_MOST];
        struct pages_row row;
        struct run r;

        if (!read_page(p, leaf->page, page) || !has_rows(p, page, head_at))
                return true;
        read_run(p, page, head_at, &r);
        if (r.n && between)
                cut_ends(&r, between[0], between[1]);
        for (unsigned i = 0; i < r.n; i++)
                if ((leaf->type != LEAF_TABLE || r.rowid[i] < end) &&
                    parse_cell(p, page, head_at, r.cell[i], n_columns, &row) && !each(ctx, &row))
                        return false;
        return true;
}

/* The pages in use of a leaf's table before and behind it; leaves come in order. */
struct around {
        const struct leaf *before, *behind;
        size_t next;
        uint16_t look;
};

static void look_around(const struct pages *p, size_t i, struct around *a)
{
        const struct leaf *leaf = &p->leaves[i], *l;

        if (a->look != leaf->look)
                *a = (struct around){.look = leaf->look};
        a->next = a->next > i ? a->next : i + 1;
        for (; a->next < p->n_leaves; a->next++) {
                l = &p->leaves[a->next];
                if (!l->is_free && l->type == LEAF_TABLE && l->look == leaf->look)
                        break;
        }
        a->behind = a->next < p->n_leaves ? &p->leaves[a->next] : NULL;
}

void pages_each(struct pages *p, enum pages_kind kind, int n_columns,
                bool (*each)(void *ctx, const struct pages_row *row), void *ctx)
{
        struct around a = {0};

        for (size_t i = 0; i < p->n_leaves; i++) {
                const struct leaf *leaf = &p->leaves[i];
                uint64_t between[2] = {0, UINT64_MAX}, end = UINT64_MAX;
                bool ours = columns_of(leaf) == n_columns;

                if ((leaf->type == LEAF_TABLE) != (kind != PAGES_INDEX) || (kind == PAGES_LANE && !ours))
                        continue;
                if (kind != PAGES_INDEX && ours) {
                        look_around(p, i, &a);
                        /* What was on a free page once is older than what the table has there now. */
                        end = leaf->is_free && a.behind ? a.behind->first : UINT64_MAX;
                        between[0] = a.before ? a.before->middle : 0;
                        between[1] = a.behind ? a.behind->middle : UINT64_MAX;
                }
                if (!each_of_page(p, leaf, kind == PAGES_LANE ? between : NULL, end, n_columns, each, ctx))
                        return;
                if (!leaf->is_free)
                        a.before = leaf;
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
