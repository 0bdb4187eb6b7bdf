/*
 * live: the daemon's status, asked once a second for all open pages together,
 * as frames of server-sent events.
 *
 * A thread of its own; it sleeps while no page is open.  A client that is slow
 * skips frames, it never has more than one of them.
 */
#ifndef MILLRACE_PAGE_LIVE_H
#define MILLRACE_PAGE_LIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct live;

/* `on_news` is called on its thread when a client that slept has something. */
struct live *live_new(const char *socket, void (*on_news)(void *client_ctx));

struct live_client;
struct live_client *live_join(struct live *l, void *ctx); /* NULL: there are too many */
void live_leave(struct live_client *c);

/*
 * At most `cap` bytes of what it has not had; 0: nothing now, and `before_sleep`
 * was called, under the lock that also on_news has: there is no news between
 * them.
 */
size_t live_take(struct live_client *c, char *out, size_t cap, void (*before_sleep)(void *ctx));

#endif
