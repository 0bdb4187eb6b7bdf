/*
 * tags: every tag the gateway knows, as a small index; who may make them, and
 * how many.
 *
 * A tag is its source, its name and its labels; nothing else makes another one.
 * Its unit is an attribute that may change.  Readings that are held keep the
 * unit they came with, so a tag whose unit changed has a further row in the
 * table for each unit it ever had: `first` of a row is the tag itself, the
 * index by which everybody but the spool knows it; `current` of that is the row
 * under which its next reading is stored.
 *
 * Tags that the configuration names always have room (up to TAGS_ROWS_MAX);
 * bounds are for those that come from the wire: `most` for all of them, a share
 * for each item.  A source that the configuration names belongs to the items
 * that name it: nobody else makes tags of it.
 *
 * An index and its strings live as long as the table, also when the tag is
 * forgotten: then its name is free, and a reading of that name makes another
 * tag.  The spool loads the table at start in the order it had, so that an
 * index is also the id of the row in the spool's `tag` table; rows that nothing
 * points at any more are used again from then on.  Loop thread; another thread
 * may use a struct tag's strings that were handed to it, not the table.
 */
#ifndef MILLRACE_BASE_TAGS_H
#define MILLRACE_BASE_TAGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/owners.h"

enum {
        TAGS_E_FULL = 1,
        TAGS_E_NONE = 2,
        TAGS_E_OWNED = 3,        /* the source belongs to another item */
        TAGS_E_SEVERAL = 4,      /* several are meant */
        TAGS_ROWS_MAX = 1000000, /* of the table, whatever the configuration names: an id has 20 bits in the file */
        TAGS_WIRE_MAX = 900000,  /* rows above are for what it names */
        TAGS_WHY_MAX = 256,
        TAGS_IDENT_MAX = 448, /* bytes: those of a name, and 192 */
        TAGS_NAMED_MAX = 8,   /* in a list of several */
};

struct tag {
        const char *source;
        const char *name;
        const char *unit;     /* "" when there is none */
        const char *labels;   /* further names as JSON members, in any order: "line":"l1","cell":"3"; "": none */
        const char *ident;    /* as tags_ident says; NULL: nobody asked */
        const char *driver;   /* name of the driver that brought it first, or whose configuration names it */
        int64_t last_ts_us;   /* of the last reading appended (of another unit's row: with it) */
        uint32_t tied_us;     /* of a tag: that much of it was added to keep equal times apart */
        uint32_t first;       /* the tag that this row belongs to: itself, but for rows of other units */
        uint32_t current;     /* of a tag: the row with the unit it has now */
        uint32_t next_unit;   /* the tag's next row, or 0 */
        uint32_t item;        /* `driver` as tags_item() counts */
        int64_t unit_told_us; /* of a tag: when a change of its unit was told last (monotonic); 0: never */
        uint64_t n_readings;  /* since start */
        uint64_t last_seq;    /* of a tag: of its last reading since start; 0: none. The spool's */
        uint16_t type;        /* of a tag's last reading with a value: enum reading_type */
        bool configured;      /* the configuration names it: counts for no bound, can't be forgotten */
        bool forgotten;       /* its name is free; readings in the spool point at it yet */
        bool moved;           /* the row in the file is not as this one: tags_next_moved() */
};

/* Who makes tags: an item of the configuration, one that was, "send". */
struct tags_item {
        const char *name, *kind;  /* kind "": not of this configuration */
        size_t most;              /* tags from the wire; SIZE_MAX: no share of its own */
        size_t n;                 /* those it has: rows */
        uint64_t n_full, n_owned; /* names refused since start, each time they came */
        int told;                 /* by the agent: which level was told last */
};

struct tags;

struct tags *tags_new(size_t most);
void tags_free(struct tags *t);
void tags_set_most(struct tags *t, size_t most); /* those there are stay */

/*
 * A name from the wire.  0 and the tag's index in *out (a new one is added),
 * TAGS_E_FULL or TAGS_E_OWNED.  Strings are copied.  A unit of NULL says
 * nothing about the tag's: the caller does not describe it.  Any other is the
 * tag's unit from now on, "" too: when it had another one, `unit_changed` is
 * called, and there may be a new row (TAGS_E_FULL then leaves all as it was).
 */
int tags_intern(struct tags *t, const char *source, const char *name, const char *unit, const char *labels,
                const char *driver, uint32_t *out);
/*
 * The same by an operator's hand: under every name, with the bounds of the
 * wire.
 */
int tags_intern_any(struct tags *t, const char *source, const char *name, const char *unit, const char *labels,
                    const char *driver, uint32_t *out);
/*
 * A name that the configuration of `driver` has: the tag is the driver's, from
 * whomever it was, until tags_release.  TAGS_E_FULL: only at TAGS_ROWS_MAX.
 */
int tags_configure(struct tags *t, const char *source, const char *name, const char *unit, const char *labels,
                   const char *driver, uint32_t *out);
