/*
 * setup: `millrace setup`, from an installed package to the first reading in
 * Kafka: asks, tries each answer, shows what it will do, does it once that is
 * agreed.
 *
 * What is asked next is dialogue.c's; here it is put on the screen, tries.c
 * tries, apply.c writes and makes, first.c starts and waits.  Nothing is
 * written or changed before the last question; every question has a flag.
 *
 * Fails: 1 when it is not agreed or no reading came, 2 when nobody can be asked
 * and a flag is missing, 69 when what was answered can't be reached, 78 when
 * the configuration would have faults.
 */
#include "agent/cli/setup/setup.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/cli/stop.h"

enum { LINE_ROOM = 4200 }; /* a terminal gives 4096 at most */

void setup_say(struct setup *s, const char *fmt, ...)
{
        va_list args;

        va_start(args, fmt);
        vfprintf(s->c->out.f, fmt, args);
        va_end(args);
        fputc('\n', s->c->out.f);
        fflush(s->c->out.f);
}

/* ---- the plan ---- */

char *setup_text(const struct setup *s)
{
        char *text;
        size_t len;
        FILE *f = open_memstream(&text, &len);

        BUG_ON(!f);
        plan_print(f, &s->plan);
        fclose(f);
        return text;
}

int setup_judge(struct setup *s)
{
        struct faults faults = {0};
        char *text = setup_text(s);
        int r;

        config_free(s->conf);
        s->conf = NULL;
        r = config_load_text("the new configuration", text, strlen(text), &s->conf, &faults);
        if (r < 0)
                faults_print(&faults, stderr);
        faults_fini(&faults);
        free(text);
        return r;
}

/*
 * What an old configuration says of places stays: the spool in it may hold
 * readings.  A file that nobody has touched reads nothing.
 */
static void look_at_old(struct setup *s)
{
        struct faults faults = {0};
        struct config *old = NULL;
        char *spool = NULL, *socket = NULL;
        bool is_there = access(s->c->config, F_OK) == 0;

        snprintf(s->spool_path, sizeof(s->spool_path), "/var/lib/millrace/spool.db");
        snprintf(s->socket, sizeof(s->socket), "/run/millrace/control.sock");
        s->d.facts.configured = is_there;
        if (is_there && config_load(s->c->config, &old, &faults) == 0)
                s->d.facts.configured = old->n_drivers > 0;
        if (is_there && config_places(s->c->config, &spool, &socket) == 0) {
                snprintf(s->spool_path, sizeof(s->spool_path), "%s", spool);
                snprintf(s->socket, sizeof(s->socket), "%s", socket);
        }
        if (s->c->spool) {
                snprintf(s->spool_path, sizeof(s->spool_path), "%s", s->c->spool);
                s->socket[0] = '\0';
        }
        if (old && s->d.facts.configured)
                dialogue_preset_set(&s->d, SETUP_GATEWAY, old->gateway);
        free(spool);
        free(socket);
        config_free(old);
        faults_fini(&faults);
}

static void preset_gateway(struct setup *s)
{
        char host[TEXT_NAME_MAX + 1] = "";

        if (s->d.preset[SETUP_GATEWAY])
                return;
        gethostname(host, sizeof(host) - 1);
        host[strcspn(host, ".")] = '\0';
        if (text_is_ascii_name(host, strlen(host)) && strcmp(host, "localhost") != 0)
                dialogue_preset_set(&s->d, SETUP_GATEWAY, host);
}

static void take_flags(struct setup *s)
{
        const struct cli *c = s->c;
        const char *const flags[SETUP_STEPS] = {
                [SETUP_GATEWAY] = c->gateway,
                [SETUP_KAFKA] = c->kafka,
                [SETUP_LOGIN] = c->kafka_login,
                [SETUP_USER] = c->kafka_user,
                [SETUP_PASSWORD] = c->kafka_password_file,
                [SETUP_ENCRYPTED] = c->kafka_encrypted,
                [SETUP_CA] = c->kafka_ca_file,
                [SETUP_CERT] = c->kafka_cert_file,
                [SETUP_KEY] = c->kafka_key_file,
                [SETUP_TOPICS] = c->topics,
                [SETUP_MQTT] = c->mqtt,
                [SETUP_MQTT_USER] = c->username,
                [SETUP_MQTT_PASSWORD] = c->password_file,
                [SETUP_MQTT_CA] = c->ca_file,
                [SETUP_MQTT_CERT] = c->cert_file,
                [SETUP_MQTT_KEY] = c->key_file,
                [SETUP_SUBSCRIPTIONS] = c->subscriptions,
                [SETUP_BUS] = c->bus,
                [SETUP_UNITS] = c->units,
                [SETUP_PICK] = c->pick,
                [SETUP_OUTAGE] = c->outage,
                [SETUP_REPLACE] = cli_has(c, CLI_BIT(REPLACE)) ? "yes" : NULL,
                [SETUP_SERVICE] = c->service,
                [SETUP_AGREE] = cli_has(c, CLI_BIT(YES)) ? "yes" : NULL,
        };

        memcpy(s->d.given, flags, sizeof(flags));
        s->d.facts.yes = cli_has(c, CLI_BIT(YES));
        s->d.facts.untried = cli_has(c, CLI_BIT(UNTRIED));
        s->d.facts.terminal = isatty(STDIN_FILENO);
        s->d.facts.service = access("/run/systemd/system", F_OK) == 0 && strcmp(c->config, CONFIG_DEFAULT_PATH) == 0;
}

