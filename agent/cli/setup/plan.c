/*
 * plan: see plan.h.
 *
 * The file is written for the person who changes it later: each choice has the
 * reason beside it.  Every text from outside goes through part_text, so what
 * was typed is data and never YAML.
 *
 * Size: a plain held reading takes up to 80 bytes, and about a quarter of the
 * file is not for held readings.
 *
 * Fails: never; whether the file is right is the configuration's tables' to
 * say.
 */
#include "agent/cli/setup/plan.h"

#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/base/text.h"
#include "agent/cli/commission/broker.h"
#include "agent/cli/commission/part.h"
#include "agent/cli/commission/ranges.h"
#include "agent/cli/setup/pick.h"
#include "store/spool.h"

#define MIB           (UINT64_C(1) << 20)
#define GIB           (UINT64_C(1) << 30)
#define BYTES_READING (SPOOL_READING_BYTES / 0.9) /* a tenth the spool needs for itself */
#define SIZE_LEAST    (64 * MIB)
#define SIZE_MOST     (1024 * GIB)

/* ---- the spool ---- */

static double rate_or_usual(double rate)
{
        return rate > 0 ? rate : (double)PLAN_RATE_UNKNOWN;
}

uint64_t plan_spool_bytes(double rate, int64_t outage_us)
{
        double bytes = rate_or_usual(rate) * (double)outage_us / 1e6 * BYTES_READING;
        uint64_t step = 64 * MIB;

        if (bytes >= (double)SIZE_MOST)
                return SIZE_MOST;
        if (bytes > (double)(2 * GIB))
                step = GIB;
        if (bytes <= (double)SIZE_LEAST)
                return SIZE_LEAST;
        return ((uint64_t)bytes + step - 1) / step * step;
}

int64_t plan_outage_us(double rate, uint64_t bytes)
{
        return (int64_t)((double)bytes / BYTES_READING / rate_or_usual(rate) * 1e6);
}

static void put_size(char out[32], uint64_t bytes)
{
        if (bytes % GIB == 0)
                snprintf(out, 32, "%lluGiB", (unsigned long long)(bytes / GIB));
        else
                snprintf(out, 32, "%lluMiB", (unsigned long long)(bytes / MIB));
}

/* What was wished for, or less where the disk has no room for it. */
static void put_outage(char *out, size_t cap, const struct plan *p)
{
        const char *wish = dialogue_said(p->d, SETUP_OUTAGE);
        int64_t wish_us, lasts_us = plan_outage_us(p->rate, p->max_size_bytes);

        if (text_duration(wish, &wish_us) && wish_us <= lasts_us)
                snprintf(out, cap, "%s", wish);
        else
                text_put_duration(out, cap, lasts_us);
}

static void print_spool(FILE *f, const struct plan *p)
{
        char size[32], outage[48];

        fprintf(f, "spool:\n  path: ");
        part_text(f, p->spool_path, strlen(p->spool_path));
        fputc('\n', f);
        if (!p->max_size_bytes)
                return;
        put_size(size, p->max_size_bytes);
        put_outage(outage, sizeof(outage), p);
        fprintf(f, "  max_size: %-22s # about %s without Kafka at %.3g readings a second; a hard cap\n", size, outage,
                rate_or_usual(p->rate));
}

/* ---- Kafka ---- */

static void print_brokers(FILE *f, const char *s)
{
        fprintf(f, "kafka:\n  brokers: [");
        for (;; s++) {
                size_t len = strcspn(s, ",");

                part_text(f, s, len);
                s += len;
                if (!*s)
                        break;
                fputs(", ", f);
        }
        fprintf(f, "]\n");
}

static void put_item(FILE *f, const char *name, const char *value)
{
        char *text;

        BUG_ON(asprintf(&text, "%s%s", name, value) < 0);
        fputs("    - ", f);
        part_text(f, text, strlen(text));
        fputc('\n', f);
        free(text);
}

static void put_file(FILE *f, const struct plan *p, const char *name, enum setup_step step)
{
        if (dialogue_wants(p->d, step))
                put_item(f, name, dialogue_said(p->d, step));
}

