/*
 * decoder: how the messages of one subscription are read, made of its
 * configuration (see payload.h).
 *
 * What it refuses is what `millrace check` refuses, because the check of the
 * configuration makes one and throws it away.
 *
 * Fails: with the key and a sentence.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/mqtt/payload.h"

struct mqtt_sub_usual mqtt_sub_usual(const struct mqtt_sub_conf *c)
{
        static const struct mqtt_reading_conf senml[] = {{.tag = "{/n}", .value = "/v", .unit = "{/u}"},
                                                         {.tag = "{/n}.sum", .value = "/s"}};
        static const struct mqtt_reading_conf influx[] = {{.tag = "{key}"}};
        bool is_influx = c->payload == MQTT_INFLUX, is_senml = c->payload == MQTT_SENML;
        struct mqtt_sub_usual u = {.source = c->source,
                                   .each = c->each,
                                   .time = c->time,
                                   .time_format = c->time_format,
                                   .readings = c->readings.items,
                                   .n_readings = c->readings.n};

        if (is_influx && !u.source && !strstr(c->topic, "{source}"))
                u.source = "{$/measurement}";
        if (is_influx && !u.each && !u.n_readings)
                u.each = "/fields";
        if ((is_influx || is_senml) && !u.n_readings) {
                u.readings = is_influx ? influx : senml;
                u.n_readings = is_influx ? 1 : 2;
        }
        if (is_senml)
                u.time_format = PAYLOAD_UNIX_US;
        if (is_influx && !u.time) {
                u.time = "$/time";
                u.time_format = PAYLOAD_UNIX_NS;
        }
        return u;
}

bool mqtt_sub_asks(const struct mqtt_sub_conf *c)
{
        const struct mqtt_sub_usual u = mqtt_sub_usual(c);
        const struct mqtt_reading_conf *r = u.readings;
        bool asks = payload_name_asks(u.source) || c->payload == MQTT_INFLUX; /* its tags are labels */

        for (size_t i = 0; i < u.n_readings; i++)
                asks = asks || payload_name_asks(r[i].tag) || payload_unit_asks(r[i].unit);
        return asks;
}

/* `numeric`: a number is meant by the payload. */
static int init_convert(struct convert *c, const struct convert_conf *conf, const char *unit, bool numeric,
                        const char **key, struct err *e)
{
        struct convert_conf how = *conf;

        if (how.scale == 0)
                how.scale = 1;
        if (numeric && how.type == CONVERT_AUTO)
                how.type = CONVERT_NUMERIC;
        return convert_init(c, &how, unit, 0, key, e);
}

/* Says the configuration how a value is converted? */
static bool is_set(const struct convert_conf *c)
{
        return c->type || c->decimal || (c->scale != 0 && c->scale != 1) || c->offset != 0 || c->yes.n || c->no.n ||
               c->none.n || c->bad.n || c->map.n || c->range.n || c->mask || c->shift;
}

static int init_bare(struct mqtt_decoder *d, const struct mqtt_sub_conf *conf, const char **key, struct err *e)
{
        bool numeric = conf->payload == MQTT_NUMBER;

        d->bare.plain = true;
        if (conf->payload == MQTT_RAW || conf->payload == MQTT_SPARKPLUG_B) {
                *key = "payload";
                return is_set(&conf->convert) ? err_set(e, "nothing of this payload can be converted") : 0;
        }
        d->converts = is_set(&conf->convert) && numeric;
        if (!is_set(&conf->convert) && !(numeric && conf->unit))
                return 0;
        return init_convert(&d->bare, &conf->convert, conf->unit, is_set(&conf->convert) && numeric, key, e);
}

static int init_value(struct mqtt_decoder *d, struct mqtt_value *v, const struct mqtt_reading_conf *r, const char **key,
                      struct err *e)
{
        char pointer[JSON_POINTER_MAX];
        const char *value = r->value;

        *key = "readings";
        if (!value && payload_name_asks(r->tag))
                value = "";
        if (!value) {
                snprintf(pointer, sizeof(pointer), "/%s", r->tag);
                value = pointer;
        }
        if (payload_ref_init(&v->ref, &d->paths, value, e) < 0)
                return -1;
        if (d->asks && r->tag && payload_name_init(&v->tag, &d->paths, r->tag, e) < 0)
                return -1;
        if (payload_unit_asks(r->unit) && payload_name_init(&v->unit, &d->paths, r->unit, e) < 0)
                return -1;
        return init_convert(&v->convert, &r->convert, payload_unit_asks(r->unit) ? NULL : r->unit, false, key, e);
}

