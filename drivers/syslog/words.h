/*
 * words: what parts of older messages look like: programs, hosts, addresses,
 * mnemonics.  Pure, no allocation; any thread.
 */
#ifndef MILLRACE_DRIVERS_SYSLOG_WORDS_H
#define MILLRACE_DRIVERS_SYSLOG_WORDS_H

#include <stdbool.h>
#include <stddef.h>

struct words {
        const char *p, *end;
};

size_t words_left(const struct words *r);
bool words_take(struct words *r, const char *s);
void words_skip_blanks(struct words *r);
/*
 * How many bytes from here on are digits, of `also`, or with `letters` letters.
 */
size_t words_count(const struct words *r, const char *also, bool letters);
bool words_has_letter(const char *s, size_t len);
size_t words_dots(const char *s, size_t len);

/*
 * "sshd[312]: ", "sshd: "; the length of the name, and of all of it. 0: none.
 */
size_t words_program(const struct words *r, size_t *whole);
/* %LINK-3-UPDOWN, %ASA-session-6-302013, %$VDC-1$ %ETHPORT-5-IF_UP */
bool words_is_mnemonic(const struct words *r);
/* An address, without brackets and port; 0: it is none. */
size_t words_address(const char **s, size_t len);
/* A name of a host: no number, nothing of a sentence. */
bool words_is_host(const char *s, size_t len);

#endif
