/*
 * send: one test reading, made by hand, through the daemon's own path: it is on
 * disk when the answer comes.
 *
 * What the value is, is decided by how it is written: JSON's number, true or
 * false; a text in double quotes; else the text as it stands.  So `send s/t
 * 71.3` is a number, and `send s/t '"71.3"'` the text.  Labels of the tag stand
 * behind it, `send 's/t{line=l2}' 71.3`, where several have its name.
 */
#include <jansson.h>
#include <string.h>

#include "agent/base/tags.h"
#include "agent/base/text.h"
#include "agent/cli/open.h"

static json_t *value_of(const char *s)
{
        bool is_i64;
        int64_t i64;
        double f64;
        json_t *v;

        if (text_number(s, strlen(s), &f64, &i64, &is_i64))
                return is_i64 ? json_integer(i64) : json_real(f64);
        if (strcmp(s, "true") == 0 || strcmp(s, "false") == 0)
                return json_boolean(s[0] == 't');
        v = s[0] == '"' ? json_loads(s, JSON_DECODE_ANY, NULL) : NULL;
        return v ? v : json_string(s);
}

static json_t *request_of(const struct cli *c, struct err *e)
{
        const char *slash = strchr(c->args[0], '/');
        size_t source_len = slash ? (size_t)(slash - c->args[0]) : 0;
        char name[TEXT_NAME_MAX + 1], ident[TAGS_IDENT_MAX + 1];
        json_t *value, *o;

        if (!slash || !text_read_name(name, c->args[0], source_len) || !tags_read_ident(ident, slash + 1)) {
                err_set(e,
                        "'%s': SOURCE/TAG is needed, each 1 to 64 letters, digits, _ - . and labels, where it has "
                        "some, "
                        "as SOURCE/TAG{line=l2}",
                        c->args[0]);
                return NULL;
        }
        value = value_of(c->args[1]);
        if (!value) {
                err_set(e, "the value is neither a number nor valid UTF-8 text");
                return NULL;
        }
        o = json_pack("{s:s, s:s, s:s, s:o}", "cmd", "send", "source", name, "tag", ident, "value", value);
        if (o && c->unit && json_object_set_new(o, "unit", json_string(c->unit)) != 0) {
                json_decref(o);
                err_set(e, "the unit is not valid UTF-8");
                return NULL;
        }
        return o;
}

static void print_answer(struct cli *c, const json_t *reply)
{
        if (c->out.json) {
                json_dumpf(reply, c->out.f, JSON_COMPACT);
                fputc('\n', c->out.f);
        } else {
                const char *id = json_string_value(json_object_get(reply, "id"));

                fprintf(c->out.f, "%s\n", id ? id : "-");
        }
}

int cmd_send(struct cli *c)
{
        json_t *request, *reply;
        struct err e;
        int r;

        request = request_of(c, &e);
        if (!request)
                return cli_fail(CLI_USAGE, "%s", e.text);
        r = ask_daemon(c, request, &reply);
        if (r)
                return r;
        print_answer(c, reply);
        json_decref(reply);
        return CLI_OK;
}