static void print_kafka(FILE *f, const struct plan *p)
{
        const char *login = dialogue_said(p->d, SETUP_LOGIN);
        bool clear = strcmp(dialogue_said(p->d, SETUP_ENCRYPTED), "no") == 0;
        bool user = strcmp(login, "scram") == 0 || strcmp(login, "plain") == 0;

        print_brokers(f, dialogue_said(p->d, SETUP_KAFKA));
        if (!dialogue_wants(p->d, SETUP_LOGIN))
                return;
        fprintf(f, "  properties:\n");
        put_item(f, "security.protocol=", !user ? "SSL" : clear ? "SASL_PLAINTEXT" : "SASL_SSL");
        if (user) {
                put_item(f, "sasl.mechanism=", strcmp(login, "scram") == 0 ? "SCRAM-SHA-512" : "PLAIN");
                put_item(f, "sasl.username=", dialogue_said(p->d, SETUP_USER));
        }
        put_file(f, p, "ssl.ca.location=", SETUP_CA);
        put_file(f, p, "ssl.certificate.location=", SETUP_CERT);
        put_file(f, p, "ssl.key.location=", SETUP_KEY);
        if (!user || !dialogue_wants(p->d, SETUP_PASSWORD))
                return;
        fprintf(f, "  secrets:                         # or credential:kafka.password, see millrace.yaml(5)\n");
        put_item(f, "sasl.password=file:", dialogue_said(p->d, SETUP_PASSWORD));
}

/* ---- MQTT ---- */

static const char *or_null(const struct dialogue *d, enum setup_step step)
{
        return dialogue_wants(d, step) ? dialogue_said(d, step) : NULL;
}

struct mqtt_conf plan_mqtt(const struct plan *p)
{
        return (struct mqtt_conf){.url = dialogue_said(p->d, SETUP_MQTT),
                                  .username = or_null(p->d, SETUP_MQTT_USER),
                                  .password_file = or_null(p->d, SETUP_MQTT_PASSWORD),
                                  .ca_file = or_null(p->d, SETUP_MQTT_CA),
                                  .cert_file = or_null(p->d, SETUP_MQTT_CERT),
                                  .key_file = or_null(p->d, SETUP_MQTT_KEY),
                                  .protocol = p->protocol};
}

bool plan_takes(const struct plan *p, size_t i)
{
        const char *list = dialogue_said(p->d, SETUP_SUBSCRIPTIONS);
        uint8_t bits[256 / 8] = {0};

        if (strcmp(list, "all") == 0)
                return true;
        return ranges_list(list, 255, bits) && i < 255 && ranges_bit(bits, (unsigned)i + 1);
}

static void print_mqtt(FILE *f, const struct plan *p)
{
        const char *list = dialogue_said(p->d, SETUP_SUBSCRIPTIONS);
        struct mqtt_conf conf = plan_mqtt(p);

        if (!dialogue_wants(p->d, SETUP_MQTT) || !dialogue_wants(p->d, SETUP_SUBSCRIPTIONS))
                return;
        fputc('\n', f);
        broker_section(f, &conf);
        if (strchr(list, '{')) {
                fputs("      - {topic: ", f);
                part_text(f, list, strlen(list));
                fputs(", payload: number}\n", f);
        }
        for (size_t i = 0; !strchr(list, '{') && p->proposal && i < p->proposal->n; i++)
                if (plan_takes(p, i))
                        fprintf(f, "      - %s\n", p->proposal->subs[i]);
}

/* ---- Modbus ---- */

static void print_modbus(FILE *f, const struct plan *p)
{
        const char *text = dialogue_said(p->d, SETUP_PICK);
        struct pick picks[PICKS_MAX];
        size_t n = 0;

        if (!dialogue_wants(p->d, SETUP_BUS) || !p->site)
                return;
        fputc('\n', f);
        if (strcmp(text, "all") == 0 && p->search && p->search->n_slaves) {
                slaves_print(f, p->site, p->search->slaves, p->search->n_slaves);
                return;
        }
        part_bus(f, p->site);
        if (*text && picks_parse(text, picks, &n, NULL) == 0)
                picks_print(f, picks, n, "bus1");
}

void plan_print(FILE *f, const struct plan *p)
{
        fprintf(f,
                "# Made by 'millrace setup' on %s. Change what you like, then: millrace check && systemctl reload "
                "millrace\n# Every key is in millrace.yaml(5).\n\ngateway: ",
                p->day);
        part_text(f, dialogue_said(p->d, SETUP_GATEWAY), strlen(dialogue_said(p->d, SETUP_GATEWAY)));
        fprintf(f, "   # this gateway's name in every record; chosen once, then left alone\n\n");
        print_spool(f, p);
        fputc('\n', f);
        print_kafka(f, p);
        if (p->socket) {
                fprintf(f, "\ncontrol:\n  socket: ");
                part_text(f, p->socket, strlen(p->socket));
                fputc('\n', f);
        }
        print_mqtt(f, p);
        print_modbus(f, p);
}
