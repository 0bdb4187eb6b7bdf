/*
 * list: an intrusive, circular, doubly linked list.  The owner embeds a struct
 * list; nothing is allocated. A node that is in no list points to itself
 * (list_init), so list_remove is safe to call twice.
 */
#ifndef MILLRACE_BASE_LIST_H
#define MILLRACE_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
        struct list *next, *prev;
};

#define list_entry(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

static inline void list_init(struct list *l)
{
        l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
        return l->next == l;
}

static inline void list_append(struct list *head, struct list *node)
{
        node->prev = head->prev;
        node->next = head;
        head->prev->next = node;
        head->prev = node;
}

static inline void list_remove(struct list *node)
{
        node->prev->next = node->next;
        node->next->prev = node->prev;
        list_init(node);
}

/* Takes the first node out; NULL when the list is empty. */
static inline struct list *list_take(struct list *head)
{
        struct list *node = head->next;

        if (node == head)
                return NULL;
        list_remove(node);
        return node;
}

#endif
