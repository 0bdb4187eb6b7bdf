/*
 * metrics: the daemon's numbers as Prometheus reads them, for a scrape by hand and for the textfile collector of
 * node_exporter.  Without a daemon there is nothing to print: an old page would look like a live gateway.
 */
#include "agent/metrics.h"

#include <stdlib.h>

#include "agent/cli/ctl_client.h"
#include "agent/cli/open.h"

int cmd_metrics(struct cli *c)
{
        json_t *request, *status;
        struct places places;
        struct err e;
        char *text;
        int r = places_find(c, &places);

        if (r)
                return r;
        request = json_pack("{s:s}", "cmd", "status");
        r = ctl_ask(places.socket, request, &status, &e);
        json_decref(request);
        places_release(&places);
        if (r)
                return cli_fail(CLI_AWAY, "%s", e.text);
        text = metrics_text(status);
        fputs(text, c->out.f);
        free(text);
        json_decref(status);
        return CLI_OK;
}
