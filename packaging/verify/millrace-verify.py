#!/usr/bin/python3
"""Tells of Kafka topics that millrace wrote whether all is there and is what was sent.

usage: millrace-verify.py [--public-key FILE] [--status-topic NAME] DUMP          DUMP: lines of JSON, "-" is standard input
       millrace-verify.py [--public-key FILE] --kafka HOST:PORT [--topics A,B,…]  needs confluent-kafka or kafka-python

Nothing here is millrace's: it follows packaging/doc/verify.md, which says what is hashed and signed. A line of a dump is
a record: {"topic": …, "value": text or null, "value_base64": … instead, "headers": {"millrace-record": text}}; records of
the status topic in the order they have there, all others in any. A line is printed for each fault and each named gap;
exit status 0: complete and unaltered, 1: not, 2: it could not be looked at.
"""

import argparse
import base64
import hashlib
import json
import os
import subprocess
import sys
import tempfile

STATUS = "edge_status_v1"
TOPICS = f"edge_samples_v1,edge_events_v1,edge_backfill_v1,edge_raw_v1,{STATUS}"
ZEROS = bytes(32)
FAULTS = ("missing", "altered", "copies-differ", "not-sealed", "unnamed-gap", "seals-missing", "begun-anew", "in-a-gap", "bad-seal")


def ranges(seqs):
    """[1, 2, 3, 7] as (1, 3), (7, 7)."""
    out = []
    for seq in sorted(seqs):
        if out and out[-1][1] + 1 == seq:
            out[-1][1] = seq
        else:
            out.append([seq, seq])
    return out


def leaf_of(seq, identity, value):
    return hashlib.sha256(seq.to_bytes(8, "big") + len(identity).to_bytes(4, "big") + identity + value).digest()


def open_key(path):
    """(text, signature) -> bool, by cryptography or by the openssl command."""
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.serialization import load_pem_public_key
    except ImportError:
        return lambda text, signature: openssl_says(path, text, signature)
    with open(path, "rb") as f:
        key = load_pem_public_key(f.read())

    def is_right(text, signature):
        try:
            key.verify(signature, text)
            return True
        except InvalidSignature:
            return False
    return is_right


def openssl_says(path, text, signature):
    with tempfile.TemporaryDirectory() as folder:
        for name, data in (("text", text), ("sig", signature)):
            with open(os.path.join(folder, name), "wb") as f:
                f.write(data)
        return subprocess.run(["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", path, "-rawin", "-in", f"{folder}/text",
                               "-sigfile", f"{folder}/sig"], capture_output=True, check=False).returncode == 0


