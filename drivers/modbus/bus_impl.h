/*
 * bus_impl: what bus.c (whose turn, the port) and answers.c (what came) share.
 */
#ifndef MILLRACE_DRIVERS_MODBUS_BUS_IMPL_H
#define MILLRACE_DRIVERS_MODBUS_BUS_IMPL_H

#include <stdarg.h>

#include "drivers/modbus/ascii.h"
#include "drivers/modbus/bus.h"
#include "drivers/modbus/schedule.h"

struct modbus_slot {
        bool used;
        uint16_t transaction;
        uint8_t unit, function;
        size_t read, n_bytes;
        int64_t sent_us, deadline_us;
        int64_t idle_us; /* nothing had been heard for so long when it was sent */
};

/* Of one read. */
struct modbus_said {
        uint8_t quality; /* enum quality: what was told last; 0: nothing yet */
        bool was_lost;   /* the connection was closed when it was asked; not answered since */
        bool worked;     /* as it is now it has been answered */
        bool refused;    /* as it is now it was refused, and can't be made smaller */
};

/* Of a read that was split, see parts.c. */
struct modbus_parts {
        bool split, trial, whole; /* it is in parts; all is asked at once for a trial; parts would not help */
        int64_t join_us, pause_us;
};

struct modbus_bus {
        const struct modbus_conf *conf;
        struct modbus_plan *plan;
        struct modbus_outcome outcome;
        struct modbus_schedule schedule;
        struct modbus_slot slots[MODBUS_IN_FLIGHT_MAX];
        struct modbus_said *said;   /* by read */
        struct modbus_parts *parts; /* by family */
        bool tcp;                   /* the framing */
        bool in_ascii;
        bool socket; /* the port */
        bool open, paused;
        bool connected;  /* false while open: the other side has closed, nobody has asked since */
        unsigned n_lost; /* connections that were closed on a request, in a row, without an answer between */
        uint16_t transaction;
        int64_t char_ns, silence_us;
        int64_t quiet_us;           /* serial: the line has been quiet long enough then */
        int64_t ready_us;           /* the pause after an answer is over then */
        int64_t noisy_since_us;     /* serial: something is due, but the line is not quiet; 0: no */
        int64_t heard_us, asked_us; /* the last bytes; the first request since */
        struct modbus_rtu rtu;
        struct modbus_ascii ascii;
        struct modbus_tcp mbap;
        struct modbus_counts counts;
        uint8_t asked[MODBUS_RTU_MAX]; /* serial: the last request, which may come back as an echo */
        size_t n_asked;
        struct {
                char text[200]; /* what came last that is not the answer, and what it may mean */
                int64_t at_us;
                unsigned answers, wrong; /* lately; of them with a wrong checksum */
        } odd;
        const char *why;
};

/*
 * Ends a request; `why` when it was not answered. true: it will not be
 * repeated.
 */
bool modbus_bus_finish(struct modbus_bus *b, struct modbus_slot *s, enum modbus_answer answer, int64_t now_us,
                       const char *why);
void modbus_bus_tell_odd(struct modbus_bus *b, size_t read, const char *why);
void modbus_bus_tell_bad(struct modbus_bus *b, size_t read, enum quality quality, const char *why);

/* ---- odd.c: what came that is not the answer ---- */

void modbus_odd_say(struct modbus_bus *b, int64_t now_us, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
const char *modbus_odd_why(const struct modbus_bus *b, const struct modbus_slot *s);
void modbus_odd_answer(struct modbus_bus *b, bool crc_right);
/* `s`: the request it came for; NULL: there is none. */
void modbus_odd_mismatch(struct modbus_bus *b, const struct modbus_slot *s, unsigned unit, const uint8_t *pdu,
                         size_t len, int64_t now_us);
void modbus_odd_transaction(struct modbus_bus *b, const struct modbus_frame *f, int64_t now_us);
/* All that is still there when its time is over; it is thrown away. */
void modbus_odd_rest(struct modbus_bus *b, const struct modbus_slot *s, int64_t now_us);
/* All that came on a serial line but the answer. */
void modbus_odd_serial(struct modbus_bus *b, const struct modbus_slot *s, const uint8_t *p, size_t n, int64_t now_us);

/* What a read that failed says about the registers in it. */
enum modbus_refusal {
        MODBUS_AWAY,   /* nothing */
        MODBUS_MUTE,   /* no answer: perhaps something */
        MODBUS_REFUSED /* it is not had like this */
};

/*
 * A read failed, repeats included: it is tried in parts, or its tags are bad.
 */
void modbus_parts_failed(struct modbus_bus *b, size_t read, enum modbus_refusal how, enum quality quality,
                         const char *why, int64_t now_us);
void modbus_parts_worked(struct modbus_bus *b, size_t read);
/* Its turn has come: it may be time to try all of its family at once. */
void modbus_parts_turn(struct modbus_bus *b, size_t read, int64_t now_us);
/* Trials end; SIZE_MAX: on all devices. */
void modbus_parts_settle(struct modbus_bus *b, size_t device, int64_t now_us);
/* A device is back: what was split because it was silent is one again. */
void modbus_parts_back(struct modbus_bus *b, size_t device, int64_t now_us);

#endif
