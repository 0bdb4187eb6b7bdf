/*
 * tags: every tag the gateway knows, as a small index.
 *
 * A tag is its source, its name and its labels; nothing else makes another one.
 * Its unit is an attribute that may change.  Readings that are held keep the
 * unit they came with, so a tag whose unit changed has a further row in the
 * table for each unit it ever had: `first` of a row is the tag itself, the
 * index by which everybody but the spool knows it; `current` of that is the row
 * under which its next reading is stored.
 *
 * Grows only; an index and its strings live as long as the table.  The spool
 * loads it at start in the order it had, so that an index is also the id of the
 * row in the spool's `tag` table.  Loop thread; another thread may use a struct
 * tag's strings that were handed to it, not the table.
 */
#ifndef MILLRACE_BASE_TAGS_H
#define MILLRACE_BASE_TAGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TAGS_E_FULL = 1, TAGS_E_NONE = 2 };

struct tag {
        const char *source;
        const char *name;
        const char *unit;     /* "" when there is none */
        const char *labels;   /* further names as JSON members: "line":"l1","cell":"3"; "" when there are none */
        const char *driver;   /* name of the driver that brought it first */
        int64_t last_ts_us;   /* of the last reading appended (of another unit's row: with it) */
        uint32_t tied_us;     /* of a tag: that much of it was added to keep equal times apart */
        uint32_t first;       /* the tag that this row belongs to: itself, but for rows of other units */
        uint32_t current;     /* of a tag: the row with the unit it has now */
        uint32_t next_unit;   /* the tag's next row, or 0 */
        int64_t unit_told_us; /* of a tag: when a change of its unit was told last (monotonic); 0: never */
        uint64_t n_readings;  /* since start */
};

struct tags;

struct tags *tags_new(size_t most);
void tags_free(struct tags *t);
void tags_set_most(struct tags *t, size_t most); /* those there are stay */

/*
 * 0 and the tag's index in *out (a new one is added), or TAGS_E_FULL.  Strings
 * are copied.  A unit of NULL says nothing about the tag's: the caller does not
 * describe it.  Any other is the tag's unit from now on, "" too: when it had
 * another one, `unit_changed` is called, and there may be a new row
 * (TAGS_E_FULL then leaves all as it was).
 */
int tags_intern(struct tags *t, const char *source, const char *name, const char *unit, const char *labels,
                const char *driver, uint32_t *out);
/* 0 and the index, or TAGS_E_NONE. */
int tags_find(const struct tags *t, const char *source, const char *name, const char *labels, uint32_t *out);

/*
 * The next row as a file has it: at the end of the table, whatever `most` says;
 * the unit used last is the current one.
 */
void tags_load(struct tags *t, const struct tag *row);

/* The reading that came last is of this row and had that time. */
void tags_seen(struct tags *t, uint32_t row, int64_t ts_us);

void tags_on_unit(struct tags *t, void (*unit_changed)(void *ctx, uint32_t tag, const char *old_unit), void *ctx);

size_t tags_count(const struct tags *t);                   /* rows */
struct tag *tags_get(struct tags *t, uint32_t index);      /* valid until the next intern */
bool tags_is_tag(const struct tags *t, uint32_t index);    /* false: a row of another unit */
const char *tags_unit(const struct tags *t, uint32_t tag); /* the one it has now */

#endif
