/*
 * ways: what to do, from the words of what is wrong (see facts.h).
 *
 * The words come from our own sentences and from libraries and the kernel, so
 * they are looked for, not compared: the first row fits whose kind is the
 * asker's (or is for all) and whose words are in the sentence.  The last row of
 * a kind has no words and fits always.  tests/unit/test_health.c has a sentence
 * for each row, tests/integration/test_troubles.py makes them for real.
 */
#include <string.h>

#include "agent/health/facts.h"

struct way {
        const char *kind;  /* NULL: all */
        const char *words; /* NULL: any */
        const char *todo;
};

static const struct way ways[] = {
        {"kafka", "has no topic", "create it: kafka-topics.sh --bootstrap-server {where} --create --topic {topic}"},
        {"kafka", "does not allow",
         "give its user the right to write: kafka-acls.sh --bootstrap-server {where} --add --operation Write "
         "--topic {topic} --allow-principal User:…"},
        {"kafka", "larger than Kafka takes", "raise max.message.bytes of the topic, or send smaller messages"},
        {"kafka", "another agent sends",
         "stop the other one, or give one of the two another name (gateway:); this one tries again every 5 minutes"},
        {"kafka", "no mark of", "nothing; readers tell records that came twice by their id"},
        {"kafka", "Group authorization",
         "give its user the right: kafka-acls.sh --bootstrap-server {where} --add --operation Read "
         "--group millrace- --resource-pattern-type prefixed --allow-principal User:…"},
        {"kafka", "ransactional Id authorization",
         "give its user the right: kafka-acls.sh --bootstrap-server {where} --add --operation Write --operation "
         "Describe "
         "--transactional-id millrace- --resource-pattern-type prefixed --allow-principal User:…"},
        {"kafka", "no TLS at that port", "correct security.protocol in kafka.properties: plaintext, ssl, sasl_…"},
        {"kafka", "wants our certificate", "correct ssl.certificate.location and ssl.key.location in kafka.properties"},
        {"kafka", "certificate", "renew the broker's certificate, or correct ssl.ca.location in kafka.properties"},
        {"kafka", "TLS", "is it a TLS port? see security.protocol and ssl.* in kafka.properties"},
        {"kafka", "SSL", "is it a TLS port? see security.protocol and ssl.* in kafka.properties"},
        {"kafka", "no token for Kafka",
         "look at kafka.token and at what it names; millrace check --kafka asks for one"},
        {"kafka", "Kerberos", "run kinit -k -t KEYTAB PRINCIPAL as the service's user; its last words are in the log"},
        {"kafka", "refuses", "correct user and password in kafka.properties and kafka.secrets"},
        {"kafka", "resolve", "correct the name in kafka.brokers, or the name server: getent hosts {host}"},
        {"kafka", "refused", "start Kafka at {where}, or correct kafka.brokers; millrace check --kafka asks it"},
        {"kafka", "hangs", "look at the broker {where} and at the line to it; millrace check --kafka asks it"},
        {"kafka", "imed out", "look at the line and the firewall to {where}; millrace check --kafka asks it"},
        {"kafka", "answered yet",
         "is Kafka on at {where}, and its name known (getent hosts {host})? millrace check --kafka asks it"},
        {"kafka", NULL, "start Kafka at {where}, or mend the line to it; millrace check --kafka asks it"},

        {"spool", "full", "make room on the disk of {where}: df -h {where}"},
        {"spool", "No space", "make room on the disk of {where}: df -h {where}"},
        {"spool", "ead-only",
         "dmesg says why; mount -o remount,rw its file system; if that is refused: stop millrace, umount, fsck, mount"},
        {"spool", "readonly",
         "dmesg says why; mount -o remount,rw its file system; if that is refused: stop millrace, umount, fsck, mount"},
        {"spool", "not the open file", "put the file back, or systemctl restart millrace to begin a new one"},
        {"spool", "another program", "end what reads {where}: fuser -v {where}"},
        {"spool", "locked", "end what holds {where}: fuser -v {where}"},
        {"spool", "I/O", "the disk fails: dmesg; have a new card ready"},
        {"spool", "uota", "raise the quota of user millrace"},
        {"spool", NULL, "dmesg and df -h say more; journalctl -u millrace"},

        {"mqtt", "NDEATH",
         "look at {device} and its line: it has ended; is it gone for good: "
         "millrace tags forget '*/*{edge={device}}' --yes"},
        {"mqtt", "DEATH",
         "look at {device} and its line: it has ended; is it gone for good: millrace tags forget '{device}/*' --yes"},
        {"mqtt", "no address for", "correct the host in url, or the name server: getent hosts {host}"},
        {"mqtt", "password_file ", "correct password_file of the item; user millrace must be able to read it: ls -l"},
        {"mqtt", "No such file", "correct ca_file, cert_file or key_file of the item"},
        {"mqtt", "Permission denied", "let user millrace read that file: ls -l says whose it is"},
        {"mqtt", "not answer the subscription",
         "nothing comes until it does: look at the broker's log, and restart the broker {where}"},
        {"mqtt", "ubscription", "let this user read the topic in the broker's ACL, or correct the topic"},
        {"mqtt", "not authori", "correct username and password_file of the item, or the broker's ACL"},
        {"mqtt", "user", "correct username and password_file of the item"},
        {"mqtt", "client id", "give one of the two a client_id of its own"},
        {"mqtt", "took over", "another client has the same client_id: give one of the two another"},
        {"mqtt", "taken over", "another client has the same client_id: give one of the two another"},
        {"mqtt", "expired", "renew the broker's certificate"},
        {"mqtt", "certificate", "correct ca_file of the item, or the broker's certificate"},
        {"mqtt", "Or is it a plain",
         "a TLS port wants mqtts:// in url; a broker of MQTT 3.1.1 wants protocol: 3.1.1 in the item"},
        {"mqtt", "protocol: 3.1.1", "set protocol: 3.1.1 in the item"},
        {"mqtt", "TLS", "a TLS port wants mqtts:// in url, a plain one mqtt://"},
        {"mqtt", "resolve", "correct the host in url, or the name server: getent hosts {host}"},
        {"mqtt", "name server", "correct the host in url, or the name server: getent hosts {host}"},
        {"mqtt", "look up", "correct the host in url, or the name server: getent hosts {host}"},
        {"mqtt", "refuses the connection", "start the broker at {where}, or correct url"},
        {"mqtt", "refused", "start the broker at {where}, or correct url"},
        {"mqtt", NULL, "look at the broker {where} and at the line to it"},

        {"syslog", "Permission denied",
         "a port below 1024 is not for user millrace: listen at 5514, and let senders name it"},
        {"syslog", "kernel dropped", "raise net.core.rmem_max, or fewer messages"},
        {"syslog", "not UTF-8", "nothing, if a ? in its place will do; else let the sender write UTF-8"},
        {"syslog", "was cut", "shorter messages: 8 KiB are kept of each"},
        {"syslog", NULL, "is another program at {where}? ss -lnp"},
        {"sysfs", "Permission denied", "let user millrace read the file below {where}, or leave it out"},
        {"sysfs", NULL, "is the module loaded? ls /sys/class/hwmon; then correct file of the item"},

        {NULL, "Permission denied", "let user millrace open it: ls -l {where}; usermod -aG dialout millrace; restart"},
        {NULL, "No such file", "plug it in, or correct the path: ls -l /dev/serial/by-id {where}"},
        {NULL, "No such device", "plug it in again; dmesg says what the kernel saw"},
        {NULL, "port is gone", "plug it in again: ls -l /dev/serial/by-id; dmesg says what the kernel saw"},
        {NULL, "in use by another program", "end the other program: fuser -v {where}"},
        {NULL, "resolve", "correct the host name, or the name server: getent hosts {host}"},

        {"modbus", "illegal function",
         "the device does not do this function: correct table or function of its profile"},
        {"modbus", "illegal data address",
         "the device has no such register: millrace modbus read {bus} UNIT holding:0/10"},
        {"modbus", "illegal data value", "the device does not give so many at once: max_registers of its profile"},
        {"modbus", "busy", "look at the device; millrace modbus read {bus} UNIT holding:0/10"},
        {"modbus", "not what is meant", "correct type, word order or scale of the register in its profile"},
        {"modbus", "unit id", "correct unit of {device}: millrace modbus scan {bus}"},
        {"modbus", "CRC", "look at termination, shielding, baud and parity of {where}"},
        {"modbus", "no Modbus", "look at termination, shielding, baud and parity of {where}"},
        {"modbus", "refused", "is the gateway at {where} on, and is Modbus/TCP allowed there?"},
        {"modbus", "no answer",
         "look at power, cable (A and B swapped?), unit, baud, parity: millrace modbus scan {bus}"},
        {"modbus", NULL, "look at power, cable, unit, baud, parity: millrace modbus scan {bus}"},

        {"mbus", NULL, "look at power, cable, address and baud of {where}"},
        {"serial", "no answer", "look at power, cable, baud and parity: millrace serial sniff {where}"},
        {"serial", NULL, "look at cable, baud and parity: millrace serial sniff {where}"},
        {NULL, NULL, "journalctl -u millrace says more; millrace doctor looks further"},
};

