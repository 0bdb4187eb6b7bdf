/*
 * requests: see requests.h.
 *
 * Requests are small JSON objects; every wrong one is answered with {"error":
 * …}, never by closing.  `send` makes a reading as a driver would and answers
 * when it is on disk, so that a script may rely on its id.  It may speak for
 * every source; the reading is marked as a test.
 */
#include "agent/control/requests.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/text.h"
#include "agent/control/alarms.h"
#include "agent/control/forget.h"

enum { UNIT_MAX = 64 };

struct daemon {
        struct agent *agent;
        struct control *control;
        struct list pending; /* struct pending */
        char several[1024];  /* what the last send could have meant */
};

/* An answer that waits for the disk. */
struct pending {
        struct list node;
        struct spool_sync sync;
        struct control_client *client;
        char text[256];
};

/* The parser's words quote what came, up to the middle of a character. */
static void refuse(struct control_client *c, const char *why)
{
        char words[512], *text;
        json_t *o;

        text_copy(words, sizeof(words), why);
        o = json_pack("{s:s}", "error", words);
        text = json_dumps(o, JSON_COMPACT);

        control_reply(c, text);
        free(text);
        json_decref(o);
}

static void on_durable(struct spool_sync *q)
{
        struct pending *p = list_entry(q, struct pending, sync);

        list_remove(&p->node);
        control_reply(p->client, p->text);
        free(p);
}

static struct pending *answer_when_durable(struct daemon *d, struct control_client *c)
{
        struct pending *p = mem_alloc(sizeof(*p));

        p->client = c;
        p->sync.on_durable = on_durable;
        list_init(&p->sync.node);
        list_append(&d->pending, &p->node);
        spool_sync(d->agent->spool, &p->sync);
        return p;
}

/* Fills value and type; NULL, or what is wrong. */
static const char *take_value(struct reading *r, const json_t *value)
{
        if (json_is_boolean(value)) {
                r->type = READING_BOOL;
                r->v.b = json_is_true(value);
        } else if (json_is_integer(value)) {
                r->type = READING_I64;
                r->v.i64 = json_integer_value(value);
        } else if (json_is_real(value)) {
                r->type = READING_F64;
                r->v.f64 = json_real_value(value);
        } else if (json_is_string(value)) {
                r->type = READING_TEXT;
                r->v.text = json_string_value(value);
                r->len = (uint32_t)json_string_length(value);
        } else {
                return "value: a number, true, false or a text";
        }
        return NULL;
}

/*
 * The tag that is meant; when there is none, it is made. NULL, or what is
 * wrong.
 */
static const char *find_tag(struct daemon *d, const char *source, const char *ident, const char *unit, uint32_t *tag)
{
        static const char before[] = "several are meant, name one: ";
        struct tags *tags = d->agent->tags;
        char name[TEXT_NAME_MAX + 1], labels[2 * TAGS_IDENT_MAX];
        int rc = tags_find_meant(tags, source, ident, tag, d->several + sizeof(before) - 1,
                                 sizeof(d->several) - sizeof(before));

        if (rc == 0)
                return unit && strcmp(unit, tags_unit(tags, *tag)) != 0 ? "unit: the tag has another one; leave it out"
                                                                        : NULL;
        if (rc == TAGS_E_SEVERAL)
                return memcpy(d->several, before, sizeof(before) - 1);
        snprintf(name, sizeof(name), "%.*s", (int)strcspn(ident, "{"), ident);
        tags_put_labels(labels, sizeof(labels), ident);
        return tags_intern_any(tags, source, name, unit, labels, "send", tag) ? tags_why(tags) : NULL;
}

static const char *take_reading(struct daemon *d, struct reading *r, const json_t *o)
{
        const char *source = json_string_value(json_object_get(o, "source"));
        const char *tag = json_string_value(json_object_get(o, "tag"));
        const char *unit = json_string_value(json_object_get(o, "unit"));
        char name[TEXT_NAME_MAX + 1], ident[TAGS_IDENT_MAX + 1];
        const char *wrong;
        struct rt_time now;

        if (!source || !text_read_name(name, source, strlen(source)) || !tag || !tags_read_ident(ident, tag))
                return "source, tag: 1 to 64 letters, digits, _ - . and labels as temp{line=l2}";
        if (unit && (strlen(unit) > UNIT_MAX || !text_is_utf8(unit, strlen(unit))))
                return "unit: at most 64 bytes";
        wrong = find_tag(d, name, ident, unit, &r->tag);
        if (wrong)
                return wrong;
        rt_now(d->agent->rt, &now);
        r->ts_us = r->arrival_us = now.wall_us;
        r->flags = READING_TEST;
        return take_value(r, json_object_get(o, "value"));
}

static void answer_send(struct daemon *d, struct control_client *c, const json_t *o)
{
        uint64_t before = spool_appended_seq(d->agent->spool, SPOOL_SAMPLES), seq;
        struct reading r = {0};
        const char *wrong = take_reading(d, &r, o);
        struct spool_counts counts;
        struct pending *p;

        if (wrong) {
                refuse(c, wrong);
                return;
        }
        if (pipeline_take(&d->agent->pipeline, &r, 1, true) != 0) {
                refuse(c, "the spool has no room now, try again");
                return;
        }
        seq = spool_appended_seq(d->agent->spool, SPOOL_SAMPLES);
        if (seq == before) {
                refuse(c, "left out: the thin section has this tag (the rules have seen the reading)");
                return;
        }
        spool_counts(d->agent->spool, &counts);
        p = answer_when_durable(d, c);
        snprintf(p->text, sizeof(p->text), "{\"id\":\"%s:%" PRIu64 ":%" PRIu64 "\",\"seq\":%" PRIu64 "}",
                 d->agent->conf->gateway, counts.epoch, seq, seq);
}