static int init_values(struct mqtt_decoder *d, const struct mqtt_sub_usual *u, const char **key, struct err *e)
{
        const struct mqtt_reading_conf *r = u->readings;

        d->n_values = u->n_readings;
        BUG_ON(d->n_values > MQTT_READINGS_MAX);
        d->value = mem_alloc((d->n_values + 1) * sizeof(*d->value));
        for (size_t i = 0; i < d->n_values; i++)
                if (init_value(d, &d->value[i], &r[i], key, e) < 0)
                        return -1;
        *key = "source";
        return payload_name_asks(u->source) ? payload_name_init(&d->source, &d->paths, u->source, e) : 0;
}

static int init_ref(struct mqtt_decoder *d, struct payload_ref *ref, const char *pointer, const char *which,
                    const char **key, struct err *e)
{
        *key = which;
        return pointer ? payload_ref_init(ref, &d->paths, pointer, e) : 0;
}

static int init_walk(struct mqtt_decoder *d, const struct mqtt_sub_usual *u, const char **key, struct err *e)
{
        *key = "each";
        d->walks = u->each || d->kind == MQTT_SENML;
        if (d->kind == MQTT_SENML && u->each)
                return err_set(e, "not with senml: its records are walked by themselves");
        if (d->kind == MQTT_SENML)
                return payload_senml_paths(&d->paths, e);
        return d->walks ? json_paths_walk(&d->paths, u->each, e) : 0;
}

static int init_time(struct mqtt_decoder *d, const struct mqtt_sub_conf *conf, const struct mqtt_sub_usual *u,
                     const char **key, struct err *e)
{
        if (d->kind == MQTT_SENML && conf->time) {
                *key = "time";
                return err_set(e, "not with senml: its records say it");
        }
        if (init_ref(d, &d->time_ref, u->time, "time", key, e) < 0)
                return -1;
        if (d->kind == MQTT_SENML)
                d->time_ref = (struct payload_ref){SENML_T, true};
        return payload_time_init(&d->time, u->time_format, conf->time_pattern, conf->time_zone, key, e);
}

static int init(struct mqtt_decoder *d, const struct mqtt_sub_conf *conf, const char **key, struct err *e)
{
        const struct mqtt_sub_usual u = mqtt_sub_usual(conf);

        *d = (struct mqtt_decoder){.kind = conf->payload,
                                   .n_values = 1,
                                   .time_ref = {.at = -1},
                                   .quality_ref = {.at = -1},
                                   .quality = &conf->quality};
        d->topic = conf->topic ? conf->topic : "";
        d->is_packed = conf->compressed == MQTT_GZIP;
        d->rows.most = conf->max_elements ? (size_t)conf->max_elements : MQTT_ELEMENTS_USUAL;
        d->max_bytes = MQTT_UNPACKED_USUAL;
        if (!mqtt_has_readings(conf->payload))
                return init_bare(d, conf, key, e);
        *key = "type";
        if (is_set(&conf->convert))
                return err_set(e, "how values are converted belongs to each of `readings` with this payload");
        d->asks = mqtt_sub_asks(conf);
        if (init_walk(d, &u, key, e) < 0 || init_values(d, &u, key, e) < 0 || init_time(d, conf, &u, key, e) < 0 ||
            init_ref(d, &d->quality_ref, conf->quality.value, "quality", key, e) < 0)
                return -1;
        *key = "readings";
        if (d->paths.n_slots > MQTT_SLOTS_MAX)
                return err_set(e, "more than %d different pointers", MQTT_SLOTS_MAX);
        d->found = mem_alloc((size_t)d->paths.n_slots * sizeof(*d->found) + 1);
        return 0;
}

int mqtt_decoder_init(struct mqtt_decoder *d, const struct mqtt_sub_conf *conf, struct err *e)
{
        const char *key;

        return init(d, conf, &key, e);
}

int mqtt_decoder_check(const struct mqtt_sub_conf *conf, const char **key, struct err *e)
{
        struct mqtt_decoder d;
        int r = init(&d, conf, key, e);

        mqtt_decoder_fini(&d);
        return r;
}

void mqtt_decoder_fini(struct mqtt_decoder *d)
{
        json_paths_fini(&d->paths);
        json_rows_fini(&d->rows);
        payload_texts_fini(&d->names);
        payload_time_fini(&d->time);
        convert_fini(&d->bare);
        for (size_t i = 0; d->value && i < d->n_values; i++)
                convert_fini(&d->value[i].convert);
        free(d->value);
        free(d->found);
        free(d->unescaped);
        free(d->lines);
        payload_senml_free(d->senml);
        payload_gzip_free(d->gzip);
        d->lines = NULL;
        d->senml = NULL;
        d->gzip = NULL;
        d->value = NULL;
        d->found = NULL;
        d->unescaped = NULL;
}