/* What is behind "topic ", as far as Kafka's names go: a broker's own words may be anything, and this is to be pasted.
 */
static const char *topic_of(const char *why, int *len)
{
        static const char legal[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
        const char *at = strstr(why, "topic ");

        at = at ? at + strlen("topic ") : "";
        *len = (int)strspn(at, legal);
        if (*len)
                return at;
        *len = (int)strlen("TOPIC");
        return "TOPIC";
}

/* "kafka-1" of "kafka-1:9092", of "mqtt://h:1883". */
static const char *host_of(const char *where, int *len)
{
        const char *at = strstr(where, "://");

        at = at ? at + 3 : where;
        *len = (int)strcspn(at, *at == '[' ? "]" : ":/");
        return at;
}

static const char *value(const struct health_names *of, const char *why, const char *name, size_t n, int *len)
{
        const char *v = NULL, *where = of->where ? of->where : "it";

        if (!strncmp(name, "topic", n))
                return topic_of(why, len);
        if (!strncmp(name, "host", n))
                return host_of(where, len);
        if (!strncmp(name, "where", n))
                v = where;
        else if (!strncmp(name, "device", n))
                v = of->device;
        else if (!strncmp(name, "item", n) || !strncmp(name, "bus", n))
                v = of->item;
        *len = v ? (int)strlen(v) : 2;
        return v ? v : "it";
}

static const struct way *way_of(const char *kind, const char *why)
{
        const struct way *w = ways;

        while ((w->kind && strcmp(w->kind, kind) != 0) || (w->words && !strstr(why, w->words)))
                w++;
        return w;
}

void health_way(struct health_condition *c, const struct health_names *of, const char *why)
{
        const char *from = way_of(of->kind, why)->todo;
        char raw[HEALTH_WORDS_MAX];
        size_t used = 0;

        while (*from && used + 1 < sizeof(raw)) {
                size_t n = *from == '{' ? strspn(from + 1, "abcdefghijklmnopqrstuvwxyz") + 1 : 0;
                const char *v = from;
                int len = 1;

                if (n && from[n] != '}')
                        n = 0; /* "{edge=" of a tag */
                if (n)
                        v = value(of, why, from + 1, n - 1, &len);
                if ((size_t)len > sizeof(raw) - 1 - used)
                        break;
                memcpy(raw + used, v, (size_t)len);
                used += (size_t)len;
                from += n ? n + 1 : 1;
        }
        raw[used] = '\0';
        health_todo(c, "%s", raw);
}
