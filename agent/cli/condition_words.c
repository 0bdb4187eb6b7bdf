/*
 * condition_words: see condition_words.h.
 *
 * One place for `status` and for `top`, so that both say it with the same
 * words.  Since when stands before what it is: a line that is folded or looked
 * at from afar still has both.  Fails never.
 */
#include "agent/cli/condition_words.h"

#include <stdio.h>
#include <string.h>

#include "agent/base/text.h"
#include "agent/cli/status_field.h"

enum { TODAY_S = 12 * 3600, TIME_AT = sizeof("2026-11-23") };

enum out_colour condition_colour(const char *severity)
{
        if (strcmp(severity, "failed") == 0)
                return OUT_RED;
        return strcmp(severity, "degraded") == 0 ? OUT_YELLOW : OUT_BOLD;
}

size_t condition_total(const json_t *status, size_t *shown)
{
        uint64_t total = field_n(status, "conditions_total");

        *shown = json_array_size(json_object_get(status, "conditions"));
        return total > *shown ? (size_t)total : *shown;
}

/* "", or ", since 21:40:11 (12s)"; with the day when it is not this one. */
static void put_since(char *out, size_t cap, const json_t *c, bool utc)
{
        struct field since = field_time(c, "since", utc), span = field_span(c, "for_s");
        bool recent = field_is_number(c, "for_s") && field_number(c, "for_s") < TODAY_S;
        bool known = strlen(since.s) > TIME_AT, lasts = strcmp(span.s, "-") != 0;

        snprintf(out, cap, "%s%.40s%s%.40s%s", known ? ", since " : "", known ? since.s + (recent ? TIME_AT : 0) : "",
                 !lasts  ? ""
                 : known ? " ("
                         : ", for ",
                 lasts ? span.s : "", known && lasts ? ")" : "");
}

void condition_words(struct condition_words *w, const json_t *c, bool utc)
{
        struct field subject = field_clean(c, "subject"), what = field_clean(c, "what");
        char since[128];

        *w = (struct condition_words){.colour = condition_colour(field_text(c, "severity"))};
        snprintf(w->severity, sizeof(w->severity), "%.20s", field_clean(c, "severity").s);
        if (strcmp(what.s, "-") == 0)
                what = field_clean(c, "name");
        put_since(since, sizeof(since), c, utc);
        snprintf(w->what, sizeof(w->what), "%.560s%s: %.700s", subject.s, since, what.s);
        if (strlen(field_text(c, "todo")) > 1)
                snprintf(w->todo, sizeof(w->todo), "%.1000s", field_clean(c, "todo").s);
}
