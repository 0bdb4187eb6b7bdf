/*
 * replay: recordings of all kinds against what is written down; see replay.h.
 *
 * usage: replay [--write] RECORDING...
 *
 * The kind is the folder's name, or that of the file up to its first - or dot;
 * what is expected lies beside it.  --write makes that file of what comes out
 * now, for a person to read and to commit; not where another program has it
 * from the bytes, which is the better half of such a test.
 *
 * Fails with the first line that differs, and when nothing was in a recording:
 * a test over nothing shows nothing.
 */
#include "replay.h"

#include <stdlib.h>
#include <string.h>

#include "agent/base/text.h"

#define DECLARE(kind) extern const struct replay replay_##kind;
REPLAYS_EACH(DECLARE)

#define ROW(kind) {#kind, &replay_##kind},
static const struct kind {
        const char *name;
        const struct replay *replay;
} kinds[] = {REPLAYS_EACH(ROW)};

static const char *path; /* of the recording that is looked at */

void replay_check(bool good, const char *what)
{
        if (good)
                return;
        fprintf(stderr, "%s: %s\n", path, what);
        exit(1);
}

void replay_put_value(FILE *out, const struct reading *r)
{
        char number[TEXT_DOUBLE_MAX];

        switch (r->type) {
        case READING_F64:
                fprintf(out, " %.*s", (int)text_put_double(number, r->v.f64), number);
                break;
        case READING_I64:
                fprintf(out, " int %.*s", (int)text_put_i64(number, r->v.i64), number);
                break;
        case READING_BOOL:
                fputs(r->v.b ? " true" : " false", out);
                break;
        case READING_TEXT:
                fprintf(out, " '%.*s'", (int)r->len, r->v.text);
                break;
        case READING_RAW:
                fputs(" raw ", out);
                for (uint32_t i = 0; i < r->len; i++)
                        fprintf(out, "%02x", (unsigned char)r->v.text[i]);
                break;
        default:
                fputs(" -", out);
        }
}

void replay_put_quality(FILE *out, const struct reading *r)
{
        const char *why = quality_reason(r->quality);

        fprintf(out, "%s%s%s", quality_name(r->quality), why ? "/" : "", why ? why : "");
}

/* ---- files ---- */

struct text {
        char *p;
        size_t len;
};

static struct text read_file(const char *name)
{
        FILE *in = fopen(name, "rb");
        struct text t = {NULL, 0};
        long size = -1;

        replay_check(in && fseek(in, 0, SEEK_END) == 0 && (size = ftell(in)) >= 0, "can't be read, or its .expected");
        rewind(in);
        t.p = calloc(1, (size_t)size + 1);
        replay_check(t.p != NULL, "too large");
        t.len = fread(t.p, 1, (size_t)size, in);
        fclose(in);
        return t;
}

static const char *base_of(const char *p)
{
        const char *slash = strrchr(p, '/');

        return slash ? slash + 1 : p;
}

static bool is_named(const char *name, size_t len, const struct kind *k)
{
        return strlen(k->name) == len && strncmp(name, k->name, len) == 0;
}

static const struct replay *kind_of(const char *p)
{
        const char *base = base_of(p), *folder = base > p ? base - 1 : p;

        while (folder > p && folder[-1] != '/')
                folder--;
        for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
                if (base > p && is_named(folder, (size_t)(base - 1 - folder), &kinds[i]))
                        return kinds[i].replay;
        for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
                if (is_named(base, strcspn(base, "-."), &kinds[i]))
                        return kinds[i].replay;
        return NULL;
}

/* ---- one recording ---- */

static struct text run(const struct replay *r, struct replay_input *in)
{
        struct text got = {NULL, 0};
        FILE *out = open_memstream(&got.p, &got.len);

        replay_check(out != NULL, "no memory");
        replay_check(r->run(in, out) > 0, "nothing in it");
        fclose(out);
        return got;
}

/* The first line that differs, for people. */
static void compare(const struct text *got, const struct text *expected, size_t piece)
{
        size_t i = 0, line = 1, from = 0;

        for (; i < got->len && i < expected->len && got->p[i] == expected->p[i]; i++) {
                if (got->p[i] == '\n') {
                        line++;
                        from = i + 1;
                }
        }
        if (i == got->len && i == expected->len)
                return;
        fprintf(stderr, "%s, pieces of %zu bytes, line %zu\nexpected: %.*s\nfound:    %.*s\n", path, piece, line,
                (int)strcspn(expected->p + from, "\n"), expected->p + from, (int)strcspn(got->p + from, "\n"),
                got->p + from);
        exit(1);
}

static void write_expected(const char *name, const struct replay *r, const struct text *got)
{
        FILE *out;

        if (r->expected_by) {
                fprintf(stderr, "%s is written by tests/replay/%s, which has it from the bytes\n", name,
                        r->expected_by);
                exit(1);
        }
        out = fopen(name, "wb");
        replay_check(out && fwrite(got->p, 1, got->len, out) == got->len && fclose(out) == 0,
                     "its .expected can't be written");
}

static void replay_one(bool writes)
{
        static const size_t pieces[] = {1 << 30, 7, 1};
        const char *base = base_of(path);
        int stem = (int)strcspn(base, ".");
        char expected_path[4096], name[256];
        const struct replay *r = kind_of(path);
        struct text bytes, got, expected = {NULL, 0};
        struct replay_input in = {.name = name};

        replay_check(r != NULL, "neither its folder nor its name begins with a kind");
        snprintf(name, sizeof(name), "%.*s", stem, base);
        snprintf(expected_path, sizeof(expected_path), "%.*s%s.expected", (int)(base - path), path, name);
        bytes = read_file(path);
        if (!writes)
                expected = read_file(expected_path);
        in.bytes = bytes.p;
        in.len = bytes.len;
        for (size_t i = 0; i < (r->in_pieces ? 3 : 1); i++) {
                in.piece = pieces[i];
                got = run(r, &in);
                if (expected.p) {
                        compare(&got, &expected, in.piece);
                        free(got.p);
                        continue;
                }
                write_expected(expected_path, r, &got);
                expected = got; /* the smaller pieces are to give the same */
        }
        free(bytes.p);
        free(expected.p);
}

int main(int argc, char **argv)
{
        bool writes = argc > 1 && strcmp(argv[1], "--write") == 0;

        if (argc < 2 + writes) {
                fprintf(stderr, "usage: replay [--write] RECORDING...\n");
                return 2;
        }
        for (int i = 1 + writes; i < argc; i++) {
                path = argv[i];
                replay_one(writes);
        }
        return 0;
}
