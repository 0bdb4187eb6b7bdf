/*
 * users: see users.h.
 *
 * libcrypt's yescrypt, the same as the system's own passwords.  The file is
 * small and read at each log-in, so that a user who was taken out is out.  How
 * it fails: a file that is not there is one without users; one that can't be
 * read is told; a line that is none is passed over.
 */
#include "agent/page/users.h"

#include <crypt.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/text.h"
#include "agent/page/guard.h"

bool users_name_is_right(const char *name)
{
        size_t n = strlen(name);

        return n >= 1 && n <= USERS_NAME &&
               strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.@") == n;
}

static bool read_line(char *line, struct user *u)
{
        char *role = strchr(line, ':'), *hash = role ? strchr(role + 1, ':') : NULL;

        if (!hash || *line == '#')
                return false;
        *role++ = *hash++ = '\0';
        hash[strcspn(hash, "\r\n")] = '\0';
        if (!users_name_is_right(line) || strlen(hash) >= sizeof(u->hash) || *hash != '$')
                return false;
        u->operate = strcmp(role, "operate") == 0;
        text_copy(u->name, sizeof(u->name), line);
        text_copy(u->hash, sizeof(u->hash), hash);
        return u->operate || strcmp(role, "view") == 0;
}

int users_each(const char *path, void (*each)(void *ctx, const struct user *u), void *ctx, struct err *e)
{
        FILE *f = fopen(path, "re");
        char line[1024];
        struct user u;

        if (!f)
                return errno == ENOENT ? 0 : err_errno(e, "%s can't be read", path);
        while (fgets(line, sizeof(line), f))
                if (read_line(line, &u))
                        each(ctx, &u);
        fclose(f);
        return 0;
}

struct search {
        const char *name;
        struct user *out;
        bool found;
};

static void on_user(void *ctx, const struct user *u)
{
        struct search *s = ctx;

        if (strcmp(u->name, s->name) != 0)
                return;
        *s->out = *u;
        s->found = true;
}

int users_find(const char *path, const char *name, struct user *out, struct err *e)
{
        struct search s = {name, out, false};

        if (users_each(path, on_user, &s, e) < 0)
                return -1;
        return s.found ? 0 : 1;
}

bool users_password_is(const struct user *u, const char *password)
{
        static const char nobody[] = "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7";
        struct crypt_data *data = calloc(1, sizeof(*data));
        const char *made = data ? crypt_r(password, u ? u->hash : nobody, data) : NULL;
        bool right = made && *made == '$' && u && guard_same(made, u->hash);

        if (data)
                explicit_bzero(data, sizeof(*data));
        free(data);
        return right;
}

/* ---- changing it ---- */

struct rewrite {
        FILE *f;
        const char *without;
        bool left_out;
        struct user was;
};

static void keep(void *ctx, const struct user *u)
{
        struct rewrite *r = ctx;

        if (strcmp(u->name, r->without) == 0) {
                r->left_out = true;
                r->was = *u;
                return;
        }
        fprintf(r->f, "%s:%s:%s\n", u->name, u->operate ? "operate" : "view", u->hash);
}

static int begin(struct rewrite *r, const char *path, char *beside, size_t cap, struct err *e)
{
        int fd;

        snprintf(beside, cap, "%s.new", path);
        fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
        r->f = fd < 0 ? NULL : fdopen(fd, "w");
        if (!r->f)
                return err_errno(e, "%s can't be written", beside);
        fputs("# Who may log in at millrace-page; written by millrace-page user.\n", r->f);
        return users_each(path, keep, r, e);
}

/* The page runs in it, and root makes its users. */
static gid_t group_of_service(void)
{
        const struct group *g = getgrnam("millrace");

        return g ? g->gr_gid : 0;
}

/* Its owner and group stay those of the file before. */
static int end(struct rewrite *r, const char *path, const char *beside, struct err *e)
{
        struct stat before;
        bool bad = fflush(r->f) || fsync(fileno(r->f));

        if (!bad && stat(path, &before) == 0)
                bad = fchown(fileno(r->f), before.st_uid, before.st_gid) < 0;
        else if (!bad && geteuid() == 0)
                bad = fchown(fileno(r->f), 0, group_of_service()) < 0;
        bad = fclose(r->f) != 0 || bad;
        if (!bad && rename(beside, path) == 0)
                return 0;
        err_errno(e, "%s can't be written", path);
        unlink(beside);
        return -1;
}

static int make_hash(const char *password, char *out, size_t cap, struct err *e)
{
        struct crypt_data *data = calloc(1, sizeof(*data));
        char salt[CRYPT_GENSALT_OUTPUT_SIZE];
        const char *made = NULL;
        bool fine;

        if (data && crypt_gensalt_rn("$y$", 0, NULL, 0, salt, sizeof(salt)))
                made = crypt_r(password, salt, data);
        fine = made && *made == '$';
        if (fine)
                text_copy(out, cap, made);
        free(data);
        return fine ? 0 : err_set(e, "the password can't be hashed: libcrypt has no yescrypt");
}

int users_set(const char *path, const char *name, bool operate, const char *password, struct err *e)
{
        struct rewrite r = {.without = name};
        char beside[512], hash[sizeof(r.was.hash)] = "";

        if (password && make_hash(password, hash, sizeof(hash), e) < 0)
                return -1;
        if (begin(&r, path, beside, sizeof(beside), e) < 0) {
                if (r.f)
                        fclose(r.f);
                return -1;
        }
        fprintf(r.f, "%s:%s:%s\n", name, operate ? "operate" : "view", password ? hash : r.was.hash);
        return end(&r, path, beside, e);
}

int users_remove(const char *path, const char *name, struct err *e)
{
        struct rewrite r = {.without = name};
        char beside[512];

        if (begin(&r, path, beside, sizeof(beside), e) < 0) {
                if (r.f)
                        fclose(r.f);
                return -1;
        }
        if (!r.left_out) {
                fclose(r.f);
                unlink(beside);
                return 1;
        }
        return end(&r, path, beside, e);
}
