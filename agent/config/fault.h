/*
 * fault: what is wrong with a configuration, for a person; and the memory a
 * configuration lives in.
 *
 * A struct faults is zeroed before use.  Each fault has its place and one
 * sentence; they are kept up to a bound, counted beyond it, and sorted by place
 * (files in the order they were named) before they are shown.  Any thread, no
 * I/O.
 */
#ifndef MILLRACE_CONFIG_FAULT_H
#define MILLRACE_CONFIG_FAULT_H

#include <stddef.h>
#include <stdio.h>

#include "agent/base/schema.h"

struct arena_block;

/* Many small pieces that live and end together; zeroed before use. */
struct arena {
        struct arena_block *blocks;
};

void *arena_alloc(struct arena *a, size_t n_bytes);           /* zeroed; never NULL */
char *arena_text(struct arena *a, const char *s, size_t len); /* with a NUL behind it */
void arena_fini(struct arena *a);

enum { FAULTS_MAX = 200 };

struct fault {
        struct schema_at at; /* line 0: the file as a whole */
        const char *text;    /* path.to.key: what was found; what is allowed */
        size_t rank;         /* of the file */
};

struct faults {
        struct arena arena;
        struct fault *items;
        size_t n, n_more; /* kept; counted beyond FAULTS_MAX */
        const char **files;
        size_t n_files;
};

/*
 * Names the next file, for the order of showing; returns a copy that lives as
 * long as the faults.
 */
const char *faults_file(struct faults *f, const char *file);
/* `path` may be "". Everything is copied. */
void faults_add(struct faults *f, const struct schema_at *at, const char *path, const char *fmt, ...)
        __attribute__((format(printf, 4, 5)));
void faults_sort(struct faults *f);
/* One line: file:line:col: path.to.key: found; allowed */
void fault_print(const struct fault *f, FILE *out);
void faults_print(const struct faults *f, FILE *out);
void faults_fini(struct faults *f);

#endif
