/*
 * damage: the file says again and again that it can't be used.
 *
 * The daemon begins anew on purpose: what is in memory was not acknowledged,
 * and only a start can move the file aside and carry on with what is readable.
 */
#include <stdlib.h>

#include "agent/base/log.h"
#include "store/impl.h"

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
