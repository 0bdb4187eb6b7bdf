"""Contract v1 where no other test looks: raw payloads, the heartbeat, texts that break sloppy readers."""

import json

from rig import kafka as kafkas
from rig import records, wait

ODD = ["", "온도 센서 교체", 'a "quoted" \\ text', "tab\tnewline\nreturn\r", "line\u2028separator", "\x01\x7f", "😀"]


def raw_of(room):
    everything = room.kafka.read(kafkas.RAW, dict.fromkeys(range(kafkas.PARTITIONS), 0))
    return [r for r in everything if room.gateway.encode() in r.key]


def test_raw_payloads_have_a_topic_of_their_own(room):
    agent = room.agent()
    agent.conf["mqtt"][0]["subscriptions"].append({"topic": f"raw-{room.gateway}/{{source}}/{{tag}}", "payload": "raw"})
    agent.write()
    agent.start()
    payloads = [b"\x00\xff\xfe", b"{", b"<xml/>", b""]
    publisher = room.publisher()
    for payload in payloads:
        publisher.one(f"raw-{room.gateway}/cam-1/frame", payload)
    publisher.one(room.topic("press-1", "temp"), "1.5")
    agent.wait_delivered(len(payloads) + 1)
    raw = sorted(raw_of(room), key=lambda r: r.offset)
    assert [r.value or b"" for r in raw] == payloads
    for r in raw:
        headers = dict(r.headers)
        d = json.loads(headers["millrace-record"])
        assert headers["content-type"] == b"application/octet-stream"
        assert (d["gateway"], d["source"], d["tag"]) == (room.gateway, "cam-1", "frame") and "value" not in d
    assert [r.data["value"] for r in room.samples()] == [1.5]


def test_texts_arrive_as_they_were_sent(room):
    agent = room.agent()
    agent.start()
    publisher = room.publisher()
    for text in ODD:
        publisher.one(room.state_topic("press-1"), json.dumps({"temp": text}))
    agent.wait_delivered(len(ODD))
    assert [r.data["value_str"] for r in room.samples()] == ODD


def test_the_heartbeat_is_as_its_schema_says(room):
    room.agent().start()

    def mine():
        return [r for r in room.kafka.read(kafkas.STATUS, dict.fromkeys(range(kafkas.PARTITIONS), 0))
                if r.key == room.gateway.encode()]

    for r in wait.until("a heartbeat", 90, mine):
        records.must_be("status", json.loads(r.value))
