/*
 * open: from the command line to a configuration, a spool and a socket.
 *
 * --spool alone needs no configuration: the daemon's socket is then looked for
 * beside the file.  So the tool works on a copy of a spool on a laptop as it
 * does on the gateway.  Faults of the configuration are printed as `millrace
 * check` prints them.
 *
 * A daemon that refused to reload a faulty file goes on; so while its socket is
 * there, it is asked, and the faults are mentioned only.
 */
#include "agent/cli/open.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/text.h"
#include "agent/cli/ctl_client.h"
#include "agent/config/config.h"

static char *socket_beside(const char *spool)
{
        const char *slash = strrchr(spool, '/');
        size_t dir_len = slash ? (size_t)(slash - spool) + 1 : 0;
        char *path = mem_alloc(dir_len + sizeof("millrace.sock"));

        memcpy(path, spool, dir_len);
        strcpy(path + dir_len, "millrace.sock");
        return path;
}

/* The daemon that runs in spite of the faults. */
static bool find_running(const struct cli *c, struct places *p)
{
        if (config_places(c->config, &p->spool, &p->socket) < 0)
                return false;
        if (access(p->socket, F_OK) == 0)
                return true;
        places_fini(p);
        *p = (struct places){0};
        return false;
}

int places_find(const struct cli *c, struct places *p)
{
        struct faults faults = {0};
        struct config *conf;

        *p = (struct places){0};
        if (c->spool) {
                p->spool = mem_strdup(c->spool);
                p->socket = socket_beside(c->spool);
                return CLI_OK;
        }
        if (config_load(c->config, &conf, &faults) < 0) {
                int rc = find_running(c, p) ? CLI_OK : CLI_CONFIG;

                if (rc)
                        faults_print(&faults, stderr);
                else
                        fprintf(stderr,
                                "millrace: the configuration has faults and is not the one in use: millrace check\n");
                faults_fini(&faults);
                return rc;
        }
        p->spool = mem_strdup(conf->spool.path);
        p->socket = mem_strdup(conf->control_socket);
        p->spool_max_bytes = conf->spool.max_size_bytes;
        p->spool_usable_bytes = spool_usable_bytes(&conf->spool);
        config_free(conf);
        faults_fini(&faults);
        return CLI_OK;
}

void places_fini(struct places *p)
{
        free(p->spool);
        free(p->socket);
}

int ask_daemon(const struct cli *c, json_t *request, json_t **reply)
{
        struct places places;
        struct err e;
        int r = places_find(c, &places);

        if (!r) {
                r = ctl_ask(places.socket, request, reply, &e);
                if (r)
                        r = cli_fail(r == CTL_E_REFUSED ? CLI_NO : CLI_AWAY, "%s%s",
                                     r == CTL_E_REFUSED ? "refused: " : "", e.text);
                places_fini(&places);
        }
        json_decref(request);
        return r;
}

int open_spool(const struct cli *c, struct spool_query **q)
{
        struct places places;
        struct err e;
        int r = places_find(c, &places);

        if (r)
                return r;
        if (spool_query_open(q, places.spool, &e) < 0)
                r = cli_fail(CLI_AWAY, "%s", e.text);
        places_fini(&places);
        return r;
}

void split_tag(const char *tag, char buf[SPLIT_MAX], struct spool_filter *f)
{
        char *slash, *brace;

        if (!tag)
                return;
        if (!text_name_pattern(buf, SPLIT_MAX, tag))
                snprintf(buf, SPLIT_MAX, "%s", tag);
        slash = strchr(buf, '/');
        if (slash)
                *slash = '\0';
        brace = slash ? strchr(slash + 1, '{') : NULL;
        if (brace)
                *brace = '\0';
        f->source = buf[0] ? buf : NULL;
        f->name = slash && slash[1] ? slash + 1 : NULL;
        f->labels = brace ? brace + 1 : NULL;
}

bool pick_matches(const struct spool_filter *f, const char *source, const char *name, const char *labels)
{
        return (!f->source || text_matches(f->source, source)) && (!f->name || text_matches(f->name, name)) &&
               (!f->labels || tags_labels_have(labels, f->labels));
}

struct any {
        const struct spool_filter *pick;
        bool found;
};

static bool on_any(void *ctx, const struct spool_query_tag *tag)
{
        struct any *any = ctx;

        any->found = pick_matches(any->pick, tag->source, tag->name, tag->labels);
        return !any->found;
}

int require_tag(const struct cli *c, struct spool_query *q, const struct spool_filter *pick)
{
        struct any any = {.pick = pick};
        struct err e;

        if (!c->tag)
                return CLI_OK;
        if (spool_query_tags(q, false, on_any, &any, &e) < 0)
                return cli_fail(CLI_AWAY, "%s", e.text);
        return any.found ? CLI_OK
                         : cli_fail(CLI_NO, "the spool knows no tag %.200s; 'millrace tags' lists them", c->tag);
}
