/*
 * spool_requeue: `spool requeue`: has the daemon send rows once more, and waits
 * for what becomes of them.
 *
 * Only the daemon can: the tool has no way to Kafka.  An interrupted wait ends
 * nothing; asking again sends again, which does no harm, as ids stay.  Progress
 * on a terminal.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/cli/ctl_client.h"
#include "agent/cli/open.h"

enum { ASK_EVERY_MS = 200 };

struct range {
        uint64_t first, last;
        bool events;
};

static bool take_number(const char **at, bool events, uint64_t *out)
{
        char *end;

        *at += events && **at == 'e';
        if (!isdigit((unsigned char)**at))
                return false;
        errno = 0;
        *out = strtoull(*at, &end, 10);
        *at = end;
        return errno == 0 && *out > 0 && *out <= INT64_MAX;
}

/* 17, 17-90, e17, e17-e20, e17-20 */
static bool take_range(const char *s, struct range *r)
{
        r->events = *s == 'e';
        if (!take_number(&s, r->events, &r->first))
                return false;
        r->last = r->first;
        if (*s == '-') {
                s++;
                if (!take_number(&s, r->events, &r->last))
                        return false;
        }
        return *s == '\0' && r->last >= r->first;
}

static int ask(const char *socket, json_t *request, json_t **reply, struct err *e)
{
        int r = ctl_ask(socket, request, reply, e);

        json_decref(request);
        return r;
}

static uint64_t count_of(const json_t *reply, const char *name)
{
        return (uint64_t)json_integer_value(json_object_get(reply, name));
}

/* The last answer, of a job that has ended. */
static int wait_for_it(const char *socket, json_t **reply, struct err *e)
{
        struct timespec pause = {.tv_nsec = ASK_EVERY_MS * 1000000L};
        bool terminal = isatty(STDERR_FILENO);
        int r = 0;

        while (r == 0 && json_is_true(json_object_get(*reply, "running"))) {
                if (terminal)
                        fprintf(stderr, "\r%" PRIu64 " of %" PRIu64 " delivered", count_of(*reply, "delivered"),
                                count_of(*reply, "found"));
                nanosleep(&pause, NULL);
                json_decref(*reply);
                r = ask(socket, json_pack("{s:s}", "cmd", "requeue"), reply, e);
        }
        if (terminal)
                fputs("\r\033[K", stderr);
        return r;
}

static int tell(struct cli *c, const json_t *reply)
{
        uint64_t delivered = count_of(reply, "delivered"), refused = count_of(reply, "refused");
        const char *why = json_string_value(json_object_get(reply, "last_error"));

        if (c->out.json) {
                json_dumpf(reply, c->out.f, JSON_COMPACT);
                fputc('\n', c->out.f);
        } else if (!count_of(reply, "found")) {
                fputs("nothing to send: neither a dead letter nor a delivered row that is still kept\n", c->out.f);
        } else {
                fprintf(c->out.f, "%" PRIu64 " delivered again, %" PRIu64 " refused%s%s\n", delivered, refused,
                        why && *why ? ": " : "", why ? why : "");
        }
        return delivered && !refused ? CLI_OK : CLI_NO;
}

int cmd_spool_requeue(struct cli *c)
{
        struct places places;
        struct range range;
        json_t *reply;
        struct err e;
        int r;

        if (!take_range(c->args[0], &range))
                return cli_fail(CLI_USAGE, "'%s': a seq or a range is needed, as 17 or 17-90, of events e17 or e17-e90",
                                c->args[0]);
        r = places_find(c, &places);
        if (r)
                return r;
        r = ask(places.socket,
                json_pack("{s:s, s:I, s:I, s:b}", "cmd", "requeue", "first", (json_int_t)range.first, "last",
                          (json_int_t)range.last, "events", range.events),
                &reply, &e);
        if (r == 0)
                r = wait_for_it(places.socket, &reply, &e);
        if (r == 0) {
                r = tell(c, reply);
                json_decref(reply);
        } else {
                r = cli_fail(r == CTL_E_REFUSED ? CLI_NO : CLI_AWAY, "%s%s", e.text,
                             r == CTL_E_AWAY ? "; only the daemon sends: start it" : "");
        }
        places_fini(&places);
        return r;
}
