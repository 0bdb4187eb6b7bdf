/*
 * overhear: the talk of a foreign master with its slaves on an RTU line ->
 * pairs of a read request and its answer.  A pure state machine, no allocation:
 * bytes and the time go in, what was overheard comes out.
 *
 * The caller's circle: give in what came (at most MODBUS_OVERHEAR_PUSH bytes),
 * then ask modbus_overhear_next until it says false; come back when bytes come
 * or modbus_overhear_due is reached, having read all bytes that are there.
 */
#ifndef MILLRACE_DRIVERS_MODBUS_OVERHEAR_H
#define MILLRACE_DRIVERS_MODBUS_OVERHEAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MODBUS_OVERHEAR_PUSH = 512, MODBUS_OVERHEAR_BUF = 1024, MODBUS_OVERHEAR_LATE = 8, MODBUS_OVERHEAR_KNOWN = 64 };

struct modbus_overheard_request {
        uint8_t unit, function; /* 1 to 4 */
        uint16_t address, count;
        int64_t at_us; /* when its last byte came */
};

enum modbus_overheard_kind {
        MODBUS_HEARD_PAIR,      /* `data`: of the answer, borrowed until bytes are given in */
        MODBUS_HEARD_EXCEPTION, /* `exception` */
        MODBUS_HEARD_NO_ANSWER, /* or none that can be told to be the answer */
};

struct modbus_overheard {
        enum modbus_overheard_kind kind;
        struct modbus_overheard_request request;
        const uint8_t *data;
        uint8_t exception;
        int64_t at_us; /* when the answer's last byte came */
};

struct modbus_overhear_counts {
        uint64_t requests, pairs, exceptions, unanswered;
        uint64_t doubtful;      /* answers that may belong to another request, not used */
        uint64_t orphans;       /* answers without a request */
        uint64_t others;        /* frames of other functions */
        uint64_t garbage_bytes; /* that belong to no frame */
};

struct modbus_overhear {
        int64_t timeout_us, quiet_us;
        uint8_t buf[MODBUS_OVERHEAR_BUF];
        int64_t at_us[MODBUS_OVERHEAR_BUF]; /* when each came */
        size_t len;
        int64_t last_us;
        bool waiting, held; /* for an answer to `pending`; an answer that may be a request */
        struct modbus_overheard_request pending, maybe;
        uint8_t held_data[3], answer[256];
        int64_t held_us;
        size_t n_torn; /* bytes since `pending` that belong to no frame */
        struct modbus_overheard_request late[MODBUS_OVERHEAR_LATE], known[MODBUS_OVERHEAR_KNOWN];
        unsigned n_late, n_known; /* ever; the arrays are rings */
        struct modbus_overhear_counts counts;
};

/*
 * `timeout_us`: how long a slave may take to begin its answer; `quiet_us`:
 * after such a silence what lies there does not go on.
 */
void modbus_overhear_init(struct modbus_overhear *o, int64_t timeout_us, int64_t quiet_us);
void modbus_overhear_push(struct modbus_overhear *o, int64_t now_us, const uint8_t *p, size_t n);
bool modbus_overhear_next(struct modbus_overhear *o, int64_t now_us, struct modbus_overheard *out);
int64_t modbus_overhear_due(const struct modbus_overhear *o); /* INT64_MAX: only bytes matter */

#endif
