/*
 * old_format: the SQL that gives a spool's readings the form they had up to format 4, for tests of what an update does.
 *
 * What formats before 4 did not have the caller drops as well, and sets user_version.
 */
#ifndef MILLRACE_TESTS_OLD_FORMAT_H
#define MILLRACE_TESTS_OLD_FORMAT_H

#define OLD_FORMAT_SQL                                                                                            \
        "DROP TABLE forgotten; ALTER TABLE tag DROP COLUMN turn; DROP VIEW readings; DROP TABLE ahead;"           \
        "CREATE TABLE old (seq INTEGER PRIMARY KEY, ts_us INTEGER, tag INTEGER, quality INTEGER, flags INTEGER, " \
        "value,"                                                                                                  \
        "  delay_us INTEGER, mid INTEGER);"                                                                       \
        "INSERT INTO old SELECT seq, ts_us, tag, quality, flags, value, delay_us, mid FROM reading;"              \
        "DROP VIEW reading; DROP TABLE sample; DROP TABLE span; DROP TABLE span_copy; DROP TABLE aggregate;"      \
        "ALTER TABLE old RENAME TO reading;"                                                                      \
        "CREATE VIEW readings AS SELECT * FROM reading;"                                                          \
        "PRAGMA user_version=4;"

/* And its pages the size that they had in format 10. */
#define OLD_PAGES_SQL "PRAGMA journal_mode=DELETE; PRAGMA page_size=4096; VACUUM; PRAGMA journal_mode=WAL"

#endif
