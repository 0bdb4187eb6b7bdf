/*
 * text_nfc: a text in Unicode's normal form C, piece by piece.  No allocation;
 * any thread.
 */
#ifndef MILLRACE_BASE_TEXT_NFC_H
#define MILLRACE_BASE_TEXT_NFC_H

#include <stdbool.h>
#include <stddef.h>

enum {
        TEXT_NFC_MAX = 32, /* characters of a piece: Unicode's Stream-Safe Text Format has one less */
        TEXT_NFC_ROOM = 4 * TEXT_NFC_MAX,
};

struct text_nfc {
        const char *at, *end; /* what is left of it */
        const char *piece;    /* the text's or `room`; valid until the next */
        size_t len;
        bool raw; /* no UTF-8, or more marks on one letter than anybody writes: it is as it came */
        char room[TEXT_NFC_ROOM];
};

/* False: no more. */
bool text_nfc_next(struct text_nfc *n);

#endif
