/*
 * table_hash: the hash of tables in memory whose keys come from outside.
 *
 * Who may send names must not be able to choose names that all fall into one
 * place: with text_hash, which is the same everywhere, some thousands of them
 * make each look-up walk past all.  So this one has a key, random for each
 * process.  Its numbers mean nothing to another process: what is stored, sent
 * or shown is made with text_hash.
 *
 * Any thread, once the key is set. Nothing fails.
 */
#ifndef MILLRACE_BASE_TABLE_HASH_H
#define MILLRACE_BASE_TABLE_HASH_H

#include <stddef.h>
#include <stdint.h>

/*
 * Once at start, before the first table.  A tool or test that does not set one
 * has the key 0, and does the same each time.
 */
void table_hash_set_key(const uint64_t key[2]);

/* `seed` joins parts to one hash: the hash of the part before. */
uint64_t table_hash(const void *p, size_t len, uint64_t seed);

#endif
