/*
 * history: see history.h.
 *
 * Columns of five seconds that never change once they are full: a screen over a
 * slow line is repainted only where something happened.  Fails never.
 */
#include "agent/cli/top/history.h"

#include <math.h>
#include <string.h>

#include "agent/cli/status_field.h"

enum { LEVELS = 8 };

void top_history_add(struct top_history *h, const json_t *status, long now_s)
{
        long bucket_s = now_s - now_s % TOP_BUCKET_S;
        long skipped = h->any ? (bucket_s - h->bucket_s) / TOP_BUCKET_S : 1;
        static const char *const keys[TOP_SERIES] = {"accept_rate", "deliver_rate", "held"};

        for (long i = 0; i < skipped && i < TOP_BUCKETS; i++)
                memset(&h->buckets[++h->last % TOP_BUCKETS], 0, sizeof(h->buckets[0]));
        h->any = true;
        h->bucket_s = bucket_s;
        for (int i = 0; i < TOP_SERIES; i++)
                h->buckets[h->last % TOP_BUCKETS].sum[i] += field_number(status, keys[i]);
        h->buckets[h->last % TOP_BUCKETS].n++;
}

/* -1: nothing was heard then. */
static double mean(const struct top_history *h, enum top_series series, unsigned ago)
{
        unsigned i = (h->last - ago) % TOP_BUCKETS;

        if (!h->any || ago >= TOP_BUCKETS || ago > h->last || !h->buckets[i].n)
                return -1;
        return h->buckets[i].sum[series] / h->buckets[i].n;
}

/* The end of `out`, which has that level behind it; -1: a gap. */
static char *put_level(char *out, int level, bool utf8)
{
        static const char *const blocks[LEVELS] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
        static const char *const plain[LEVELS] = {".", ":", "-", "=", "+", "*", "%", "#"};

        return stpcpy(out, level < 0 ? " " : utf8 ? blocks[level] : plain[level]);
}

void top_spark(const struct top_history *h, enum top_series series, unsigned width, bool utf8, char *out, double *most)
{
        *most = 0;
        *out = '\0';
        for (unsigned ago = 0; ago < width; ago++)
                if (mean(h, series, ago) > *most)
                        *most = mean(h, series, ago);
        for (unsigned ago = width; ago-- > 0;) {
                double v = mean(h, series, ago);
                int level = *most > 0 ? (int)(v / *most * (LEVELS - 1) + 0.5) : 0;

                out = put_level(out, v < 0 ? -1 : level, utf8);
        }
}

void top_curve(const double *values, int n, bool utf8, char *out)
{
        double least = NAN, most = NAN;

        for (int i = 0; i < n; i++) {
                least = fmin(least, values[i]); /* of NAN and a number the number */
                most = fmax(most, values[i]);
        }
        *out = '\0';
        for (int i = 0; i < n; i++) {
                double up = most > least ? (values[i] / 2 - least / 2) / (most / 2 - least / 2) : 0.5;

                out = put_level(out, isnan(values[i]) ? -1 : (int)(up * (LEVELS - 1) + 0.5), utf8);
        }
}
