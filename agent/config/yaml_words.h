/*
 * yaml_words: what is wrong with a text that is no YAML, for a person who has
 * never read its grammar, and where to look.  Pure.
 */
#ifndef MILLRACE_CONFIG_YAML_WORDS_H
#define MILLRACE_CONFIG_YAML_WORDS_H

#include <stdbool.h>
#include <stddef.h>

struct yaml_spot {
        size_t line, column; /* from 0; columns are characters */
};

/* As the parser says it. */
struct yaml_trouble {
        const char *context, *problem; /* NULL: not said */
        struct yaml_spot at, begin;    /* `begin`: of the context; when there is none it is `at` */
};

/* Writes the sentence; returns where it is about. */
struct yaml_spot yaml_words(const char *text, size_t len, const struct yaml_trouble *t, char *out, size_t cap);

#endif
