/*
 * zone: see zone.h.
 *
 * Why not the C library's: it knows one zone for the whole process, and reads
 * it from the environment.  Of the file (TZif, RFC 8536) the 64-bit block is
 * read: when which offset began.  What follows the last entry (a rule as text)
 * is not: the system's files reach to 2037.  Those of other systems end in the
 * last century and leave the summers to the rule: refused.
 *
 * Fails: a name that is none or a file that is damaged, with a sentence; sizes
 * in it are held against the length of the file first.
 */
#include "drivers/payload/zone.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ZONES   "/usr/share/zoneinfo/"
#define REACH_S INT64_C(2082758400) /* 2036 */

enum { FILE_MAX = 64 * 1024, HEADER = 44, OFFSET_MAX_S = 26 * 3600 };

/* ---- an offset ---- */

static int digits(const char **s, int n)
{
        int v = 0;

        for (int i = 0; i < n; i++, (*s)++) {
                if (**s < '0' || **s > '9')
                        return -1;
                v = v * 10 + **s - '0';
        }
        return v;
}

/* Z, UTC, +hh, +hhmm, +hh:mm. */
static bool read_offset(const char *s, int32_t *seconds)
{
        int sign = *s == '-' ? -1 : 1, hours, minutes = 0;

        *seconds = 0;
        if (!strcmp(s, "Z") || !strcmp(s, "UTC"))
                return true;
        if (*s != '+' && *s != '-')
                return false;
        s++;
        hours = digits(&s, 2);
        if (*s == ':')
                s++;
        if (*s)
                minutes = digits(&s, 2);
        *seconds = sign * (hours * 3600 + minutes * 60);
        return hours >= 0 && hours <= 23 && minutes >= 0 && minutes <= 59 && !*s;
}

/* ---- a file ---- */

static int64_t big_endian(const unsigned char *p, int n)
{
        uint64_t v = p[0] & 0x80 ? UINT64_MAX : 0;

        for (int i = 0; i < n; i++)
                v = v << 8 | p[i];
        return (int64_t)v;
}

struct counts {
        size_t utc, std, leap, times, types, chars;
};

static bool read_header(const unsigned char *p, size_t len, struct counts *c)
{
        size_t *to[] = {&c->utc, &c->std, &c->leap, &c->times, &c->types, &c->chars};

        if (len < HEADER || memcmp(p, "TZif", 4) != 0)
                return false;
        for (int i = 0; i < 6; i++) {
                *to[i] = (size_t)big_endian(p + 20 + 4 * i, 4);
                if (*to[i] > FILE_MAX)
                        return false;
        }
        return true;
}

static size_t block_bytes(const struct counts *c, size_t time)
{
        return c->times * (time + 1) + c->types * 6 + c->chars + c->leap * (time + 4) + c->std + c->utc;
}

static bool take_block(struct payload_zone *z, const unsigned char *p, const struct counts *c)
{
        const unsigned char *kind = p + c->times * 8, *type = kind + c->times;
        size_t first = 0;

        z->n = c->times;
        z->from = mem_alloc((c->times + 1) * sizeof(*z->from));
        z->offset = mem_alloc((c->times + 1) * sizeof(*z->offset));
        while (first + 1 < c->types &&
               type[6 * first + 4]) /* before the first entry: the first that is no summer time */
                first++;
        z->offset[0] = (int32_t)big_endian(type + 6 * (first < c->types && !type[6 * first + 4] ? first : 0), 4);
        for (size_t i = 0; i < c->times; i++) {
                if (kind[i] >= c->types)
                        return false;
                z->from[i] = big_endian(p + 8 * i, 8);
                z->offset[i + 1] = (int32_t)big_endian(type + 6 * kind[i], 4);
                if (i && z->from[i] <= z->from[i - 1])
                        return false;
        }
        for (size_t i = 0; i <= c->times; i++)
                if (z->offset[i] > OFFSET_MAX_S || z->offset[i] < -OFFSET_MAX_S)
                        return false;
        return true;
}