/* 0 and the index, or TAGS_E_NONE. */
int tags_find(const struct tags *t, const char *source, const char *name, const char *labels, uint32_t *out);

/* ---- as people write it ---- */

/*
 * name, or name{cell=3,line=l2}, labels by name: with the source all that makes
 * a tag.  Lives as long as the table.
 */
const char *tags_ident(struct tags *t, uint32_t tag);
void tags_put_ident(char out[TAGS_IDENT_MAX + 1], const char *name, const char *labels);
bool tags_is_ident(const char *s, size_t len);
/*
 * `wanted` is its name, without labels, with some or with all of them, in any
 * order.
 */
bool tags_ident_means(const char *ident, const char *wanted);
/* Has the tag these labels, written as line=l2,cell=3 with or without the }? */
bool tags_labels_have(const char *labels, const char *wanted);
/*
 * The tag that is meant: the one without labels of that name, else the only
 * one.  0, TAGS_E_NONE, or TAGS_E_SEVERAL with their names in `several`. Walks
 * the table.
 */
int tags_find_meant(struct tags *t, const char *source, const char *wanted, uint32_t *out, char *several, size_t cap);
/*
 * The text of a tag as a person writes it, or as it stands in a file of before
 * format 10, with all its names in their form.  False: it is none.
 */
bool tags_read_ident(char out[TAGS_IDENT_MAX + 1], const char *s);
bool tags_ident_today(char out[TAGS_IDENT_MAX + 1], const char *s);
/* Likewise labels as in struct tag. False: no room, or they are none. */
bool tags_labels_today(char *out, size_t cap, const char *labels);
/* The labels of an ident as in struct tag. The length; 0: none, or no room. */
size_t tags_put_labels(char *out, size_t cap, const char *ident);
/*
 * Labels of struct tag as further members of an event, each behind a comma; one
 * that an event has a word for gets label_ in front. Likewise.
 */
size_t tags_put_event_labels(char *out, size_t cap, const char *labels);

/* ---- items of the configuration ---- */

/*
 * `driver` speaks for this source, alone or with others that claim it.  Its tag
 * `name` (NULL: none is known beforehand) is the driver's if it is there.
 */
void tags_claim(struct tags *t, const char *kind, const char *driver, const char *source, const char *name);
/* False, counted: it belongs to others. */
bool tags_may_speak(struct tags *t, const char *source, const char *driver);
/* Tags from the wire that the item may have; those there are stay. */
void tags_share(struct tags *t, const char *kind, const char *driver, size_t most);
/* The item is not in the configuration any more, or about to be made anew. */
void tags_release(struct tags *t, const char *driver);

/*
 * Why the last name was refused, for people: which bound, and what it is set
 * by; or whose the name is.
 */
const char *tags_why(const struct tags *t);

struct tags_item *tags_item(struct tags *t, size_t i);              /* NULL behind the last */
struct tags_item *tags_item_of(struct tags *t, const char *driver); /* NULL: it has made and claimed nothing */
struct owners *tags_owners(struct tags *t);

struct tags_counts {
        size_t n;      /* rows of tags that are known: not of forgotten ones */
        size_t n_wire; /* of these, what `most` is for */
        size_t most;
        size_t n_forgotten; /* rows that are not used again before the next start */
};
void tags_counts(const struct tags *t, struct tags_counts *out);

/* ---- forgetting ---- */

/*
 * The name is free from now on.  Of a tag that is not configured.  False: so
 * many are forgotten since start that memory would have no bound.
 */
bool tags_forget(struct tags *t, uint32_t tag);
/*
 * The tag under which a reading of this one is kept: itself; or, when it was
 * forgotten and something still had its index, the one that has the name now.
 */
uint32_t tags_remember(struct tags *t, uint32_t tag);

/* ---- the spool ---- */

/*
 * The next row as a file has it: at the end of the table, whatever `most` says;
 * the unit used last is the current one.  `forgotten` and `moved` are taken.
 */
void tags_load(struct tags *t, const struct tag *row);
/* A row that nothing in the file points at: for the next new one. */
void tags_load_free(struct tags *t);

/* The reading that came last is of this row and had that time. */
void tags_seen(struct tags *t, uint32_t row, int64_t ts_us);

/*
 * Rows that are in the file and not as here: forgotten, remembered, or another
 * tag's.  False: no more.
 */
bool tags_next_moved(struct tags *t, uint32_t *row);

/* So is this row again: the spool has more that points at it. */
void tags_touch(struct tags *t, uint32_t row);

void tags_on_unit(struct tags *t, void (*unit_changed)(void *ctx, uint32_t tag, const char *old_unit), void *ctx);

size_t tags_count(const struct tags *t);                   /* rows, forgotten ones and free ones too */
struct tag *tags_get(struct tags *t, uint32_t index);      /* valid until the next intern */
bool tags_is_tag(const struct tags *t, uint32_t index);    /* false: a row of another unit, or forgotten */
const char *tags_unit(const struct tags *t, uint32_t tag); /* the one it has now */

#endif
