/*
 * main: `millrace-page`, a program of its own beside the daemon.
 *
 * Why its own: what listens for browsers is not in the process that carries the
 * readings.  It asks over the control socket and reads the spool's file like
 * any other command; the daemon does not know of it.
 *
 *   millrace-page [--config FILE] [--listen ADDRESS]     serves
 *   millrace-page user add|remove|list …                 who may log in
 *   millrace-page cert CERTIFICATE KEY NAME…             a certificate of its own
 *
 * How it fails: a sentence and an exit status as millrace's. SIGTERM ends it at
 * once: it has nothing to lose.
 */
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "agent/config/config.h"
#include "agent/page/cert.h"
#include "agent/page/http.h"
#include "agent/page/users.h"

enum { OK = 0, NO = 1, USAGE = 2, AWAY = 69, CONFIG = 78 };

#define DEFAULT_LISTEN "127.0.0.1:8420"

static int usage(FILE *f, int code)
{
        fputs("Usage: millrace-page [--config FILE] [--listen ADDRESS]\n"
              "       millrace-page [--config FILE] user add NAME --role view|operate\n"
              "       millrace-page [--config FILE] user remove NAME\n"
              "       millrace-page [--config FILE] user list\n"
              "       millrace-page cert CERTIFICATE KEY NAME…\n"
              "       millrace-page [--config FILE] open\n\n"
              "Serves the page of a millrace gateway for browsers. Without `page:` in the configuration it listens "
              "on\n" DEFAULT_LISTEN
              ": there one may look without a password; acting needs a user. A password is asked for,\n"
              "or read from standard input. `cert` writes a certificate for these names and addresses, signed by its\n"
              "own key, for ten years. `open` prints the page's address.\n\n"
              "  -c, --config FILE   the configuration (default: " CONFIG_DEFAULT_PATH ")\n"
              "  -l, --listen WHERE  instead of page.listen\n"
              "  -h, --help          this text\n"
              "      --version\n\n"
              "Exit status: 0 done, 1 the answer is no, 2 wrong usage, 69 the address can't be had, 78 wrong "
              "configuration.\n",
              f);
        return code;
}

static int fail(int code, const char *text)
{
        fprintf(stderr, "millrace-page: %s\n", text);
        return code;
}

/* ---- users ---- */

/* Without its echo on a terminal. False: none. */
static bool ask_password(char *out, size_t cap)
{
        struct termios was, quiet;
        bool terminal = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &was) == 0, fine;

        if (terminal) {
                quiet = was;
                quiet.c_lflag &= ~(tcflag_t)ECHO;
                fputs("Password: ", stderr);
                tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
        }
        fine = fgets(out, (int)cap, stdin) != NULL;
        if (terminal) {
                tcsetattr(STDIN_FILENO, TCSAFLUSH, &was);
                fputc('\n', stderr);
        }
        if (fine)
                out[strcspn(out, "\r\n")] = '\0';
        return fine;
}

static int add_user(const char *path, const char *name, const char *role)
{
        char password[USERS_PASSWORD_MAX + 2];
        struct err e;
        int r;

        if (!role || (strcmp(role, "view") != 0 && strcmp(role, "operate") != 0))
                return fail(USAGE, "--role view or --role operate is wanted");
        if (!users_name_is_right(name))
                return fail(USAGE, "a user's name is 1 to 64 letters and digits, _ - . or @");
        if (!ask_password(password, sizeof(password)) || strlen(password) < USERS_PASSWORD_MIN)
                return fail(NO, "a password has at least eight characters");
        r = users_set(path, name, strcmp(role, "operate") == 0, password, &e);
        explicit_bzero(password, sizeof(password));
        return r < 0 ? fail(AWAY, e.text) : OK;
}

static void print_user(void *ctx, const struct user *u)
{
        printf("%s\t%s\n", u->name, u->operate ? "operate" : "view");
}

static int user_command(const char *path, char **words, int n, const char *role)
{
        struct err e;
        int r;

        if (n == 1 && strcmp(words[0], "list") == 0)
                return users_each(path, print_user, NULL, &e) < 0 ? fail(AWAY, e.text) : OK;
        if (n == 2 && strcmp(words[0], "add") == 0)
                return add_user(path, words[1], role);
        if (n != 2 || strcmp(words[0], "remove") != 0)
                return usage(stderr, USAGE);
        r = users_remove(path, words[1], &e);
        return r < 0 ? fail(AWAY, e.text) : r ? fail(NO, "there is no such user") : OK;
}

/* ---- serving ---- */