const char *payload_zone_read(struct payload_zone *z, const unsigned char *p, size_t len)
{
        static const char none[] = "no file of a time zone";
        struct counts c;
        size_t skip, end;

        if (!read_header(p, len, &c) || p[4] < '2')
                return none;
        skip = HEADER + block_bytes(&c, 4);
        if (skip > len || !read_header(p + skip, len - skip, &c) || !c.types)
                return none;
        if (block_bytes(&c, 8) > len - skip - HEADER || !take_block(z, p + skip + HEADER, &c))
                return none;
        end = skip + HEADER + block_bytes(&c, 8);
        if (memchr(p + end, ',', len - end) && (!z->n || z->from[z->n - 1] < REACH_S)) /* a rule with a summer */
                return "it leaves the years to come to a rule, which is not read (made without zic -b fat)";
        return NULL;
}

/* Letters, digits, and _ + - between slashes: no way out of the folder. */
static bool is_zone_name(const char *s)
{
        size_t len = strlen(s);

        return len && len < 64 && *s != '/' &&
               strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-/") == len;
}

int payload_zone_init(struct payload_zone *z, const char *name, struct err *e)
{
        char path[sizeof(ZONES) + 64];
        unsigned char *bytes;
        const char *why;
        int32_t offset;
        ssize_t n;
        int fd;

        *z = (struct payload_zone){0};
        if (read_offset(name, &offset)) {
                z->offset = mem_alloc(sizeof(*z->offset));
                *z->offset = offset;
                return 0;
        }
        if (!is_zone_name(name))
                return err_set(e, "'%.64s' is neither an offset (+01:00) nor a time zone (Europe/Berlin)", name);
        snprintf(path, sizeof(path), ZONES "%s", name);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return err_set(e, "no time zone '%s': %s: %s", name, path, strerror(errno));
        bytes = mem_alloc(FILE_MAX);
        n = read(fd, bytes, FILE_MAX);
        close(fd);
        why = payload_zone_read(z, bytes, n > 0 ? (size_t)n : 0);
        free(bytes);
        if (!why)
                return 0;
        payload_zone_fini(z);
        return err_set(e, "%s: %s", path, why);
}

void payload_zone_fini(struct payload_zone *z)
{
        free(z->from);
        free(z->offset);
        *z = (struct payload_zone){0};
}

/* ---- lookups ---- */

/* The last entry that a clock may be behind when it shows `local`; 0: none. */
static size_t entry_at(const struct payload_zone *z, int64_t local)
{
        size_t low = 0, high = z->n;

        while (low < high) {
                size_t mid = low + (high - low) / 2;

                if (z->from[mid] - OFFSET_MAX_S <= local)
                        low = mid + 1;
                else
                        high = mid;
        }
        return low;
}

static bool is_within(const struct payload_zone *z, size_t i, int64_t utc)
{
        return (!i || utc >= z->from[i - 1]) && (i == z->n || utc < z->from[i]);
}

int payload_zone_utc(const struct payload_zone *z, int64_t local, int64_t *utc, int64_t *later)
{
        size_t last = entry_at(z, local);
        int n = 0;

        *utc = *later = 0;
        for (size_t back = 0; back < 8 && back <= last; back++) { /* from the latest backwards: entries may be near */
                size_t i = last - back;
                int64_t at = local - z->offset[i];

                if (!is_within(z, i, at))
                        continue;
                *later = n ? *later : at;
                *utc = at;
                n++;
        }
        if (n)
                return n > 1 ? PAYLOAD_ZONE_E_TWICE : 0;
        while (last && z->from[last - 1] > local - z->offset[last - 1])
                last--;
        *utc = *later = local - z->offset[last ? last - 1 : 0];
        return PAYLOAD_ZONE_E_NEVER;
}
