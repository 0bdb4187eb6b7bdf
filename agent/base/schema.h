/*
 * schema: what a section of the configuration may hold, as a table.
 *
 * Each module owns the table of its section and the struct it fills; one walker
 * (agent/config/walk.c) checks a YAML document against the tables and fills the
 * structs, and the manual's key tables and `millrace check --dump` are printed
 * from the same tables.  Pure data.  What was filled is owned by the
 * configuration (an arena, freed as a whole).
 */
#ifndef MILLRACE_BASE_SCHEMA_H
#define MILLRACE_BASE_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

enum schema_type {
        SCHEMA_TEXT,     /* const char * */
        SCHEMA_NAME,     /* const char *, as text_read_name leaves it */
        SCHEMA_PATH,     /* const char *, absolute */
        SCHEMA_BOOL,     /* bool */
        SCHEMA_INT,      /* int64_t, min..max */
        SCHEMA_FLOAT,    /* double, min..max */
        SCHEMA_DURATION, /* int64_t, us, min..max in us */
        SCHEMA_SIZE,     /* uint64_t, bytes, min..max */
        SCHEMA_CHOICE,   /* int, index in `choices` */
        SCHEMA_TEXTS,    /* struct schema_list of const char * */
        SCHEMA_MAP,      /* the sub struct itself, at `offset` */
        SCHEMA_LIST,     /* struct schema_list of sub structs */
        SCHEMA_PAIRS,    /* struct schema_list of struct schema_pair: a map whose keys are the writer's */
};

enum {
        SCHEMA_REQUIRED = 1,
        SCHEMA_UNIQUE = 2, /* in a list: no two items with the same text of this key */
        SCHEMA_SCALAR = 4, /* SCHEMA_TEXT: any scalar is taken as its text (400001, holding:0) */
        SCHEMA_NAN = 8,    /* SCHEMA_FLOAT: absent is NaN, where 0 would mean something */
        SCHEMA_ASCII = 32, /* SCHEMA_NAME: of ASCII's letters alone, because others take it so (Kafka, ids) */
        SCHEMA_FORM = 64,  /* SCHEMA_TEXT: may be a name, and is in its form then */
        SCHEMA_MINUS = 16, /* SCHEMA_INT, SCHEMA_DURATION: absent is -1, likewise */
};

struct schema_list {
        void *items;
        size_t n;
};

struct schema_pair {
        const char *key, *value; /* any scalars, as their texts */
};

/* Where a thing stood, so that later checks can name it. */
struct schema_at {
        const char *file;
        int line, column; /* from 1; 0: it was not written, a default */
};

struct schema;

struct schema_key {
        const char *name;
        enum schema_type type;
        unsigned flags;
        size_t offset;
        double min, max;            /* both 0: no range of its own */
        const char *const *choices; /* NULL-ended */
        const struct schema *sub;
        const char *def;  /* as it would be written; NULL: absent (zero) */
        const char *help; /* one sentence for the manual */
};

struct schema {
        const char *name; /* of the section, for the manual */
        const char *help;
        const struct schema_key *keys; /* ended by a NULL name */
        size_t size;                   /* of the struct it fills; its first member may be a struct schema_at (has_at) */
        bool has_at;
        /* What a table can't say, after all keys; without I/O. Names the key (or NULL) and the fault. 0 or -1. */
        int (*check)(void *obj, const char **key, struct err *e);
};

#endif