class Books:
    """What the topics hold, by (gateway, epoch) and lane."""

    def __init__(self, is_right=None):
        self.is_right, self.findings = is_right, []
        self.records = {}   # (gateway, epoch, lane) -> {seq: [leaf, …]}
        self.seals = {}     # (gateway, epoch, stream) -> [stream of a seal, …], in order of the topic
        self.dropped = {}   # (gateway, epoch, lane) -> {(first, last): reason}
        self.unread = 0

    def say(self, what, where, first, last, why=""):
        self.findings.append((what, *where, first, last, why))

    def take(self, value, identity, is_status):
        try:
            text = json.loads(identity or value)
            if is_status:
                self.take_heartbeat(text)
            else:
                self.take_record(text["id"], identity, value)
        except (ValueError, KeyError, TypeError):
            self.unread += 1

    def take_record(self, name, identity, value):
        gateway, epoch, seq = name.rsplit(":", 2)
        lane = "events" if seq.startswith("e") else "samples"
        seq = int(seq.lstrip("ea"))
        self.records.setdefault((gateway, int(epoch), lane), {}).setdefault(seq, []).append(leaf_of(seq, identity, value))

    def take_heartbeat(self, beat):
        if "seal" not in beat:
            return
        text = beat["seal"].encode()
        seal = json.loads(text)
        epoch = (seal["gateway"], seal["epoch"])
        if seal["v"] != 1 or (self.is_right and not self.is_right(text, base64.b64decode(beat.get("seal_signature", "")))):
            upto = max(s["upto"] for s in seal["streams"])
            self.say("bad-seal", (*epoch, "samples"), upto, upto, "of another version, without a signature or with a wrong one")
            return
        for stream in seal["streams"]:
            self.seals.setdefault((*epoch, stream["stream"]), []).append(stream)
        for lane, first, last, reason in seal["dropped"]:
            self.dropped.setdefault((*epoch, lane), {})[first, last] = reason

    # ---- what follows ----

    def valid_seals(self, key):
        """In order of seq: of two that overlap the later."""
        kept = []
        for seal in reversed([s for s in self.seals.get(key, ()) if s["runs"]]):
            if not kept or seal["runs"][-1][1] < kept[-1]["runs"][0][0]:
                kept.append(seal)
            elif seal["runs"][0][0] < kept[-1]["runs"][0][0]:
                self.say("seals-missing", (key[0], key[1], key[2]), seal["runs"][0][0], kept[-1]["runs"][0][0] - 1,
                         "seals contradict one another")
        return kept[::-1]

    def check(self):
        for gateway, epoch in sorted({k[:2] for k in [*self.seals, *self.records]}):
            for lane, streams in (("events", ["events"]), ("samples", ["samples", "backlog"])):
                self.check_lane((gateway, epoch, lane), [(gateway, epoch, s) for s in streams])
        return self.findings

    def check_lane(self, where, streams):
        there, lines = self.records.get(where, {}), self.dropped.get(where, {})
        gone = {seq: reason for (first, last), reason in lines.items() for seq in range(first, last + 1)}
        runs = []
        for key in streams:
            seals = self.valid_seals(key)
            self.check_links(where, seals)
            for seal in seals:
                self.check_seal(where, seal, there, gone)
                runs += seal["runs"]
        if runs or there:
            self.check_cover(where, sorted(runs), there, lines, gone)

    def check_links(self, where, seals):
        for before, seal in zip(seals, seals[1:]):
            if seal["prev"] != before["chain"]:
                what = "begun-anew" if bytes.fromhex(seal["prev"]) == ZEROS else "seals-missing"
                self.say(what, where, before["runs"][-1][1] + 1, seal["runs"][0][0], "the chain does not go on from the seal before")

    def check_seal(self, where, seal, there, gone):
        first, last = seal["runs"][0][0], seal["runs"][-1][1]
        due = [seq for a, b, _ in seal["runs"] for seq in range(a, b + 1) if seq not in gone]
        found = [seq for seq in due if seq in there]
        chain = bytes.fromhex(seal["prev"])
        for seq in found:
            chain = hashlib.sha256(chain + there[seq][0]).digest()
        right, n = chain.hex() == seal["chain"], sum(r[2] for r in seal["runs"])
        lost = ranges(set(due) - set(found))
        if right and len(found) == n:
            for a, b in lost:
                self.say("unnamed-gap", where, a, b, "not delivered, and no line of the ledger says why")
        elif len(found) < n:
            for a, b in lost or [(first, last)]:
                self.say("missing", where, a, b, f"{n - len(found)} of seal {first}-{last} are missing; the rest of it can't be proved")
        else:
            self.say("altered", where, first, last, "one or more of them are not what was sent")

    def check_cover(self, where, runs, there, lines, gone):
        for seq in sorted(there):
            if len(set(there[seq])) > 1:
                self.say("copies-differ", where, seq, seq, "came more than once, and not alike")
        for a, b in ranges([s for s in there if len(there[s]) > 1 and len(set(there[s])) == 1]):
            self.say("duplicate", where, a, b)
        if not runs:
            for a, b in ranges(there):
                self.say("not-sealed", where, a, b, "no seal of this epoch and lane is there")
            return
        lowest, at = runs[0][0], runs[0][0]
        for first, last, _ in runs:
            for a, b in ranges(s for s in range(at, first) if s not in gone):
                self.say("not-sealed", where, a, b, "no seal says what became of them")
            at = max(at, last + 1)
        if lowest > 1:
            self.say("begins", where, lowest, lowest, "what is below is in no seal that is there")
        for a, b in ranges([s for s in there if s >= at]):
            self.say("behind", where, a, b, "delivered since the last seal")
        for (a, b), reason in sorted(lines.items()):
            if b >= lowest:
                self.say("gap", where, a, b, reason)
        for a, b in ranges([s for s in there if s in gone and gone[s] != "dead_letter"]):
            self.say("in-a-gap", where, a, b, "the ledger says that it was dropped")


