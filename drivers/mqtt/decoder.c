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

bool mqtt_sub_asks(const struct mqtt_sub_conf *c)
{
        const struct mqtt_reading_conf *r = c->readings.items;
        bool asks = payload_name_asks(c->source);

        for (size_t i = 0; i < c->readings.n; i++)
                asks = asks || payload_name_asks(r[i].tag) || payload_unit_asks(r[i].unit);
        return asks;
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
        return payload_unit_asks(r->unit) ? payload_name_init(&v->unit, &d->paths, r->unit, e) : 0;
}

static int init_values(struct mqtt_decoder *d, const struct mqtt_sub_conf *conf, const char **key, struct err *e)
{
        const struct mqtt_reading_conf *r = conf->readings.items;

        d->asks = mqtt_sub_asks(conf);
        d->n_values = conf->readings.n;
        BUG_ON(d->n_values > MQTT_READINGS_MAX);
        d->value = mem_alloc((d->n_values + 1) * sizeof(*d->value));
        for (size_t i = 0; i < d->n_values; i++)
                if (init_value(d, &d->value[i], &r[i], key, e) < 0)
                        return -1;
        *key = "source";
        return payload_name_asks(conf->source) ? payload_name_init(&d->source, &d->paths, conf->source, e) : 0;
}

static int init_ref(struct mqtt_decoder *d, struct payload_ref *ref, const char *pointer, const char *which,
                    const char **key, struct err *e)
{
        *key = which;
        return pointer ? payload_ref_init(ref, &d->paths, pointer, e) : 0;
}

static int init_walk(struct mqtt_decoder *d, const struct mqtt_sub_conf *conf, const char **key, struct err *e)
{
        *key = "each";
        d->walks = conf->each != NULL;
        d->rows.most = conf->max_elements ? (size_t)conf->max_elements : MQTT_ELEMENTS_USUAL;
        return d->walks ? json_paths_walk(&d->paths, conf->each, e) : 0;
}

static int init(struct mqtt_decoder *d, const struct mqtt_sub_conf *conf, const char **key, struct err *e)
{
        *d = (struct mqtt_decoder){.kind = conf->payload,
                                   .n_values = 1,
                                   .time_ref = {.at = -1},
                                   .quality_ref = {.at = -1},
                                   .quality = &conf->quality};
        if (conf->payload != MQTT_JSON)
                return 0;
        if (init_walk(d, conf, key, e) < 0 || init_values(d, conf, key, e) < 0 ||
            init_ref(d, &d->time_ref, conf->time, "time", key, e) < 0 ||
            init_ref(d, &d->quality_ref, conf->quality.value, "quality", key, e) < 0 ||
            payload_time_init(&d->time, conf->time_format, conf->time_pattern, conf->time_zone, key, e) < 0)
                return -1;
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
        free(d->value);
        free(d->found);
        free(d->unescaped);
        d->value = NULL;
        d->found = NULL;
        d->unescaped = NULL;
}