/* `millrace`: beside this program, or one folder up in a build. */
static char *find_program(void)
{
        static char path[PATH_MAX + 32];
        static const char *const places[] = {"millrace", "../millrace"};
        char here[PATH_MAX];
        ssize_t n = readlink("/proc/self/exe", here, sizeof(here) - 1);

        if (n <= 0)
                return NULL;
        here[n] = '\0';
        *strrchr(here, '/') = '\0';
        for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
                snprintf(path, sizeof(path), "%s/%s", here, places[i]);
                if (access(path, X_OK) == 0)
                        return path;
        }
        return NULL;
}

static char *read_pem(const char *path, struct err *e)
{
        enum { MOST = 1 << 20 };
        FILE *f = path ? fopen(path, "re") : NULL;
        char *text;
        size_t n;

        if (!path)
                return NULL;
        if (!f) {
                err_errno(e, "%s can't be read", path);
                return NULL;
        }
        text = mem_alloc(MOST);
        n = fread(text, 1, MOST - 1, f);
        text[n] = '\0';
        fclose(f);
        return text;
}

/* Until somebody wants it to end; there is nothing to put away. */
static int wait_for_end(void)
{
        sigset_t set;
        int no;

        sigemptyset(&set);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGINT);
        sigwait(&set, &no);
        _exit(OK);
}

/* Before there are threads, which have them blocked then, too. */
static void block_signals(void)
{
        sigset_t set;

        sigemptyset(&set);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGINT);
        sigprocmask(SIG_BLOCK, &set, NULL);
        signal(SIGPIPE, SIG_IGN);
}

static int serve(const struct config *c, const char *path, const char *listen)
{
        static struct http_conf conf;
        struct err e = {""};

        conf = (struct http_conf){.asks = {.config = mem_strdup(path),
                                           .spool = mem_strdup(c->spool.path),
                                           .socket = mem_strdup(c->control_socket),
                                           .program = find_program()},
                                  .gateway = mem_strdup(c->gateway),
                                  .listen = mem_strdup(listen),
                                  .users = mem_strdup(c->page.users),
                                  .certificate = read_pem(c->page.certificate, &e),
                                  .key = read_pem(c->page.key, &e)};
        if (*e.text)
                return fail(CONFIG, e.text);
        if (!conf.asks.program)
                return fail(AWAY, "millrace is not beside this program");
        block_signals();
        if (http_start(&conf, &e) < 0)
                return fail(AWAY, e.text);
        log_notice("page", "answers at %s%s", conf.certificate ? "https://" : *listen == 'u' ? "" : "http://", listen);
        return wait_for_end();
}

static int with_config(const char *path, const char *listen, const char *role, char **words, int n)
{
        struct faults faults = {0};
        struct config *c;
        int r;

        if (config_load(path, &c, &faults) < 0) {
                faults_print(&faults, stderr);
                return CONFIG;
        }
        if (!listen)
                listen = c->page.listen ? c->page.listen : DEFAULT_LISTEN;
        if (n && strcmp(words[0], "user") == 0) {
                r = user_command(c->page.users, words + 1, n - 1, role);
        } else if (n == 1 && strcmp(words[0], "open") == 0) {
                printf("%s%s/\n", c->page.certificate ? "https://" : "http://", listen);
                r = OK;
        } else {
                r = n ? usage(stderr, USAGE) : serve(c, path, listen);
        }
        config_free(c);
        return r;
}

int main(int argc, char **argv)
{
        static const struct option options[] = {
                {"config", required_argument, NULL, 'c'}, {"listen", required_argument, NULL, 'l'},
                {"role", required_argument, NULL, 'r'},   {"help", no_argument, NULL, 'h'},
                {"version", no_argument, NULL, 'v'},      {NULL, 0, NULL, 0}};
        const char *path = CONFIG_DEFAULT_PATH, *listen = NULL, *role = NULL;
        int option;

        log_init(LOG_INFO);
        while ((option = getopt_long(argc, argv, "c:l:h", options, NULL)) != -1) {
                switch (option) {
                case 'c':
                        path = optarg;
                        break;
                case 'l':
                        listen = optarg;
                        break;
                case 'r':
                        role = optarg;
                        break;
                case 'h':
                        return usage(stdout, OK);
                case 'v':
                        printf("millrace-page %s\n", MILLRACE_VERSION);
                        return OK;
                default:
                        return USAGE;
                }
        }
        if (optind < argc && strcmp(argv[optind], "cert") == 0)
                return cert_command(argv + optind + 1, argc - optind - 1);
        return with_config(path, listen, role, argv + optind, argc - optind);
}
