/*
 * fault: see fault.h.
 *
 * Why an arena: a configuration is hundreds of small strings and structs that
 * end together, on SIGHUP or at exit; one call frees them and nothing can be
 * freed twice.  Why a bound on faults: a file of another format is wrong in
 * every line, and nobody reads the two-hundredth sentence.  Running out of
 * memory aborts (mem_alloc); nothing else fails here.
 */
#include "agent/config/fault.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"

struct arena_block {
        struct arena_block *next;
        max_align_t bytes[];
};

void *arena_alloc(struct arena *a, size_t n_bytes)
{
        struct arena_block *b = mem_alloc(sizeof(*b) + n_bytes);

        b->next = a->blocks;
        a->blocks = b;
        return b->bytes;
}

char *arena_text(struct arena *a, const char *s, size_t len)
{
        char *copy = arena_alloc(a, len + 1);

        memcpy(copy, s, len);
        return copy;
}

void arena_fini(struct arena *a)
{
        while (a->blocks) {
                struct arena_block *b = a->blocks;

                a->blocks = b->next;
                free(b);
        }
}

static size_t file_rank(struct faults *f, const char *file)
{
        for (size_t i = 0; i < f->n_files; i++) {
                if (strcmp(f->files[i], file) == 0)
                        return i;
        }
        f->files = mem_grow(f->files, f->n_files + 1, sizeof(*f->files));
        f->files[f->n_files] = arena_text(&f->arena, file, strlen(file));
        return f->n_files++;
}

const char *faults_file(struct faults *f, const char *file)
{
        size_t rank = file_rank(f, file);

        return f->files[rank];
}

void faults_add(struct faults *f, const struct schema_at *at, const char *path, const char *fmt, ...)
{
        char text[1024];
        size_t n = 0;
        struct fault *fault;
        va_list ap;

        if (f->n == FAULTS_MAX) {
                f->n_more++;
                return;
        }
        if (*path)
                n = (size_t)snprintf(text, sizeof(text) / 2, "%.400s: ", path);
        va_start(ap, fmt);
        vsnprintf(text + n, sizeof(text) - n, fmt, ap);
        va_end(ap);
        f->items = mem_grow(f->items, f->n + 1, sizeof(*f->items));
        fault = &f->items[f->n++];
        fault->at = *at;
        fault->rank = file_rank(f, at->file);
        fault->at.file = f->files[fault->rank];
        fault->text = arena_text(&f->arena, text, strlen(text));
}

static int by_place(const void *a, const void *b)
{
        const struct fault *x = a, *y = b;

        if (x->rank != y->rank)
                return x->rank < y->rank ? -1 : 1;
        if (x->at.line != y->at.line)
                return x->at.line < y->at.line ? -1 : 1;
        if (x->at.column != y->at.column)
                return x->at.column < y->at.column ? -1 : 1;
        return strcmp(x->text, y->text);
}

void faults_sort(struct faults *f)
{
        if (f->n > 1)
                qsort(f->items, f->n, sizeof(*f->items), by_place);
}

void fault_print(const struct fault *f, FILE *out)
{
        if (f->at.line > 0)
                fprintf(out, "%s:%d:%d: %s\n", f->at.file, f->at.line, f->at.column, f->text);
        else
                fprintf(out, "%s: %s\n", f->at.file, f->text);
}

void faults_print(const struct faults *f, FILE *out)
{
        for (size_t i = 0; i < f->n; i++)
                fault_print(&f->items[i], out);
        if (f->n_more)
                fprintf(out, "and %zu more\n", f->n_more);
}

void faults_fini(struct faults *f)
{
        free(f->items);
        free(f->files);
        arena_fini(&f->arena);
        *f = (struct faults){.n = 0};
}
