/*
 * decode_line: the groups of an expression -> readings.
 *
 * Fails: a line that does not match is malformed, with the reason, but for one
 * whose status says that there is no value: its tags are bad.
 */
#include <string.h>

#include "drivers/serial/decode_impl.h"

static bool is_in(const struct schema_list *list, const char *s, size_t len)
{
        const char *const *words = list->items;

        for (size_t i = 0; i < list->n; i++)
                if (strlen(words[i]) == len && memcmp(words[i], s, len) == 0)
                        return true;
        return false;
}

static void trim(const char **s, size_t *len)
{
        while (*len && ((*s)[*len - 1] == ' ' || (*s)[*len - 1] == '\t'))
                --*len;
        for (; *len && (**s == ' ' || **s == '\t'); ++*s)
                --*len;
}

static enum quality line_quality(const struct serial_decoder *d, const char *line)
{
        const struct serial_quality_conf *q = &d->conf->quality;
        const char *word;
        size_t at, len;
        bool is_good;

        if (d->quality_group < 0)
                return QUALITY_GOOD;
        if (!serial_match_get(d->match, d->quality_group, &at, &len))
                return QUALITY_UNCERTAIN;
        word = line + at;
        is_good = is_in(&q->good, word, len);
        if (is_in(&q->bad, word, len))
                return QUALITY_BAD_SENSOR;
        trim(&word, &len);
        return is_in(&q->bad, word, len) ? QUALITY_BAD_SENSOR : is_good ? QUALITY_GOOD : QUALITY_UNCERTAIN;
}

/*
 * Whether a value took part in the last line that matched, beside the status.
 */
static bool has_values(const struct serial_decoder *d)
{
        size_t at, n;

        for (size_t i = 0; i < d->conf->readings.n; i++)
                if (d->group[i] != d->quality_group && serial_match_get(d->match, d->group[i], &at, &n))
                        return true;
        return false;
}

/* The line says that there is no value: that is so for all its tags. */
static int all_bad(const struct serial_decoder *d, struct reading *model, struct serial_decoded *out)
{
        decode_set_bad(model, QUALITY_BAD_SENSOR);
        for (size_t i = 0; i < d->conf->readings.n; i++)
                decode_add(out, i, model);
        return 0;
}

static int read_groups(const struct serial_decoder *d, const char *line, const struct reading *model,
                       struct serial_decoded *out)
{
        size_t at, n;

        for (size_t i = 0; i < d->conf->readings.n; i++) {
                struct reading *r;

                if (!serial_match_get(d->match, d->group[i], &at, &n)) {
                        out->n_absent++;
                        continue;
                }
                r = decode_add(out, i, model);
                if (!quality_is_bad(r->quality))
                        decode_set_written(d, out, i, r, line + at, n);
        }
        return out->n ? 0 : decode_malformed(out, "the line matches, but none of the groups took part");
}

int decode_line(struct serial_decoder *d, const char *line, size_t len, struct reading *model,
                struct serial_decoded *out)
{
        switch (serial_match_run(d->match, line, len)) {
        case SERIAL_NO_MATCH:
                if (d->loose && serial_match_run(d->loose, line, len) == SERIAL_MATCHED)
                        return all_bad(d, model, out);
                return decode_malformed(out, "the line does not match");
        case SERIAL_TOO_COSTLY:
                return decode_malformed(out, "the expression takes too long on this line");
        case SERIAL_MATCHED:
                break;
        }
        model->quality = (uint16_t)line_quality(d, line);
        if (quality_is_bad(model->quality) && (!d->has_branches || !has_values(d)))
                return all_bad(d, model, out);
        return read_groups(d, line, model, out);
}
