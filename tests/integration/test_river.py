"""Readings from MQTT reach Kafka: all, once, in order, in the form of the record contract."""

import os
import time
from collections import defaultdict

from rig import records

TOPICS = 1000


def count():
    if os.environ.get("MILLRACE_FULL"):
        return 1000000
    return int(os.environ.get("MILLRACE_READINGS", "200000"))


def test_what_was_published_is_consumed_once_and_in_order(room):
    n = count()
    agent = room.agent().start()
    topics = [room.topic(f"p{i}", "temp") for i in range(TOPICS)]
    room.publisher().publish((topics[i % TOPICS], b"%d.5" % i, i) for i in range(n))
    status = agent.wait_delivered(n, seconds=max(60, n / 10000))
    assert (status["accepted"], status["delivered"], status["dropped"]) == (n, n, 0)
    assert status["drain_eta_s"] is None

    mine = room.samples()
    assert len(mine) == n
    records.check_gapless(mine)
    records.check_order(mine)
    per_source = defaultdict(list)
    for r in mine:
        per_source[r.data["source"]].append(r.data["value"])
    for i in range(TOPICS):
        assert per_source[f"p{i}"] == [j + 0.5 for j in range(i, n, TOPICS)], f"p{i}: other values, or another order"
    for r in mine[::97]:
        records.check_contract(r)
        records.check_kafka_time(r)
    assert {r.data["epoch"] for r in mine} == {status["epoch"]}


NUMBERS = [  # payload, the bytes that must stand behind "value": (None: the value is absent)
    (b"71", b'"value":71.0'),
    (b"71.3", b'"value":71.3'),
    (b"-0.0", b'"value":-0.0'),
    (b"0", b'"value":0.0'),
    (b"1e-300", b'"value":1e-300'),
    (b"5e-324", b'"value":5e-324'),
    (b"0.1", b'"value":0.1'),
    (b" 12.5\n", b'"value":12.5'),
    (b"9007199254740992", b'"value":9007199254740992.0'),
    (b"9007199254740993", b'"value_int":9007199254740993'),
    (b"-9223372036854775808", b'"value_int":-9223372036854775808'),
    (b"true", b'"value_bool":true'),
    (b"false", b'"value_bool":false'),
    (b'"text"', b'"value_str":"text"'),
    ('"Förder\\"band\\n"'.encode(), '"value_str":"Förder\\"band\\n"'.encode()),
    (b"NaN", None),
    (b"-Infinity", None),
    (b"null", None),
]


def test_every_kind_of_bare_value_has_its_place(room):
    agent = room.agent().start()
    publisher = room.publisher()
    for i, (payload, _) in enumerate(NUMBERS):
        publisher.one(room.topic("press-1", f"t{i}"), payload)
    agent.wait_delivered(len(NUMBERS))
    mine = room.samples()
    assert len(mine) == len(NUMBERS)
    by_tag = {r.data["tag"]: r for r in mine}
    for i, (payload, wanted) in enumerate(NUMBERS):
        r = by_tag[f"t{i}"]
        records.check_contract(r)
        if wanted is None:
            assert r.data["quality"] == "bad" and b'"value' not in r.value, (payload, r.value)
        else:
            assert wanted + b"," in r.value and r.data["quality"] == "good", (payload, r.value)
        assert r.data["line"] == "l1", "a named level that is neither source nor tag is a label"


def test_json_fields_become_readings_with_the_time_of_the_source(room):
    agent = room.agent().start()
    publisher = room.publisher()
    now_ms = int(time.time() * 1000)
    topic = room.state_topic("motor-1")
    publisher.one(topic, b'{"ts":%d,"temp":21.25,"vibration":{"rms":3,"x":[1,2]},"more":null}' % (now_ms - 60000))
    publisher.one(topic, b'{"ts":%d,"temp":22}' % (now_ms - 59000))               # one value missing
    publisher.one(topic, b'{"ts":%d,"temp":23,"vibration":{"rms":4.5}}' % (now_ms + 86400000))  # tomorrow
    publisher.one(topic, b'{"temp":24,"vibration":{"rms":null}}')                  # no time; null is no value
    agent.wait_delivered(7)
    mine = room.samples()
    for r in mine:
        records.check_contract(r)
        records.check_kafka_time(r)
    temp = [r for r in mine if r.data["tag"] == "temp"]
    vib = [r for r in mine if r.data["tag"] == "vib"]
    assert [r.data["value"] for r in temp] == [21.25, 22.0, 23.0, 24.0]
    assert [r.data.get("value") for r in vib] == [3.0, 4.5, None]
    assert {r.data["unit"] for r in temp} == {"degC"} and {r.data["unit"] for r in vib} == {"mm/s"}
    assert [r.data["ts_us"] for r in temp[:2]] == [(now_ms - 60000) * 1000, (now_ms - 59000) * 1000]
    assert [r.data["quality"] for r in temp] == ["good", "good", "uncertain", "good"]
    assert abs(temp[2].data["ts_us"] / 1000 - now_ms) < 60000, "a time that can't be trusted gives way to the arrival"
    assert vib[2].data["quality"] == "bad"


def test_ties_of_the_source_time_are_one_microsecond_apart(room):
    agent = room.agent().start()
    now_ms = int(time.time() * 1000) - 5000
    topic = room.state_topic("tie")
    room.publisher().publish((topic, b'{"ts":%d,"temp":%d.0}' % (now_ms, i), i) for i in range(5))
    agent.wait_delivered(5)
    assert [r.data["ts_us"] - now_ms * 1000 for r in room.samples()] == [0, 1, 2, 3, 4]


def test_names_from_the_wire_are_mapped(room):
    agent = room.agent().start()
    room.publisher().one(room.topic("Presse 3ä", "temp"), b"1.5")
    agent.wait_delivered(1)
    source = room.samples()[0].data["source"]
    assert source == "Presse_3ä._20"  # a blank may not stay, and it is kept which byte it was


def test_a_second_start_goes_on_with_the_next_seq(room):
    agent = room.agent().start()
    publisher = room.publisher()
    for i in range(3):
        publisher.publish((room.topic("press-1", "temp"), b"%d" % j, j) for j in range(i * 100, i * 100 + 100))
        agent.wait_delivered((i + 1) * 100)
        agent.restart()
    mine = room.samples()
    records.check_gapless(mine)
    records.check_order(mine)
    assert [r.data["value"] for r in mine] == [float(i) for i in range(300)]


def test_what_is_published_while_the_agent_is_away_arrives(room):
    agent = room.agent().start()
    agent.stop()
    room.publisher().publish((room.topic("press-1", "temp"), b"%d" % i, i) for i in range(5000))
    agent.start()
    agent.wait_delivered(5000)
    mine = room.samples()
    records.check_gapless(mine)
    assert [r.data["value"] for r in mine] == [float(i) for i in range(5000)]
