/*
 * certificates: see certificates.h.
 *
 * A file that is not there or is none is nobody's fault here: who needs it says
 * so.  Of more than CERTIFICATES_MOST files the rest is not watched.
 */
#include "agent/certificates.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "drivers/mqtt/mqtt.h"

#define HOUR_US INT64_C(3600000000)
enum { PEM_MOST = 1000 };

static int64_t end_of(const X509 *x)
{
        struct tm tm = {0};

        if (!ASN1_TIME_to_tm(X509_get0_notAfter(x), &tm))
                return 0;
        return (int64_t)timegm(&tm) * 1000000;
}

/* No encrypted file may ask on the terminal. */
static int no_password(char *buf, int size, int rw, void *ctx)
{
        return 0;
}

int64_t certificate_end_us(const char *path, bool trusted)
{
        FILE *f = fopen(path, "re");
        int64_t counts_us = 0;
        X509 *x;

        if (!f)
                return 0;
        for (int n = 0; n < PEM_MOST && (x = PEM_read_X509(f, NULL, no_password, NULL)); n++) {
                int64_t end_us = end_of(x);

                if (end_us && (!counts_us || (trusted ? end_us > counts_us : end_us < counts_us)))
                        counts_us = end_us;
                X509_free(x);
        }
        ERR_clear_error();
        fclose(f);
        return counts_us;
}

/* ---- off the loop ---- */

static void run(struct rt_work *w)
{
        struct certificates *c = list_entry(w, struct certificates, work);

        for (size_t i = 0; i < c->n; i++)
                c->not_after_us[i] = certificate_end_us(c->path[i], c->trusted[i]);
}

/* ---- which ---- */

static void forget(struct certificates *c)
{
        for (size_t i = 0; i < c->n_known; i++) {
                free((char *)c->known[i].path);
                free((char *)c->known[i].user);
        }
        c->n_known = 0;
}

static void add(struct certificates *c, const char *user, const char *path, bool trusted)
{
        if (!path || !*path || c->n == CERTIFICATES_MOST)
                return;
        c->path[c->n] = mem_strdup(path);
        c->trusted[c->n] = trusted;
        c->user[c->n++] = mem_strdup(user);
}

static void add_mqtt(struct certificates *c, const struct mqtt_conf *conf)
{
        char user[TEXT_NAME_MAX + 16];

        snprintf(user, sizeof(user), "mqtt %s", conf->name);
        add(c, user, conf->ca_file, true);
        add(c, user, conf->cert_file, false);
}

static void add_kafka(struct certificates *c, const struct kafka_conf *conf)
{
        static const char *const names[] = {"ssl.ca.location=", "ssl.certificate.location="}; /* the first is trusted */

        for (size_t i = 0; i < conf->properties.n; i++) {
                const char *property = ((const char *const *)conf->properties.items)[i];

                for (size_t k = 0; k < sizeof(names) / sizeof(*names); k++)
                        if (!strncmp(property, names[k], strlen(names[k])))
                                add(c, "kafka", property + strlen(names[k]), k == 0);
        }
}

static void begin(struct certificates *c)
{
        for (size_t i = 0; i < c->conf->n_drivers; i++)
                if (c->conf->drivers[i].ops == &mqtt_ops)
                        add_mqtt(c, c->conf->drivers[i].conf);
        add_kafka(c, &c->conf->kafka);
        rt_timer_set(c->rt, &c->timer, HOUR_US);
        if (!c->n) {
                forget(c);
                return;
        }
        c->busy = true;
        rt_work_start(c->rt, &c->work);
}

static void on_done(struct rt_work *w)
{
        struct certificates *c = list_entry(w, struct certificates, work);

        c->busy = false;
        forget(c);
        for (size_t i = 0; i < c->n; i++) {
                if (c->not_after_us[i] && !c->again) {
                        c->known[c->n_known++] =
                                (struct health_certificate){c->path[i], c->user[i], c->not_after_us[i]};
                        continue;
                }
                free(c->path[i]);
                free(c->user[i]);
        }
        c->n = 0;
        if (!c->again)
                return;
        c->again = false;
        begin(c);
}

static void on_hour(struct rt_timer *t)
{
        struct certificates *c = list_entry(t, struct certificates, timer);

        if (!c->busy)
                begin(c);
}

void certificates_look(struct certificates *c, const struct config *conf)
{
        c->conf = conf;
        if (c->busy)
                c->again = true;
        else
                begin(c);
}

void certificates_init(struct certificates *c, struct rt *rt, const struct config *conf)
{
        c->rt = rt;
        c->conf = conf;
        c->timer.on_due = on_hour;
        c->work = (struct rt_work){.run = run, .on_done = on_done, .slow = true};
}

void certificates_fini(struct certificates *c)
{
        if (!c->rt)
                return;
        rt_timer_cancel(c->rt, &c->timer);
        forget(c);
        for (size_t i = 0; i < c->n && !c->busy; i++) {
                free(c->path[i]);
                free(c->user[i]);
        }
}
