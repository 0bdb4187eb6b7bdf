/*
 * doctor_report: a file for somebody who helps from far away (see doctor.h):
 * what was found, the machine, the configuration that is in force, the daemon's
 * status.
 *
 * Passwords are in files that are not read, and the configuration is printed
 * without those it could hold; what still looks like a secret, in a property or
 * a sentence, is made unreadable line by line.  The file is its owner's alone,
 * and never takes another one's place.
 *
 * Fails with a sentence.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "agent/cli/doctor.h"

/* Ends of a word behind which a secret stands, with : or = between. */
static const char *const secret_words[] = {"password", "passwd", "secret", "passphrase", "token", "api_key", "apikey"};

static size_t secret_word_at(const char *s)
{
        for (size_t i = 0; i < sizeof(secret_words) / sizeof(*secret_words); i++)
                if (strncasecmp(s, secret_words[i], strlen(secret_words[i])) == 0)
                        return strlen(secret_words[i]);
        return 0;
}

/* In quotes up to their end, whether they open here or before the word. */
static void mask_from(char *s, char in)
{
        char quote = !in && (*s == '"' || *s == '\'') ? *s++ : in;

        while (*s && *s != '\n' && (quote ? *s != quote : !strchr(" ,;}])\t\"'", *s)))
                *s++ = '*';
}

/* user:password@ of a URL. */
static void mask_login(char *s)
{
        char *at = s + strcspn(s, "@/ \t\n\""), *colon = memchr(s, ':', (size_t)(at - s));

        if (*at == '@' && colon)
                memset(colon + 1, '*', (size_t)(at - colon - 1));
}

void doctor_mask(char *line)
{
        char quote = '\0';

        for (char *s = line; *s; s++) {
                size_t n = secret_word_at(s);
                char *to = s + n;

                if (*s == '"' || *s == '\'')
                        quote = !quote ? *s : quote == *s ? '\0' : quote;
                if (strncmp(s, "://", 3) == 0)
                        mask_login(s + 3);
                if (!n)
                        continue;
                to += *to == '"' || *to == '\'';
                if (*to != '=' && *to != ':')
                        continue;
                to++;
                while (*to == ' ')
                        to++;
                if (strncmp(to, "file:", 5) != 0 && strncmp(to, "credential:", 11) != 0 && *to != '<')
                        mask_from(to, quote && s[n] == quote ? '\0' : quote);
        }
}

/* "--token" of a command, as its own item: the secret is the next one. */
static bool ends_with_word(const char *line)
{
        size_t len = strlen(line);

        while (len && strchr("\"' ", line[len - 1]))
                len--;
        for (size_t i = 0; i < len; i++)
                if (secret_word_at(line + i) == len - i)
                        return line[strspn(line, " ")] == '-';
        return false;
}

static void mask_item(char *line)
{
        char *s = line + strspn(line, " ");

        if (*s == '-' && s[1] == ' ')
                mask_from(s + 2, '\0');
}

/* ---- the parts ---- */

static void put_machine(FILE *f)
{
        struct utsname u;

        fprintf(f, "millrace %s\n", MILLRACE_VERSION);
        if (uname(&u) == 0)
                fprintf(f, "%s %s %s\n", u.sysname, u.release, u.machine);
}

static void put_file(FILE *f, const char *path, int lines)
{
        char line[512];
        FILE *from = fopen(path, "re");

        for (int n = 0; from && n < lines && fgets(line, sizeof(line), from); n++)
                fputs(line, f);
        if (from)
                fclose(from);
}

static void put_findings(FILE *f, const struct doctor *d)
{
        for (size_t i = 0; i < d->n; i++) {
                const struct finding *one = &d->list[i];

                fprintf(f, "%s %s %s: %s%s%s\n", finding_level_name(one->level), one->area, one->subject, one->what,
                        *one->todo ? " -> " : "", one->todo);
        }
}

static void put_all(FILE *f, const struct doctor *d)
{
        fputs("== machine\n", f);
        put_machine(f);
        put_file(f, "/etc/os-release", 20);
        put_file(f, "/proc/meminfo", 3);
        fputs("== findings\n", f);
        put_findings(f, d);
        fputs("== status\n", f);
        if (d->status)
                json_dumpf(d->status, f, JSON_INDENT(2));
        fputs(d->status ? "\n== configuration\n" : "the daemon does not answer\n== configuration\n", f);
        if (d->conf)
                config_dump(d->conf, f);
        else
                fputs("it has faults\n", f);
}

static FILE *create(const char *path, struct err *e)
{
        int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        FILE *f = fd < 0 ? NULL : fdopen(fd, "w");

        if (!f)
                err_errno(e, "--report %s", path);
        return f;
}

int doctor_report(const struct doctor *d, const char *path, struct err *e)
{
        char *text = NULL, *next;
        size_t len;
        FILE *all = open_memstream(&text, &len), *f = create(path, e);
        bool is_next = false;
        int r = f ? 0 : -1;

        if (all) {
                put_all(all, d);
                fclose(all);
        }
        for (char *line = text; f && line && *line; line = next) {
                next = line + strcspn(line, "\n");
                if (*next)
                        *next++ = '\0';
                if (is_next)
                        mask_item(line);
                is_next = ends_with_word(line);
                doctor_mask(line);
                fprintf(f, "%s\n", line);
        }
        if (f && fclose(f) != 0)
                r = err_errno(e, "--report %s", path);
        free(text);
        return r;
}
