/*
 * damage: the file says again and again that it can't be used.
 *
 * The daemon begins anew on purpose: what is in memory was not acknowledged,
 * and only a start can move the file aside and carry on with what is readable.
 */
#include <stdlib.h>

#include "agent/base/log.h"
#include "store/impl.h"

static bool is_damage(int rc)
{
        return (rc & 0xff) == SQLITE_CORRUPT || (rc & 0xff) == SQLITE_NOTADB;
}

int spool_unreadable(struct spool *s, int rc, const char *sql, const char *what, struct err *e)
{
        sqlite3_stmt *st = NULL;

        err_set(e, "spool %s: %s cannot be read: %s", s->conf.path, what, sqlite3_errmsg(s->db.conn));
        if (!is_damage(rc))
                return -1;
        rc = sqlite3_prepare_v2(s->reader, sql, -1, &st, NULL);
        while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW)
                rc = SQLITE_OK;
        sqlite3_finalize(st);
        s->damaged = is_damage(rc) && spool_rescue_can_read(s->conf.path);
        if (s->damaged)
                spool_rescue_mark(s->conf.path);
        return -1;
}

bool spool_is_damaged(const struct spool *s)
{
        return s->damaged;
}

enum { DAMAGED_MAX = 4 };

/*
 * Begins anew when the file answers wrongly time and again (once may be a
 * failing read): the next start finds the mark, moves the file aside and goes
 * on.
 */
void spool_note_damage(struct spool *s, int *in_a_row, bool damaged)
{
        *in_a_row = damaged ? *in_a_row + 1 : 0;
        if (*in_a_row < DAMAGED_MAX)
                return;
        spool_rescue_mark(s->conf.path);
        log_error("spool", "%s is damaged (%s); beginning anew to rescue it", s->conf.path,
                  s->result.damaged ? s->result.fault : "it cannot be read");
        if (s->up.on_damaged)
                s->up.on_damaged(s->up.ctx);
        abort();
}
