/*
 * status_field: see status_field.h.
 *
 * One place for the page of `millrace status` and for the screen of `millrace
 * top`, so that a number looks alike on both. Text is made harmless here: it
 * may have come over the wire (a driver's last error quotes a broker).  Fails
 * never.
 */
#include "agent/cli/status_field.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/base/text.h"
#include "agent/cli/out.h"

bool field_is_number(const json_t *object, const char *key)
{
        return json_is_number(json_object_get(object, key));
}

double field_number(const json_t *object, const char *key)
{
        return json_number_value(json_object_get(object, key));
}

uint64_t field_n(const json_t *object, const char *key)
{
        const json_t *v = json_object_get(object, key);

        return json_is_integer(v) && json_integer_value(v) > 0 ? (uint64_t)json_integer_value(v) : 0;
}

const char *field_text(const json_t *object, const char *key)
{
        const char *s = json_string_value(json_object_get(object, key));

        return s ? s : "-";
}

struct field field_clean(const json_t *object, const char *key)
{
        struct field f;

        out_put_clean(f.s, sizeof(f.s), field_text(object, key));
        return f;
}

struct field field_count(const json_t *object, const char *key, bool terminal)
{
        struct field f = {"-"};

        if (field_is_number(object, key))
                out_put_count(f.s, sizeof(f.s), field_n(object, key), terminal);
        return f;
}

struct field field_size(const json_t *object, const char *key)
{
        struct field f = {"-"};

        if (field_is_number(object, key))
                text_put_size(f.s, sizeof(f.s), field_n(object, key));
        return f;
}

struct field field_span(const json_t *object, const char *key)
{
        struct field f = {"-"};

        if (field_is_number(object, key) && field_number(object, key) >= 0 && field_number(object, key) < 1e12)
                text_put_duration(f.s, sizeof(f.s), (int64_t)(field_number(object, key) * 1e6));
        return f;
}

struct field field_time(const json_t *object, const char *key, bool utc)
{
        const char *s = json_string_value(json_object_get(object, key));
        struct field f = {"-"};
        bool has_zone;
        int64_t us;

        if (s && text_time(s, strlen(s), &us, &has_zone))
                out_put_time(f.s, sizeof(f.s), us, utc);
        return f;
}

struct field field_rate(const json_t *object, const char *key)
{
        struct field f = {"-"};

        if (field_is_number(object, key))
                snprintf(f.s, sizeof(f.s), "%.1f/s", field_number(object, key));
        return f;
}

/* "late 3, crc 1": those that are not 0. */
static struct field counts(const json_t *o, const char *const *keys, size_t n_keys)
{
        struct field out = {""};
        size_t len = 0;

        for (size_t i = 0; i < n_keys; i++) {
                uint64_t n = field_n(o, keys[i]);

                if (n)
                        len += (size_t)snprintf(out.s + len, sizeof(out.s) - len, "%s%s %" PRIu64, len ? ", " : "",
                                                keys[i], n);
        }
        return out;
}

struct field field_odd(const json_t *bus)
{
        static const char *const keys[] = {"late", "mismatched", "crc", "garbage"};

        return counts(bus, keys, sizeof(keys) / sizeof(*keys));
}

struct field field_unread(const json_t *driver)
{
        static const char *const keys[] = {"malformed", "untagged", "absent", "ignored"};

        return counts(driver, keys, sizeof(keys) / sizeof(*keys));
}
