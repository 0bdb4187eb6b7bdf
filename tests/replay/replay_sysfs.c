/*
 * replay_sysfs: texts as drivers of the kernel write them, and errors they give when something is amiss.
 *
 * A recording has a file per line: its path and "scale", if there is one, then a tab and its text (\n and \\ written
 * so); or ! and the number of the error that reading it gave. # is a remark.
 */
#include <stdlib.h>
#include <string.h>

#include "drivers/sysfs/decode.h"
#include "replay.h"

static size_t unescape(char *to, const char *s, size_t len)
{
        size_t n = 0;

        for (size_t i = 0; i < len; i++) {
                if (s[i] == '\\' && i + 1 < len)
                        to[n++] = s[++i] == 'n' ? '\n' : s[i];
                else
                        to[n++] = s[i];
        }
        return n;
}

static void take(char *line, FILE *out)
{
        char text[SYSFS_FILE_MAX + 1], value[SYSFS_TEXT_MAX];
        struct sysfs_answer a = {.bytes = text};
        struct sysfs_reading_conf c = {.file = line, .convert = {CONVERT_NUMBER, .scale = 1}};
        char *tab = strchr(line, '\t'), *blank;
        struct reading r = {.len = 0};
        struct convert convert;
        const char *why, *key;
        struct err e;

        replay_check(tab != NULL, "a line without a tab");
        *tab++ = '\0';
        blank = strchr(line, ' ');
        if (blank) {
                *blank = '\0';
                c.convert.scale = atof(blank + 1);
        }
        a.error = *tab == '!' ? atoi(tab + 1) : 0;
        a.len = a.error ? 0 : unescape(text, tab, strlen(tab));
        replay_check(convert_init(&convert, &c.convert, NULL, 0, &key, &e) == 0, e.text);
        sysfs_decode(&c, &convert, &a, value, &r, &why);
        convert_fini(&convert);
        fputs(line, out);
        replay_put_value(out, &r);
        fputc(' ', out);
        replay_put_quality(out, &r);
        fprintf(out, "%s%s\n", *why ? ": " : "", why);
}

static long run(const struct replay_input *in, FILE *out)
{
        char line[SYSFS_FILE_MAX];
        long n = 0;

        for (const char *p = in->bytes; *p;) {
                size_t len = strcspn(p, "\n");

                replay_check(len < sizeof(line), "a line is too long");
                memcpy(line, p, len);
                line[len] = '\0';
                p += len + (p[len] != '\0');
                if (!len || *line == '#')
                        continue;
                take(line, out);
                n++;
        }
        return n;
}

const struct replay replay_sysfs = {.run = run};
