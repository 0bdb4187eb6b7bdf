/*
 * cmds: the table of the `millrace` command's subcommands.  What a command is
 * called, takes, prints and answers stands here and nowhere else: help pages,
 * did-you-mean and the checks of the command line are made from it.
 */
#include "agent/cli/cli.h"

#define SPOOL (CLI_BIT(SPOOL) | CLI_BIT(JSON))
#define LIST  (SPOOL | CLI_BIT(WIDE) | CLI_BIT(UTC))
#define WORD  (SPOOL | CLI_BIT(OPERATOR) | CLI_BIT(COMMENT))
#define PICK  (CLI_BIT(TAG) | CLI_BIT(SINCE) | CLI_BIT(UNTIL) | CLI_BIT(ALL))

#define ALARM_NAME                                                                                            \
        "ALARM is an event id, or SOURCE/TAG/RULE, or SOURCE/TAG/RULE.LIMIT where a rule has several\n"       \
        "limits (SOURCE/-/RULE: of a source as a whole), as 'millrace alarms ls' shows them. Where several\n" \
        "tags have the name, labels stand behind it: 'SOURCE/TAG{line=l2}/RULE'."

#define BUS_NAME                                                                                         \
        "BUS is a modbus item of the configuration, or a port: /dev/ttyUSB0:9600,8E1, tcp://HOST:502,\n" \
        "rtu+tcp://HOST:PORT. A serial port that the daemon has open is refused.\n"

