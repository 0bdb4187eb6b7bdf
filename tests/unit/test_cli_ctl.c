/*
 * The command's end of the control socket: each way a daemon can answer, or not, has its own result and its own words.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/cli/ctl_client.h"
#include "tests/lib/temp_dir.h"

struct server {
        struct temp_dir dir;
        char path[TEMP_PATH_MAX];
        int fd;
        const char *answer; /* in two writes, so that it arrives in pieces */
        char asked[256];
        pthread_t thread;
};

static void *serve(void *arg)
{
        struct server *s = arg;
        size_t half = strlen(s->answer) / 2, at = 0;
        int fd = accept(s->fd, NULL, NULL);

        while (at < sizeof(s->asked) - 1 && !memchr(s->asked, '\n', at)) {
                ssize_t n = read(fd, s->asked + at, sizeof(s->asked) - 1 - at);

                if (n <= 0)
                        break;
                at += (size_t)n;
        }
        s->asked[at] = '\0';
        (void)!write(fd, s->answer, half);
        (void)!write(fd, s->answer + half, strlen(s->answer) - half);
        close(fd);
        return NULL;
}

static void listen_at(struct server *s)
{
        struct sockaddr_un a = {.sun_family = AF_UNIX};

        assert_true(strlen(s->path) < sizeof(a.sun_path));
        strcpy(a.sun_path, s->path);
        s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(s->fd, (struct sockaddr *)&a, sizeof(a)), 0);
        assert_int_equal(listen(s->fd, 1), 0);
}

static int setup(void **state)
{
        struct server *s = calloc(1, sizeof(*s));

        temp_dir_init(&s->dir, "ctl");
        temp_dir_path(&s->dir, "millrace.sock", s->path);
        *state = s;
        return 0;
}

static int teardown(void **state)
{
        struct server *s = *state;

        temp_dir_fini(&s->dir);
        free(s);
        return 0;
}

static int ask(const char *path, json_t **reply, struct err *e)
{
        json_t *request = json_pack("{s:s}", "cmd", "status");
        int r = ctl_ask(path, request, reply, e);

        json_decref(request);
        return r;
}

static int ask_and_hear(struct server *s, const char *answer, json_t **reply, struct err *e)
{
        int r;

        s->answer = answer;
        listen_at(s);
        assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
        r = ask(s->path, reply, e);
        pthread_join(s->thread, NULL);
        close(s->fd);
        unlink(s->path);
        return r;
}

static void test_answers(void **state)
{
        static const struct {
                const char *answer;
                int result;
                const char *said;
        } cases[] = {
                {"{\"health\":\"ok\"}\n", 0, NULL},
                {"{\"health\":\"ok\"}", 0, NULL},
                {"{\"error\":\"no room\"}\n", CTL_E_REFUSED, "no room"},
                {"", -1, "without an answer"},
                {"hello\n", -1, "no JSON object"},
                {"[1]\n", -1, "no JSON object"},
                {"{\"health\":\n", -1, "no JSON object"},
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                struct server *s = *state;
                json_t *reply = NULL;
                struct err e;

                assert_int_equal(ask_and_hear(s, cases[i].answer, &reply, &e), cases[i].result);
                assert_string_equal(s->asked, "{\"cmd\":\"status\"}\n");
                if (cases[i].said)
                        assert_non_null(strstr(e.text, cases[i].said));
                else
                        assert_string_equal(json_string_value(json_object_get(reply, "health")), "ok");
                if (cases[i].result == 0)
                        json_decref(reply);
        }
}

static void test_nobody(void **state)
{
        struct server *s = *state;
        json_t *reply;
        struct err e;

        assert_int_equal(ask(s->path, &reply, &e), CTL_E_AWAY);
        assert_non_null(strstr(e.text, s->path));
        listen_at(s);
        close(s->fd); /* a dead daemon's socket stays behind */
        assert_int_equal(ask(s->path, &reply, &e), CTL_E_AWAY);
}

/* Deeper than a socket's address is long. */
static void test_long_path(void **state)
{
        struct server *s = *state;
        char deep[256], path[512], link[300];
        json_t *reply;
        struct err e;

        snprintf(deep, sizeof(deep), "%s/%0150d", s->dir.path, 7);
        assert_int_equal(mkdir(deep, 0700), 0);
        snprintf(link, sizeof(link), "%s/millrace.sock", deep);
        assert_int_equal(symlink(s->path, link), 0);
        s->answer = "{\"health\":\"ok\"}\n";
        listen_at(s);
        assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
        assert_int_equal(ask(link, &reply, &e), 0);
        json_decref(reply);
        pthread_join(s->thread, NULL);
        close(s->fd);
        snprintf(path, sizeof(path), "%s/%0150d", deep, 8);
        assert_int_equal(ask(path, &reply, &e), -1);
        assert_non_null(strstr(e.text, "too long"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_answers, setup, teardown),
                cmocka_unit_test_setup_teardown(test_nobody, setup, teardown),
                cmocka_unit_test_setup_teardown(test_long_path, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