/* ---- asking ---- */

/*
 * False: the end of the input, ^C, or the terminal is gone.  A line without its
 * end is no answer: it may be half of one.
 */
static bool read_line(char *line, size_t cap)
{
        size_t len = 0;
        char c = '\0';

        while (c != '\n') {
                if (len == cap - 1 || !stop_wait(STDIN_FILENO) || read(STDIN_FILENO, &c, 1) != 1)
                        return false;
                line[len++] = c;
        }
        while (len && strchr(" \t\r\n", line[len - 1]))
                len--;
        line[len] = '\0';
        return true;
}

static int ask(struct setup *s)
{
        const struct setup_question *q = dialogue_question(&s->d);
        const char *preset = dialogue_preset(&s->d);
        char line[LINE_ROOM];
        struct err e;

        fputc('\n', s->c->out.f);
        setup_before(s);
        if (q->help && !s->d.retrying)
                setup_say(s, "%s%s%s", out_on(&s->c->out, OUT_DIM), q->help, out_off(&s->c->out));
        fprintf(s->c->out.f, "%s%s%s%s%s%s: ", out_on(&s->c->out, OUT_BOLD), q->prompt, out_off(&s->c->out),
                preset ? " [" : "", preset ? preset : "", preset ? "]" : "");
        fflush(s->c->out.f);
        if (!read_line(line, sizeof(line))) {
                fputc('\n', s->c->out.f);
                return cli_fail(CLI_NO, "interrupted; nothing was written or changed");
        }
        if (strcmp(line, "?") == 0)
                setup_say(s, "%s Or by the flag %s.", q->help ? q->help : "", q->flag);
        else if (dialogue_answer(&s->d, line + strspn(line, " \t"), &e) < 0)
                fprintf(stderr, "millrace: %s\n", e.text);
        return CLI_OK;
}

static int talk(struct setup *s)
{
        int r = CLI_OK;

        while (r == CLI_OK) {
                const char *flag;

                switch (dialogue_next(&s->d)) {
                case DIALOGUE_ASK:
                        r = ask(s);
                        break;
                case DIALOGUE_TRY:
                        dialogue_tried(&s->d, setup_try(s));
                        if (stop_asked())
                                return cli_fail(CLI_NO, "interrupted; nothing was written or changed");
                        break;
                case DIALOGUE_MISSING:
                        flag = dialogue_question(&s->d)->flag;
                        return cli_fail(CLI_USAGE,
                                        "nobody can be asked here (no terminal): %s is needed; "
                                        "'millrace help setup' lists what it takes",
                                        flag);
                case DIALOGUE_WRONG:
                        return cli_fail(CLI_USAGE, "%s: %s", dialogue_question(&s->d)->flag, s->d.why.text);
                case DIALOGUE_FAILED:
                        return cli_fail(CLI_AWAY, "nothing was written or changed; with --untried it would be, whether "
                                                  "it can be reached or not");
                case DIALOGUE_NO:
                        return cli_fail(CLI_NO, "nothing was written or changed");
                case DIALOGUE_DONE:
                        return CLI_OK;
                }
        }
        return r;
}

static int check_rights(const struct setup *s)
{
        char folder[SETUP_PATH_MAX];

        if (strlen(s->c->config) >= sizeof(folder) - 1 || s->c->config[0] != '/')
                return cli_fail(CLI_USAGE, "--config %s: a whole path is needed", s->c->config);
        if (s->c->spool && s->c->spool[0] != '/')
                return cli_fail(CLI_USAGE, "--spool %s: a whole path is needed", s->c->spool);
        snprintf(folder, sizeof(folder), "%s", s->c->config);
        *strrchr(folder, '/') = '\0';
        if (access(folder[0] ? folder : "/", W_OK) == 0)
                return CLI_OK;
        return cli_fail(CLI_NO, "%s can't be written to%s", folder, geteuid() ? ": use sudo millrace setup" : "");
}

static int run(struct setup *s)
{
        int r = check_rights(s);

        if (r != CLI_OK)
                return r;
        look_at_old(s);
        take_flags(s);
        preset_gateway(s);
        setup_presets(s);
        s->plan = (struct plan){.d = &s->d,
                                .day = s->day,
                                .spool_path = s->spool_path,
                                .socket = s->socket[0] ? s->socket : NULL,
                                .protocol = MQTT_V5};
        r = talk(s);
        if (r != CLI_OK)
                return r;
        setup_summary(s);
        if (setup_judge(s) < 0)
                return cli_fail(CLI_CONFIG, "nothing was written or changed");
        if (s->site_open)
                site_close(&s->site);
        s->site_open = false;
        r = setup_apply(s);
        return r == CLI_OK ? setup_first(s) : r;
}

int cmd_setup(struct cli *c)
{
        struct setup *s = mem_alloc(sizeof(*s));
        char now[TEXT_TIME_MAX];
        int64_t span_us;
        int r;

        if (c->span && (!text_duration(c->span, &span_us) || span_us <= 0)) {
                free(s);
                return cli_fail(CLI_USAGE, "--for %s: a time is needed, as 10s or 1m", c->span);
        }
        s->c = c;
        text_put_time(now, c->now_us);
        snprintf(s->day, sizeof(s->day), "%.10s", now);
        stop_arm();
        r = run(s);
        setup_tries_fini(s);
        config_free(s->conf);
        dialogue_fini(&s->d);
        free(s);
        return r;
}