static void answer_alarms(struct daemon *d, struct control_client *c, const json_t *o)
{
        json_t *list = alarms_ctl_list(d->agent->alarms, json_is_true(json_object_get(o, "all")));
        char *text = json_dumps(list, JSON_COMPACT);

        control_reply(c, text);
        free(text);
        json_decref(list);
}

static void answer_alarm_cmd(struct daemon *d, struct control_client *c, const json_t *o)
{
        struct pending *p;
        const char *wrong;
        struct rt_time now;

        rt_now(d->agent->rt, &now);
        wrong = alarms_ctl_command(d->agent->alarms, o, now.wall_us);
        if (wrong) {
                refuse(c, wrong);
                return;
        }
        p = answer_when_durable(d, c);
        snprintf(p->text, sizeof(p->text), "{\"done\":true}");
}

static void answer_requeue(struct daemon *d, struct control_client *c, const json_t *o)
{
        json_int_t first = json_integer_value(json_object_get(o, "first"));
        json_int_t last = json_integer_value(json_object_get(o, "last"));
        enum spool_lane lane = json_is_true(json_object_get(o, "events")) ? SPOOL_EVENTS : SPOOL_SAMPLES;
        struct requeue_status s;
        json_t *reply;
        char *text;

        if (first > 0 && last >= first && !requeue_start(d->agent->requeue, lane, (uint64_t)first, (uint64_t)last)) {
                refuse(c, "another requeue is under way");
                return;
        }
        requeue_status(d->agent->requeue, &s);
        reply = json_pack("{s:b, s:I, s:I, s:I, s:s}", "running", s.running, "found", (json_int_t)s.found, "delivered",
                          (json_int_t)s.delivered, "refused", (json_int_t)s.refused, "last_error", s.last_error);
        text = json_dumps(reply, JSON_COMPACT);
        control_reply(c, text);
        free(text);
        json_decref(reply);
}

static void answer_purge(struct daemon *d, struct control_client *c, const json_t *o)
{
        json_int_t upto = json_integer_value(json_object_get(o, "upto"));

        if (upto > 0)
                spool_purge(d->agent->spool, (uint64_t)upto);
        control_reply(c, spool_is_purging(d->agent->spool) ? "{\"purging\":true}" : "{\"purging\":false}");
}

static void answer_forget(struct daemon *d, struct control_client *c, const json_t *o)
{
        struct forget_counts n;
        const char *wrong = forget_tags(d->agent, o, &n);
        struct pending *p;

        if (wrong) {
                refuse(c, wrong);
                return;
        }
        p = answer_when_durable(d, c);
        snprintf(p->text, sizeof(p->text),
                 "{\"forgotten\":%zu,\"configured\":%zu,\"held\":%zu,\"alarms\":%zu,\"used\":%zu,\"unknown\":%zu,"
                 "\"full\":%zu}",
                 n.forgotten, n.configured, n.held, n.alarms, n.used, n.unknown, n.full);
}

static void answer_status(struct daemon *d, struct control_client *c)
{
        char *text = status_json(d->agent);

        control_reply(c, text);
        free(text);
}

static void on_request(void *ctx, struct control_client *c, const char *line, size_t len)
{
        struct daemon *d = ctx;
        json_error_t wrong;
        json_t *o = json_loadb(line, len, JSON_REJECT_DUPLICATES, &wrong);
        const char *cmd = json_string_value(json_object_get(o, "cmd"));

        if (!o)
                refuse(c, wrong.text);
        else if (cmd && !strcmp(cmd, "status"))
                answer_status(d, c);
        else if (cmd && !strcmp(cmd, "send"))
                answer_send(d, c, o);
        else if (cmd && !strcmp(cmd, "alarms"))
                answer_alarms(d, c, o);
        else if (cmd && !strcmp(cmd, "alarm_cmd"))
                answer_alarm_cmd(d, c, o);
        else if (cmd && !strcmp(cmd, "requeue"))
                answer_requeue(d, c, o);
        else if (cmd && !strcmp(cmd, "purge"))
                answer_purge(d, c, o);
        else if (cmd && !strcmp(cmd, "forget"))
                answer_forget(d, c, o);
        else
                refuse(c, "cmd: status, send, alarms, alarm_cmd, requeue, purge or forget");
        json_decref(o);
}

struct daemon *daemon_open(struct agent *a, const char *socket_path, struct err *e)
{
        struct daemon *d = mem_alloc(sizeof(*d));
        struct control_ops ops = {.on_request = on_request, .ctx = d};

        d->agent = a;
        list_init(&d->pending);
        d->control = control_open(a->rt, socket_path, &ops, e);
        if (d->control)
                return d;
        free(d);
        return NULL;
}

void daemon_close(struct daemon *d)
{
        struct list *node;

        while ((node = list_take(&d->pending))) {
                struct pending *p = list_entry(node, struct pending, node);

                spool_sync_cancel(&p->sync);
                free(p);
        }
        control_close(d->control);
        free(d);
}
