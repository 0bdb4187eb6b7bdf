/*
 * nmea_status: which field of which sentence tells whether the others are to be
 * believed.
 *
 * The table has every sentence of NMEA 0183 up to 4.11 with a status (A valid,
 * V not), a mode (since 2.3) or a quality; alarms and "arrived" flags (AAM, APB
 * 6 and 7, RMB 13, ALR, HTD) say something about the ship and are values.
 * Estimated (E) and manual (M) values are uncertain, simulated ones (S) are
 * bad: nothing has measured them.  Differential, precise and RTK modes are
 * better than A.  The navigational status of RMC is V in receivers that do not
 * work it out, so only "caution" and "unsafe" count.  An empty status is none.
 *
 * Fails never; a sentence that is not here is sound.
 */
#include <string.h>

#include "drivers/serial/nmea.h"

struct letters {
        const char *void_ones, *doubtful;
};

static const struct letters status = {"V", ""}, mode = {"NSV", "EM"}, fix = {"08", "67"}, solution = {"1", ""},
                            target = {"L", "Q"}, safety = {"", "CU"}, systems = {"NSV", "EM"};

static const struct row {
        const char *name;
        uint8_t field;
        const struct letters *letters;
        uint8_t first, last; /* the fields it is about; last 0: all */
} rows[] = {
        {"APA", 1, &status},
        {"APA", 2, &status},
        {"APB", 1, &status},
        {"APB", 2, &status},
        {"APB", 15, &mode},
        {"BWC", 13, &mode},
        {"BWR", 13, &mode},
        {"CUR", 1, &status},
        {"DCN", 4, &status, 2, 3},
        {"DCN", 7, &status, 5, 6},
        {"DCN", 10, &status, 8, 9},
        {"GGA", 6, &fix},
        {"GLC", 3, &status, 2, 2},
        {"GLC", 5, &status, 4, 4},
        {"GLC", 7, &status, 6, 6},
        {"GLC", 9, &status, 8, 8},
        {"GLC", 11, &status, 10, 10},
        {"GLC", 13, &status, 12, 12},
        {"GLL", 6, &status},
        {"GLL", 7, &mode},
        {"GNS", 6, &systems},
        {"GNS", 13, &safety},
        {"GSA", 2, &solution},
        {"HMR", 7, &status, 6, 6},
        {"HMR", 10, &status, 9, 9},
        {"MWV", 5, &status},
        {"OSD", 2, &status, 1, 1},
        {"POS", 3, &status},
        {"PRC", 2, &status, 1, 1},
        {"PRC", 4, &status, 3, 3},
        {"PRC", 6, &status, 5, 5},
        {"RMA", 1, &status},
        {"RMA", 12, &mode},
        {"RMB", 1, &status},
        {"RMB", 14, &mode},
        {"RMC", 2, &status},
        {"RMC", 12, &mode},
        {"RMC", 13, &safety},
        {"ROR", 2, &status, 1, 1},
        {"ROR", 4, &status, 3, 3},
        {"ROT", 2, &status},
        {"RPM", 5, &status},
        {"RSA", 2, &status, 1, 1},
        {"RSA", 4, &status, 3, 3},
        {"THS", 2, &mode},
        {"TLL", 8, &target},
        {"TRC", 3, &status, 2, 2},
        {"TRC", 5, &status, 4, 4},
        {"TRD", 3, &status, 2, 2},
        {"TRD", 5, &status, 4, 4},
        {"TTM", 12, &target},
        {"VBW", 3, &status, 1, 2},
        {"VBW", 6, &status, 4, 5},
        {"VBW", 8, &status, 7, 7},
        {"VBW", 10, &status, 9, 9},
        {"VTG", 9, &mode},
        {"WCV", 4, &mode},
        {"XTE", 1, &status},
        {"XTE", 2, &status},
        {"XTE", 6, &mode},
};

static enum nmea_trust trust_of(const struct letters *letters, char c)
{
        return c && strchr(letters->void_ones, c)  ? NMEA_VOID
               : c && strchr(letters->doubtful, c) ? NMEA_DOUBTFUL
                                                   : NMEA_SOUND;
}

/* One letter; of GNS one for each system, of which the best counts. */
static enum nmea_trust judge(const struct row *row, const char *p, size_t len)
{
        enum nmea_trust best = NMEA_VOID;

        if (len == 0 || (len > 1 && row->letters != &systems))
                return NMEA_SOUND;
        for (size_t i = 0; i < len; i++) {
                enum nmea_trust trust = trust_of(row->letters, p[i]);

                best = trust < best ? trust : best;
        }
        return best;
}

enum nmea_trust nmea_trust(const struct nmea *s, size_t i)
{
        enum nmea_trust worst = NMEA_SOUND;

        for (const struct row *row = rows; row < rows + sizeof(rows) / sizeof(*rows); row++) {
                enum nmea_trust trust;

                if (row->field >= s->n || !nmea_is(s, row->name))
                        continue;
                if (row->field == i)
                        return NMEA_SOUND;
                if (row->last && (i < row->first || i > row->last))
                        continue;
                trust = judge(row, s->field[row->field], s->len[row->field]);
                worst = trust > worst ? trust : worst;
        }
        return worst;
}
