/*
 * metrics: the daemon's numbers as Prometheus reads them, for a scrape by hand
 * and for the textfile collector of node_exporter.  Without a daemon there is
 * nothing to print: an old page would look like a live gateway.
 */
#include "agent/control/metrics.h"

#include <stdlib.h>

#include "agent/cli/open.h"

int cmd_metrics(struct cli *c)
{
        json_t *status;
        char *text;
        int r = ask_daemon(c, json_pack("{s:s}", "cmd", "status"), &status);

        if (r)
                return r;
        text = metrics_text(status);
        fputs(text, c->out.f);
        free(text);
        json_decref(status);
        return CLI_OK;
}
