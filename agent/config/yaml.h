/*
 * yaml: one YAML text as a tree of nodes, each with its place.  Pure; the nodes
 * live in the arena.
 */
#ifndef MILLRACE_CONFIG_YAML_H
#define MILLRACE_CONFIG_YAML_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/config/fault.h"

enum { CONFIG_BYTES_MAX = 1 << 20, CONFIG_DEPTH_MAX = 16 };

enum node_kind { NODE_SCALAR, NODE_LIST, NODE_MAP };

struct node {
        enum node_kind kind;
        int line, column; /* from 1 */
        const char *text; /* of a scalar; a NUL behind it, maybe others inside */
        size_t len;
        bool plain;          /* not quoted */
        bool braces;         /* a map {…} */
        struct node **items; /* of a list; of a map key, value, key, value… */
        size_t n;
};

/*
 * 0, and NULL in *root when the text is empty; or -1 and at least one fault,
 * then *root is what of its sections could be read, or NULL.  Faults that leave
 * a tree are 0 too.
 */
int config_yaml(struct arena *arena, struct faults *faults, const char *file, const char *text, size_t len,
                const struct node **root);

#endif