# ---- where records come from ----

def of_dump(f):
    for line in f:
        if line.strip():
            r = json.loads(line)
            value = base64.b64decode(r["value_base64"]) if "value_base64" in r else (r.get("value") or "").encode()
            yield r["topic"], value, ((r.get("headers") or {}).get("millrace-record") or "").encode()


def of_kafka(brokers, topics):
    """All records that are there now, partition by partition."""
    try:
        from confluent_kafka import Consumer, TopicPartition
    except ImportError:
        yield from of_kafka_python(brokers, topics)
        return
    c = Consumer({"bootstrap.servers": brokers, "group.id": "millrace-verify", "enable.auto.commit": False,
                  "isolation.level": "read_committed", "auto.offset.reset": "error", "enable.partition.eof": True})
    found = c.list_topics(timeout=30).topics
    parts = [TopicPartition(t, p, 0) for t in topics if t in found for p in found[t].partitions]
    for part in parts:
        part.offset = c.get_watermark_offsets(part, timeout=30)[0]
    c.assign(parts)
    left = len(parts)
    while left:
        m = c.poll(30)
        if m is None:
            raise OSError("Kafka does not answer")
        if m.error():
            if m.error().name() != "_PARTITION_EOF":
                raise OSError(str(m.error()))
            left -= 1
            c.incremental_unassign([TopicPartition(m.topic(), m.partition())])
            continue
        yield m.topic(), m.value() or b"", dict(m.headers() or []).get("millrace-record") or b""
    c.close()


def of_kafka_python(brokers, topics):
    from kafka import KafkaConsumer, TopicPartition
    c = KafkaConsumer(bootstrap_servers=brokers.split(","), enable_auto_commit=False, isolation_level="read_committed")
    parts = [TopicPartition(t, p) for t in topics for p in c.partitions_for_topic(t) or ()]
    c.assign(parts)
    c.seek_to_beginning(*parts)
    ends = c.end_offsets(parts)
    while any(c.position(p) < ends[p] for p in parts):
        for messages in c.poll(timeout_ms=1000).values():
            for m in messages:
                yield m.topic, m.value or b"", dict(m.headers or []).get("millrace-record") or b""


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("dump", nargs="?")
    p.add_argument("--kafka")
    p.add_argument("--topics", default=TOPICS)
    p.add_argument("--status-topic", default=STATUS)
    p.add_argument("--public-key")
    p.add_argument("--gateway", help="it alone; default: each")
    args = p.parse_args()
    if bool(args.dump) == bool(args.kafka):
        p.error("a dump, or --kafka")
    try:
        books = Books(open_key(args.public_key) if args.public_key else None)
        if args.kafka:
            source = of_kafka(args.kafka, args.topics.split(","))
        else:
            source = of_dump(sys.stdin if args.dump == "-" else open(args.dump, encoding="utf-8"))
        for topic, value, identity in source:
            books.take(value, identity, topic == args.status_topic)
    except (OSError, ImportError, ValueError, KeyError) as e:
        print(f"millrace-verify: {e}", file=sys.stderr)
        return 2
    findings = [f for f in books.check() if args.gateway in (None, f[1])]
    for what, gateway, epoch, lane, first, last, why in findings:
        print(f"{what}\t{gateway}\t{epoch}\t{lane}\t{first}\t{last}\t{why}")
    faults = sum(f[0] in FAULTS for f in findings)
    n = sum(len(r) for r in books.records.values())
    print(f"{n} records, {books.unread} not millrace's, {faults} faults" if books.seals else "there is no seal")
    return 1 if faults or not books.seals else 0


if __name__ == "__main__":
    sys.exit(main())
