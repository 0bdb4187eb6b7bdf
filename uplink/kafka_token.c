/*
 * kafka_token: gives librdkafka a token when it wants one (see kafka_impl.h).
 *
 * It asks when it starts and when four fifths of a token's time are over, on
 * idle connections too.  It is answered on its background thread, as having a
 * token may take seconds; nobody but what waits for the token waits for that.
 *
 * How it fails: librdkafka is told why, raises an error event of
 * authentication, which kafka_refused_words puts in words, and asks again after
 * ten seconds.  The token before that is used as long as it is good.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "uplink/kafka_impl.h"

static int64_t wall_us(void)
{
        struct timespec now;

        clock_gettime(CLOCK_REALTIME, &now);
        return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void on_wanted(rd_kafka_t *rk, const char *config, void *opaque)
{
        const struct kafka_shared *shared = opaque;
        struct token *t = mem_alloc(sizeof(*t));
        char text[300];
        struct err e;

        if (token_fetch(shared->token, wall_us(), t, &e) < 0)
                rd_kafka_oauthbearer_set_token_failure(rk, e.text);
        else if (rd_kafka_oauthbearer_set_token(rk, t->text, t->until_us / 1000, t->who, NULL, 0, text, sizeof(text)))
                rd_kafka_oauthbearer_set_token_failure(rk, text);
        explicit_bzero(t, sizeof(*t));
        free(t);
}

int kafka_token_set(struct kafka_setup *s, const struct token_conf *conf, struct err *e)
{
        static const char *const with_it[][2] = {{"security.protocol", "sasl_ssl"}, {"sasl.mechanism", "OAUTHBEARER"}};
        char text[200];

        s->shared->token = token_source_new(conf);
        if (!s->shared->token)
                return 0;
        for (size_t i = 0; i < sizeof(with_it) / sizeof(*with_it); i++)
                if (rd_kafka_conf_set(s->conf, with_it[i][0], with_it[i][1], text, sizeof(text)))
                        return err_set(e, "kafka: token: %s", text);
        rd_kafka_conf_set_opaque(s->conf, s->shared);
        rd_kafka_conf_set_oauthbearer_token_refresh_cb(s->conf, on_wanted);
        rd_kafka_conf_enable_sasl_queue(s->conf, 1);
        return 0;
}

int kafka_token_serve(rd_kafka_t *rk, const struct kafka_setup *s, struct err *e)
{
        rd_kafka_error_t *error = s->shared->token ? rd_kafka_sasl_background_callbacks_enable(rk) : NULL;

        if (!error)
                return 0;
        err_set(e, "kafka: token: %s", rd_kafka_error_string(error));
        rd_kafka_error_destroy(error);
        return -1;
}
