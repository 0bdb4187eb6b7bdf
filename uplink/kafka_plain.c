/*
 * kafka_plain: why a broker is not reached, for a person.
 *
 * librdkafka says "sasl_ssl://10.0.0.5:9093/bootstrap: Connect to
 * ipv4#10.0.0.5:9093 failed: Connection refused (after 0ms in state CONNECT)":
 * where it was is kept, what happened is looked up in a table, and what is not
 * in the table keeps its words without what only librdkafka understands.  The
 * ways out (agent/health/ways.c) go by the words here.  Cannot fail.
 */
#include <stdio.h>
#include <string.h>

#include "uplink/kafka_impl.h"

static const struct {
        const char *theirs, *ours;
} table[] = {
        {"incorrect security.protocol", "it ended the connection at once; does it want TLS or a user?"},
        {"certificate verify failed",
         "its certificate is not accepted: expired, of no authority that is trusted, or for "
         "another name"},
        {"wrong version number", "there is no TLS at that port"},
        {"SSL handshake failed: Disconnected", "there is no TLS at that port, or it wants our certificate"},
        {"handshake failure", "TLS: it wants our certificate, or another version of TLS"},
        {"Server not found in Kerberos",
         "Kerberos knows no such service (sasl.kerberos.service.name, the broker's name)"},
        {"GSSAPI Error", "there is no Kerberos ticket (is the KDC on, are keytab and principal right?)"},
        {"No worthy mechs", "SASL GSSAPI needs the package libsasl2-modules-gssapi-mit"},
        {"Authentication failed", "user or password is wrong"},
        {"Connection refused", "Connection refused, nobody listens there"},
        {"Failed to resolve", "cannot resolve its name: the name server does not know it, or is away"},
        {"No route to host", "there is no way to it, a line or a router is off"},
        {"Network is unreachable", "there is no way to it, the network here is off"},
        {"imed out", "no answer in time (timed out)"},
        {"Disconnected", "it ended the connection"},
        {"Connection reset", "it ended the connection"},
};

/*
 * "10.0.0.5:9093" of "sasl_ssl://10.0.0.5:9093/bootstrap: …"; what follows the
 * colon.
 */
static const char *split(const char *words, const char **where, int *len)
{
        const char *end = strstr(words, ": "), *scheme = strstr(words, "://");

        if (!end)
                return NULL;
        *where = scheme && scheme < end ? scheme + 3 : words;
        *len = (int)strcspn(*where, "/");
        if (*where + *len > end)
                *len = (int)(end - *where);
        return end + 2;
}

void kafka_plain_words(const char *words, char *out, size_t cap)
{
        const char *where = words, *what, *connect, *after;
        int len = 0;

        what = split(words, &where, &len);
        for (size_t i = 0; what && i < sizeof(table) / sizeof(*table); i++)
                if (strstr(what, table[i].theirs)) {
                        snprintf(out, cap, "%.*s: %s", len, where, table[i].ours);
                        return;
                }
        connect = what ? strstr(what, " failed: ") : NULL;
        if (connect && !strncmp(what, "Connect to ", 11))
                what = connect + 9;
        if (!what)
                what = words;
        after = strstr(what, " (after ");
        snprintf(out, cap, "%.*s%s%.*s", len, where, len ? ": " : "", after ? (int)(after - what) : (int)strlen(what),
                 what);
}