const struct cli_command cli_commands[] = {
        {.name = "status",
         .args = "",
         .options = LIST | CLI_BIT(WATCH),
         .run = cmd_status,
         .summary = "is it well; if not: what, since when, and what to do; then the numbers, sources, devices",
         .detail =
                 "Asks the daemon. When it does not run, the counts come from the spool's file and health is failed.\n"
                 "The first line is the verdict, then two lines for each condition, the worst first: what it is and\n"
                 "since when, and the way out. --watch shows the page every two seconds.",
         .no = "health is not ok",
         .example = "millrace status --json | jq .held"},
        {.name = "top",
         .args = "",
         .options = CLI_BIT(SPOOL) | CLI_BIT(UTC),
         .run = cmd_top,
         .summary = "a live screen: what is wrong, the flow to Kafka, sources, devices, tags, events, alarms",
         .detail =
                 "For a terminal of 80 columns and 24 lines or more, a serial console included; a larger one shows\n"
                 "more of it at once. d, t, e and a choose sources with their devices, tags, events or alarms, or Tab\n"
                 "one after the other; arrows scroll what is chosen. Of alarms k acknowledges the chosen one, s\n"
                 "shelves it for an hour. q leaves, space holds the screen. In front of a tag's age, x is bad and ~\n"
                 "uncertain; the curves are its last minutes, from its least to its greatest value, a column for\n"
                 "five seconds.",
         .example = "millrace top"},
        {.name = "tail",
         .args = "SOURCE/TAG",
         .least = 1,
         .most = 1,
         .options = SPOOL | CLI_BIT(UTC) | CLI_BIT(LINES) | CLI_BIT(FOLLOW),
         .run = cmd_tail,
         .summary = "one tag as a curve in the terminal; -f goes on with what arrives",
         .detail = "Draws the last readings, as many as there is room for or -n says, in columns of equal time. The\n"
                   "signs of the axis tell the quality: - good, ~ uncertain, x bad, . nothing came. In a terminal\n"
                   "without UTF-8, and on a VT100, it is plain ASCII. With -f: q leaves, space holds the screen.\n"
                   "Into a pipe, with --json, and for a tag of texts it prints lines as 'millrace spool tail' does.",
         .no = "there is no such tag, or several are meant where one is needed: 'SOURCE/TAG{line=l2}' is one",
         .example = "millrace tail -f press-3/temp"},
        {.name = "events",
         .args = "",
         .options = SPOOL | CLI_BIT(UTC) | CLI_BIT(LINES) | CLI_BIT(FOLLOW) | CLI_BIT(SINCE) | CLI_BIT(UNTIL) |
                    CLI_BIT(KIND),
         .run = cmd_events,
         .summary = "what happened: links, devices, Kafka, alarms, drops, with how long it lasted; -f goes on",
         .detail =
                 "The last ten, or -n; with --since or --until all of that time. Works without the daemon. Events "
                 "that\n"
                 "Kafka has stay, too: the newest 10,000 of 31 days, at most a twentieth of spool.max_size.\n"
                 "Kinds: agent, alarm, alarm_group, books (counts of each hour, only when asked for), clock,\n"
                 "condition (what 'millrace status' told; what a link, a device or the spool tells in its own words\n"
                 "is there once, as that: conditions of it with --kind condition), config, damaged, device, dropped,\n"
                 "link, pause, source_refused, spool_fault, spool_pressure, spool_rescue, tag, tag_limit,\n"
                 "tags_forgotten, uplink.",
         .example = "millrace events --since yesterday --kind link,device,uplink"},
        {.name = "report",
         .args = "",
         .options = CLI_BIT(SPOOL) | CLI_BIT(UTC) | CLI_BIT(SINCE) | CLI_BIT(UNTIL) | CLI_BIT(FORMAT) | CLI_BIT(JSON),
         .run = cmd_report,
         .summary = "a time in review: books, drops, outages, gaps, alarms; as text, HTML, CSV or JSON",
         .detail =
                 "Since yesterday, or --since. Reads the spool's file, works without the daemon. A gap is a tag that\n"
                 "was silent three times as long as it usually is, and a minute at least. What can't be known any\n"
                 "more, as delivered readings are not kept that long, is said. HTML is one page that needs nothing\n"
                 "else. Walks all readings of the time: about a second per million.",
         .example = "millrace report --since yesterday --until today --format html > yesterday.html"},
        {.name = "metrics",
         .args = "",
         .options = CLI_BIT(SPOOL),
         .run = cmd_metrics,
         .summary = "the daemon's numbers as Prometheus reads them",
         .detail = "The same page as the configured metrics.listen serves over HTTP.",
         .example = "millrace metrics > /var/lib/prometheus/node-exporter/millrace.prom"},
        {.name = "verify",
         .args = "",
         .options = CLI_BIT(KAFKA) | CLI_BIT(SINCE) | CLI_BIT(UNTIL) | CLI_BIT(GATEWAY) | CLI_BIT(PUBLIC_KEY) |
                    CLI_BIT(JSON) | CLI_BIT(WIDE),
         .run = cmd_verify,
         .summary = "is all in Kafka that gateways delivered, and is it what they sent",
         .detail =
                 "Reads the topics, all of them, and holds the records against the seals in the heartbeats; a row\n"
                 "for each record that is missing, altered or came twice and for each gap with its reason, then a\n"
                 "verdict for each gateway (or the one of --gateway), epoch and lane. --since and --until choose\n"
                 "heartbeats by their time.\n"
                 "Topics and login are the configuration's, or with --kafka those of a configuration that names\n"
                 "nothing else. With --public-key only seals count that the gateway signed (kafka.sign_key). What is\n"
                 "hashed, and how to check it without this program: verify.md.",
         .no = "not complete, or not unaltered",
         .example = "millrace verify --since yesterday --public-key gw-7.pub"},
        {.name = "check",
         .args = "[FILE]",
         .most = 1,
         .options = CLI_BIT(JSON) | CLI_BIT(DUMP) | CLI_BIT(TOPICS),
         .run = cmd_check,
         .summary = "check a configuration; tells every fault with its line",
         .detail =
                 "Checks FILE, or the configuration of --config, without touching the network, a port or the spool.\n"
                 "Faults go to standard error; with --json they are objects on standard output. With --kafka it\n"
                 "asks the brokers as well: notes each topic that would delete or refuse what was held for less than\n"
                 "30 days, or may not be written to (nothing is), and each broker that can't be reached at the\n"
                 "address it advertises; exit status 69 when none answers within ten seconds.",
         .example = "millrace check && systemctl reload millrace"},
        {.name = "setup",
         .args = "",
         .options = CLI_BIT(SPOOL) | CLI_BIT(GATEWAY) | CLI_BIT(KAFKA) | CLI_BIT(KAFKA_LOGIN) | CLI_BIT(KAFKA_USER) |
                    CLI_BIT(KAFKA_PASSWORD_FILE) | CLI_BIT(KAFKA_CA_FILE) | CLI_BIT(KAFKA_ENCRYPTED) |
                    CLI_BIT(KAFKA_CERT_FILE) | CLI_BIT(KAFKA_KEY_FILE) | CLI_BIT(MAKE_TOPICS) | CLI_BIT(MQTT) |
                    CLI_BIT(USERNAME) | CLI_BIT(PASSWORD_FILE) | CLI_BIT(CA_FILE) | CLI_BIT(CERT_FILE) |
                    CLI_BIT(KEY_FILE) | CLI_BIT(FOR) | CLI_BIT(SUBSCRIPTIONS) | CLI_BIT(BUS) | CLI_BIT(UNITS) |
                    CLI_BIT(PICK) | CLI_BIT(OUTAGE) | CLI_BIT(REPLACE) | CLI_BIT(SERVICE) | CLI_BIT(UNTRIED) |
                    CLI_BIT(YES),
         .run = cmd_setup,
         .summary = "from an installed package to the first reading in Kafka, by questions",
         .detail =
                 "Asks for name, Kafka, MQTT and Modbus, tries each answer at once, listens to the broker (--for, "
                 "10s)\n"
                 "and searches the bus, proposes what can be read, sizes the spool for an outage, and shows all that\n"
                 "it will do. Once that is agreed it writes the configuration (a copy of the old one stays), makes\n"
                 "missing topics, starts the service, and shows the first reading that arrives in Kafka. Every\n"
                 "question has an option; --yes answers the others with their defaults, so that it runs in a script.",
         .no = "it was not agreed to, something could not be written or made, or no reading came within a minute",
         .example = "millrace setup --gateway gw-7 --kafka kafka-1:9092 --mqtt mqtt://127.0.0.1 --yes"},
        {.name = "doctor",
         .args = "",
         .options = CLI_BIT(JSON) | CLI_BIT(REPORT),
         .run = cmd_doctor,
         .summary = "try everything: what is wrong comes first, with what to do",
         .detail =
                 "Configuration, rights of the daemon's user, the daemon, clock, disk, spool, service, Kafka with its\n"
                 "topics (as 'millrace check --kafka'), MQTT brokers with their limits, each source once. A daemon\n"
                 "that runs is not disturbed: what it has open, it is asked about. Run it as root. Takes up to a\n"
                 "minute.",
         .no = "something is wrong",
         .example = "millrace doctor --report for-support.txt"},
        {.name = "try",
         .args = "[SOURCE]",
         .most = 1,
         .options = CLI_BIT(JSON) | CLI_BIT(FOR),
         .run = cmd_try,
         .summary = "what the configured sources give now, read without spool and Kafka",
         .detail =
                 "SOURCE is an item of the configuration, or a source that one names; default: all. Each is read with\n"
                 "the daemon's own drivers until all that is named came once, or what speaks by itself was listened\n"
                 "to for ten seconds; --for reads for so long. Values are as they would be sent: with scale, offset,\n"
                 "map and range, before rules and thinning. The daemon may run meanwhile: at an MQTT broker this is\n"
                 "a guest of its own that takes nothing away; a serial port that is open is not opened.",
         .no = "something that is named did not come, or came bad",
         .example = "millrace try line1 --for 1m"},
        {.name = "tags forget",
         .args = "[SOURCE[/TAG]]",
         .most = 1,
         .options = LIST | CLI_BIT(UNUSED_FOR) | CLI_BIT(DRY_RUN) | CLI_BIT(YES),
         .run = cmd_tags_forget,
         .summary = "give back tags that nobody uses any more; needs --yes",
         .detail =
                 "SOURCE and TAG may be patterns with * and ?. Makes room in the table of tags (limits.max_tags, and\n"
                 "max_tags of each item); a new reading makes the tag anew. Readings that are kept keep their names.\n"
                 "Tags stay that the configuration names, that have readings Kafka does not have yet, or an alarm\n"
                 "that is not normal. A device of Sparkplug that is dead and has no tag any more is not told as down\n"
                 "any more. Works with the daemon and without.",
         .no = "there are no such tags, or some of them stay",
         .example = "millrace tags forget 'test-*' --unused-for 30d --dry-run"},
        {.name = "tags import",
         .args = "FILE.csv",
         .least = 1,
         .most = 1,
         .options = CLI_BIT(BUS) | CLI_BIT(NAME),
         .run = cmd_tags_import,
         .summary = "a tag list of a PLC or meter (CSV) as profiles and devices",
         .detail =
                 "The first line names the columns: name, address, type, unit, scale, offset, function, device, unit\n"
                 "id and the like, in the usual spellings. Addresses are 40001, 400001, holding:0, HR0, %MW0, or a\n"
                 "number from 0 beside a column for the function. Lines that can't be used are told on standard\n"
                 "error: the first 20, and how many more. At most 16 MiB, 50,000 tags and 500 devices.",
         .no = "no line could be used",
         .example = "millrace tags import meters.csv --bus line1 > conf.d/meters.yaml"},
        {.name = "tags",
         .args = "",
         .options = LIST | CLI_BIT(TAG),
         .run = cmd_tags,
         .summary = "every tag the spool knows, with its last reading, its quality and age",
         .detail = "Red is bad, yellow uncertain. Of a tag that was silent for long, value and quality may not be in "
                   "the\n"
                   "file any more (spool.keep_delivered); its time is.",
         .no = "there is no such tag",
         .example = "millrace tags"},
        {.name = "send",
         .args = "SOURCE/TAG VALUE",
         .least = 2,
         .most = 2,
         .options = SPOOL | CLI_BIT(UNIT),
         .run = cmd_send,
         .summary = "one test reading through the daemon, on disk before it answers",
         .detail = "VALUE is a number, true, false, or else a text; \"71.3\" with the quotes is the text. Prints the\n"
                   "reading's id, which Kafka's record carries too. Where several tags have the name, labels stand\n"
                   "behind it: 'SOURCE/TAG{line=l2}'.",
         .no = "the daemon refused it",
         .example = "millrace send test/temp 71.3 --unit degC"},
        {.name = "demo",
         .args = "",
         .options = CLI_BIT(SECONDS) | CLI_BIT(MQTT) | CLI_BIT(KAFKA),
         .run = cmd_demo,
         .summary = "a small factory, its gateway and a Kafka outage, on this machine",
         .detail =
                 "Starts a broker, a Kafka cluster in memory and millraced on a temporary directory, shows one line a\n"
                 "second, takes Kafka away for a while, and accounts for every reading. Nothing is left behind. With\n"
                 "--mqtt and --kafka it uses yours (there is no outage then). Exit status 0 means: nothing was lost.",
         .no = "a part could not be started, or a reading is missing",
         .example = "millrace demo --seconds 60"},
        {.name = "alarms ls",
         .args = "",
         .options = LIST | CLI_BIT(TAG) | CLI_BIT(ALL),
         .run = cmd_alarms_ls,
         .summary = "alarms that are not normal, the most severe first; --all: every one that ever was",
         .detail = "Asks the daemon. When it does not run, the states come from the spool's file.",
         .example = "millrace alarms ls --json | jq -r .event_id"},
        {.name = "alarms ack",
         .args = "ALARM",
         .least = 1,
         .most = 1,
         .options = WORD,
         .run = cmd_alarms_command,
         .summary = "acknowledge an alarm: somebody has seen it",
         .detail = ALARM_NAME,
         .no = "there is no such alarm, or nothing to acknowledge",
         .example = "millrace alarms ack press-1/temp/hot.hi --comment 'cooling pump restarted'"},
        {.name = "alarms shelve",
         .args = "ALARM",
         .least = 1,
         .most = 1,
         .options = WORD | CLI_BIT(FOR),
         .run = cmd_alarms_command,
         .summary = "hide an alarm for a limited time",
         .detail = ALARM_NAME,
         .no = "there is no such alarm, or it is out of service",
         .example = "millrace alarms shelve meter-1/power/deviation --for 2h --comment 'test run'"},
        {.name = "alarms unshelve",
         .args = "ALARM",
         .least = 1,
         .most = 1,
         .options = WORD,
         .run = cmd_alarms_command,
         .summary = "show a shelved alarm again",
         .detail = ALARM_NAME,
         .no = "there is no such alarm, or it is not shelved",
         .example = "millrace alarms unshelve meter-1/power/deviation"},
        {.name = "alarms out-of-service",
         .args = "ALARM",
         .least = 1,
         .most = 1,
         .options = WORD,
         .run = cmd_alarms_command,
         .summary = "hide an alarm until it is put into service again, as for repairs",
         .detail = ALARM_NAME,
         .no = "there is no such alarm, or it is so already",
         .example = "millrace alarms out-of-service press-1/temp/hot.hi --comment 'sensor is being replaced'"},
        {.name = "alarms in-service",
         .args = "ALARM",
         .least = 1,
         .most = 1,
         .options = WORD,
         .run = cmd_alarms_command,
         .summary = "put an alarm into service again",
         .detail = ALARM_NAME,
         .no = "there is no such alarm, or it is in service",
         .example = "millrace alarms in-service press-1/temp/hot.hi"},
        {.name = "alarms reset",
         .args = "ALARM",
         .least = 1,
         .most = 1,
         .options = WORD,
         .run = cmd_alarms_command,
         .summary = "reset the latch of an alarm whose condition is gone",
         .detail = ALARM_NAME,
         .no = "there is no such alarm, its condition is still there, or it has no latch to reset",
         .example = "millrace alarms reset press-1/guard/open"},
        {.name = "alarms history",
         .args = "",
         .options = LIST | CLI_BIT(TAG) | CLI_BIT(SINCE) | CLI_BIT(LINES),
         .run = cmd_alarms_history,
         .summary = "what happened to alarms and who said what about them, oldest first",
         .example = "millrace alarms history --since 1d"},
        {.name = "rules test",
         .args = "--rules FILE --input FILE",
         .options = CLI_BIT(RULES) | CLI_BIT(INPUT) | CLI_BIT(SOURCE) | CLI_BIT(EXPLAIN) | CLI_BIT(JSON),
         .run = cmd_rules_test,
         .summary = "the alarms that recorded readings would have raised",
         .detail = "A CSV has a header; its first column is the time (ISO 8601, or seconds since 1970), every other\n"
                   "one a tag; an empty cell is no reading. The same rules as the daemon's run with the recording's\n"
                   "own time.",
         .no = "the recording can't be read, or there is no alarm with that id",
         .example = "millrace rules test --rules millrace.yaml --input press-1.csv --source press-1"},
        {.name = "rules learn",
         .args = "--input FILE",
         .options = CLI_BIT(INPUT) | CLI_BIT(SOURCE) | CLI_BIT(SINCE) | CLI_BIT(UNTIL),
         .run = cmd_rules_learn,
         .summary = "propose limits, deadbands and delays from recorded readings",
         .detail = "Prints YAML to review; nothing is changed.",
         .no = "the recording can't be read, or nothing could be learned from it",
         .example = "millrace rules learn --input spool.db --until 2026-11-30 > proposed.yaml"},
        {.name = "spool ls",
         .args = "",
         .options = LIST,
         .run = cmd_spool_ls,
         .summary = "lanes: ranges of seq, what is held and what is kept, ages, sizes",
         .example = "millrace spool ls"},
        {.name = "spool show",
         .args = "SEQ",
         .least = 1,
         .most = 1,
         .options = SPOOL,
         .run = cmd_spool_show,
         .summary = "one reading with all its fields",
         .no = "it is not in the spool; says whether it was delivered, dropped, or never there",
         .example = "millrace spool show 918273"},
        {.name = "spool tail",
         .args = "",
         .options = SPOOL | CLI_BIT(UTC) | CLI_BIT(LINES) | CLI_BIT(FOLLOW) | CLI_BIT(TAG),
         .run = cmd_spool_tail,
         .summary = "the last readings; -f goes on with what arrives",
         .detail = "With --json every line is a reading in the form of the Kafka record's value.",
         .no = "there is no such tag; with -f it is waited for",
         .example = "millrace spool tail -f --tag press-3/temp"},
        {.name = "spool export",
         .args = "",
         .options = SPOOL | PICK | CLI_BIT(CSV),
         .run = cmd_spool_export,
         .summary = "every held reading in order of seq, as JSON lines or CSV",
         .detail = "Reads the file in short steps, so that the daemon is not held up, however long the export takes.",
         .no = "there is no such tag",
         .example = "millrace spool export --csv --since 1h --tag press-3/temp > temp.csv"},
        {.name = "spool stats",
         .args = "",
         .options = LIST | CLI_BIT(TAG),
         .run = cmd_spool_stats,
         .summary = "readings per source and tag: counts, rates, first and last time",
         .no = "there is no such tag",
         .example = "millrace spool stats --json"},
        {.name = "spool dropped",
         .args = "",
         .options = LIST,
         .run = cmd_spool_dropped,
         .summary = "the ledger: which ranges of seq were dropped, when and why",
         .example = "millrace spool dropped"},
        {.name = "spool quarantine",
         .args = "",
         .options = LIST,
         .run = cmd_spool_quarantine,
         .summary = "malformed messages kept for inspection, with their reason",
         .example = "millrace spool quarantine --json"},
        {.name = "spool verify",
         .args = "",
         .options = LIST | CLI_BIT(ALL),
         .run = cmd_spool_verify,
         .summary = "is all of the file as it should be: pages, gaps, watermarks, ledger, tags, texts",
         .detail = "Works on a live spool, a copy, and one that was moved aside (.corrupt-...). While the daemon\n"
                   "uses the file its pages are only all looked at with --all: that holds the daemon's checkpoints\n"
                   "up.",
         .no = "faults were found",
         .example = "millrace spool verify --spool /var/lib/millrace/spool.db.corrupt-20261123T100000Z"},
        {.name = "spool sql",
         .args = "SELECT",
         .least = 1,
         .most = 1,
         .options = SPOOL | CLI_BIT(WIDE),
         .run = cmd_spool_sql,
         .summary = "one SELECT on the spool, read-only and for at most 10 s",
         .detail = "The view readings has names and ISO times; the tables are reading, tag, event, cursor, dropped,\n"
                   "dead_letter, quarantine, forgotten and meta.",
         .no = "the answer is not complete: the time was over, or it is longer than 64 MiB",
         .example = "millrace spool sql \"SELECT source, count(*) FROM readings GROUP BY source\""},
        {.name = "spool requeue",
         .args = "SEQ|FIRST-LAST",
         .least = 1,
         .most = 1,
         .options = SPOOL,
         .run = cmd_spool_requeue,
         .summary = "send dead letters and delivered readings that are still kept once more, under their old ids",
         .detail = "For when the brokers' limits were raised, or a consumer lost what it had. Events are e17 or\n"
                   "e17-e20, as in their ids. The daemon sends them beside what is new; held readings go anyway.\n"
                   "Dead letters that Kafka takes now leave their table; in the ledger they stay.",
         .no = "Kafka refused some of them, or there was nothing to send",
         .example = "millrace spool requeue 918200-918273"},
        {.name = "spool purge",
         .args = "",
         .options = SPOOL | CLI_BIT(UNTIL) | CLI_BIT(DRY_RUN) | CLI_BIT(YES),
         .run = cmd_spool_purge,
         .summary = "throw away readings that nobody wants any more; needs --yes",
         .detail = "All that the spool holds, or with --until what arrived before that time; delivered readings that\n"
                   "are kept, too. Held ones are gone for good, their range is in the ledger as purged. Alarms and\n"
                   "events stay, and what is on its way to Kafka. Works with the daemon and without.",
         .no = "some could not be purged",
         .example = "millrace spool purge --until 2026-11-23T06:00:00Z --dry-run"},
        {.name = "modbus scan",
         .args = "BUS",
         .least = 1,
         .most = 1,
         .options = CLI_BIT(JSON) | CLI_BIT(UNITS) | CLI_BIT(REGISTERS) | CLI_BIT(TIMEOUT) | CLI_BIT(FOR),
         .run = cmd_modbus_scan,
         .summary = "who is on a bus, which functions and registers answer; proposes profiles and devices",
         .detail = BUS_NAME "Only reads: function codes 1 to 4, and 43/14 for a name. Ends after --for (10m), or\n"
                            "at ^C, with what is known then. Prints a part of a configuration.",
         .no = "nobody answers",
         .example = "millrace modbus scan /dev/ttyUSB0:9600,8N1 --units 1-32 > conf.d/line1.yaml"},
        {.name = "modbus read",
         .args = "BUS UNIT REGISTER[/COUNT]",
         .least = 3,
         .most = 3,
         .options = CLI_BIT(JSON) | CLI_BIT(AS) | CLI_BIT(TIMEOUT),
         .run = cmd_modbus_read,
         .summary = "registers of a slave in all types and word orders, to see which is right",
         .detail = BUS_NAME "REGISTER is as in a profile: holding:0, input:0x10, 40001. Only reads.",
         .no = "the slave refuses, or does not answer",
         .example = "millrace modbus read tcp://10.0.0.5:502 1 holding:0/10 --as all"},
        {.name = "modbus listen",
         .args = "BUS",
         .least = 1,
         .most = 1,
         .options = CLI_BIT(JSON) | CLI_BIT(FOR) | CLI_BIT(TIMEOUT) | CLI_BIT(LEARN),
         .run = cmd_modbus_listen,
         .summary = "what a master that is there already reads on a serial line; nothing is sent",
         .detail = "BUS is a modbus item of the configuration, or a port as /dev/ttyUSB0:9600,8E1. Listens for --for\n"
                   "(60s), or until ^C, and shows the first three answers to each request; --json shows all. --learn\n"
                   "proposes devices and profiles for a bus with listen: true.",
         .no = "no request with its answer was heard",
         .example = "millrace modbus listen /dev/ttyUSB0:9600,8E1 --learn > conf.d/line1.yaml"},
        {.name = "serial sniff",
         .args = "PORT",
         .least = 1,
         .most = 1,
         .options = CLI_BIT(JSON) | CLI_BIT(FOR),
         .run = cmd_serial_sniff,
         .summary = "what comes on a serial line, with guessed speed and parity; only listens",
         .detail = "PORT is /dev/ttyUSB0, or /dev/ttyUSB0:9600,8E1 when speed and parity are known. Without them half\n"
                   "of the time (--for, 30s) goes into trying the usual ones. Shows bursts of bytes as hex and text\n"
                   "with the silence before each, as comments of a part of a configuration.",
         .no = "nothing came",
         .example = "millrace serial sniff /dev/ttyUSB0 --for 1m"},
        {.name = "mqtt watch",
         .args = "URL [FILTER]",
         .least = 1,
         .most = 2,
         .options = CLI_BIT(JSON) | CLI_BIT(FOR) | CLI_BIT(USERNAME) | CLI_BIT(PASSWORD_FILE) | CLI_BIT(CA_FILE) |
                    CLI_BIT(CERT_FILE) | CLI_BIT(KEY_FILE),
         .run = cmd_mqtt_watch,
         .summary = "what a broker sends; proposes subscriptions for it",
         .detail =
                 "URL is mqtt://HOST:PORT or mqtts://HOST:PORT, FILTER as in MQTT (default: #). Listens for --for\n"
                 "(30s), or until ^C, with a session of its own; publishes nothing. The first three messages of each\n"
                 "topic are shown as comments, the rest is a part of a configuration; --json: every message, no part.",
         .no = "nothing came that could be proposed",
         .example = "millrace mqtt watch mqtt://10.0.0.2 'tele/#' --for 2m > conf.d/plant.yaml"},
        {.name = "help",
         .args = "[COMMAND]",
         .most = 2,
         .run = cmd_help,
         .summary = "this text, or a command's",
         .example = "millrace help spool export"},
        {.name = "version", .args = "", .run = cmd_version, .summary = "the version", .example = "millrace version"},
        {0},
};
