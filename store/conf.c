/*
 * conf: the `spool:` section of the configuration, as a table.  Pure.
 */
#include "store/spool.h"

uint64_t spool_text_most(const struct spool_conf *conf)
{
        uint64_t part = conf->max_size_bytes / 32;

        return conf->batch_bytes < part ? conf->batch_bytes : part;
}

static const char *const when_full_choices[] = {"drop_oldest", "drop_newest", "block", "thin", NULL};

#define AT(member) offsetof(struct spool_conf, member)
#define KIB        1024.0
#define MIB        (1024.0 * KIB)
#define S_US       1e6

static const struct schema_key keys[] = {
        {.name = "path",
         .type = SCHEMA_PATH,
         .offset = AT(path),
         .def = "/var/lib/millrace/spool.db",
         .help = "The file that holds what Kafka has not acknowledged yet; its directory must exist."},
        {.name = "max_size",
         .type = SCHEMA_SIZE,
         .offset = AT(max_size_bytes),
         .min = 4 * MIB,
         .max = 1024 * 1024 * MIB,
         .def = "1GiB",
         .help = "Hard cap of all files of the spool together."},
        {.name = "when_full",
         .type = SCHEMA_CHOICE,
         .offset = AT(when_full),
         .choices = when_full_choices,
         .def = "drop_oldest",
         .help = "What gives way when max_size is reached: the oldest held readings, the newest, or the sources "
                 "(block: they are paused), or detail (thin: the oldest held readings become mean, minimum, maximum "
                 "and count per tag and minute). Every drop is in the ledger."},
        {.name = "commit_interval",
         .type = SCHEMA_DURATION,
         .offset = AT(commit_interval_us),
         .min = 0.001 * S_US,
         .max = 60 * S_US,
         .def = "1s",
         .help = "At most this much of what polled sources brought is in memory only; longer spares flash."},
        {.name = "keep_delivered",
         .type = SCHEMA_DURATION,
         .offset = AT(keep_delivered_us),
         .max = 31 * 86400 * S_US,
         .def = "1h",
         .help = "How long delivered readings stay in the spool for inspection, room permitting."},
        {.name = "batch_rows",
         .type = SCHEMA_INT,
         .offset = AT(batch_rows),
         .min = 100,
         .max = 20000,
         .def = "20000",
         .help = "Most readings gathered in memory for one commit."},
        {.name = "batch_bytes",
         .type = SCHEMA_SIZE,
         .offset = AT(batch_bytes),
         .min = 16 * KIB,
         .max = 64 * MIB,
         .def = "1MiB",
         .help = "Most bytes of text gathered in memory for one commit, at most max_size / 32; the largest text a "
                 "reading can have."},
        {.name = "quarantine_size",
         .type = SCHEMA_SIZE,
         .offset = AT(quarantine_bytes),
         .max = 64 * MIB,
         .def = "1MiB",
         .help = "Most bytes kept of malformed payloads; when it is full the oldest go of the item that holds most."},
        {0},
};

const struct schema spool_schema = {
        .name = "spool",
        .help = "The local file every reading is written to before it is acknowledged.",
        .keys = keys,
        .size = sizeof(struct spool_conf),
        .has_at = true,
};
