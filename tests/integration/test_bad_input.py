"""Bad input of every kind has a stated answer, and the daemon lives on."""

import os
import subprocess

import pytest

from rig.agent import program, tool

MALFORMED = [
    ("nul", b"7\x001.5"),
    ("invalid-utf8", b'"\xff\xfe"'),
    ("empty", b""),
    ("not-a-number", b"abc"),
    ("object", b'{"value":1}'),
    ("half-a-text", b'"text'),
    ("too-big-a-number", b"1e999"),
    ("too-long-an-integer", b"123456789012345678901234567890"),
    ("a-mebibyte", b"1" * (1 << 20)),
    ("nested", b"[" * 10000 + b"]" * 10000),
]
MALFORMED_JSON = [
    b"", b"\x00", b"{", b'{"temp":1', b"[" * 10000 + b"]" * 10000, b'{"a":' * 10000 + b"1" + b"}" * 10000,
    b'{"temp":1\x00}', b'{"temp":"\xff"}', b'{"temp":1e999}', b'{"temp":NaN}', b'{"other":1}', b"3", b'{"temp":1}' + b" " * (1 << 20),
]


def quarantined(agent):
    """Rows in the file; read without the daemon's help."""
    return agent.listing("spool", "quarantine")


def test_malformed_payloads_are_kept_counted_and_harm_nothing(room):
    agent = room.agent().start()
    publisher = room.publisher()
    for name, payload in MALFORMED:
        publisher.one(room.topic("press-1", name), payload)
        publisher.one(room.topic("press-1", "temp"), b"1.5")
    agent.wait_delivered(len(MALFORMED))
    mine = room.samples()
    assert [(r.data["tag"], r.data["value"]) for r in mine] == [("temp", 1.5)] * len(MALFORMED)
    s = agent.wait("the quarantine to be written", lambda s: s["quarantined"] == len(MALFORMED))
    assert s["drivers"][0]["errors"] + s["drivers"][0]["malformed"] >= len(MALFORMED)
    rows = quarantined(agent)
    assert len(rows) == len(MALFORMED)
    for (name, _), row in zip(MALFORMED, rows):
        assert room.topic("press-1", name) in str(row), f"the quarantine names the topic: {row}"
        assert row["reason"], row
    agent.process.must_live()


def test_malformed_json_is_kept_counted_and_harms_nothing(room):
    agent = room.agent().start()
    publisher = room.publisher()
    for payload in MALFORMED_JSON:
        publisher.one(room.state_topic("m1"), payload)
        publisher.one(room.state_topic("m1"), b'{"temp":2.5}')
    agent.wait_delivered(len(MALFORMED_JSON))
    assert [r.data["value"] for r in room.samples()] == [2.5] * len(MALFORMED_JSON)
    agent.wait("the quarantine to be written", lambda s: s["quarantined"] == len(MALFORMED_JSON))


def test_nan_is_a_bad_reading_not_a_malformed_one(room):
    agent = room.agent().start()
    room.publisher().one(room.topic("press-1", "temp"), b"NaN")
    agent.wait_delivered(1)
    data = room.samples()[0].data
    assert data["quality"] == "bad" and "value" not in data, data


def test_a_large_payload_passes_when_it_is_allowed(room):
    agent = room.agent({"spool": {"batch_bytes": "2MiB"}, "mqtt": {"max_payload": "2MiB"},
                        "kafka": {"properties": ["message.max.bytes=4000000"]}}).start()
    text = b'"' + b"x" * 500000 + b'"'
    room.publisher().one(room.topic("press-1", "text"), text)
    agent.wait_delivered(1)
    assert len(room.samples()[0].data["value_str"]) == 500000


def test_a_record_kafka_never_takes_holds_up_nobody(room):
    """Over the broker's limit of 1 MB: dead letter, told in the ledger; what comes behind it goes on."""
    agent = room.agent({"spool": {"batch_bytes": "4MiB"}, "mqtt": {"max_payload": "4MiB"}}).start()
    publisher = room.publisher()
    publisher.one(room.topic("press-1", "a"), b"1.5")
    publisher.one(room.topic("press-1", "text"), b'"' + b"x" * 3000000 + b'"')
    publisher.one(room.topic("press-1", "b"), b"2.5")
    s = agent.wait("the others to be delivered", lambda s: s["accepted"] == 3 and s["held"] == 0)
    assert (s["delivered"], s["dropped"]) == (2, 1), s
    assert [r.data["tag"] for r in room.samples()] == ["a", "b"]
    ledger = agent.listing("spool", "dropped")
    assert [(d["first_seq"], d["last_seq"]) for d in ledger] == [(2, 2)], ledger


def fails_with(path_or_args, code, *words):
    args = path_or_args if isinstance(path_or_args, list) else ["--config", path_or_args]
    done = subprocess.run([program("millraced"), *map(str, args)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=20, check=False)
    said = done.stderr + done.stdout
    assert done.returncode == code, f"exit {done.returncode}, expected {code}\n{said}"
    for word in words:
        assert word in said, f"'{word}' is not in: {said}"
    return said


CONFIG_FAULTS = [  # (replace, by, what has to be named)
    ("gateway:", "gatewya:", ["gatewya", "gateway", ":1:1"]),
    ("path:", "paht:", ["paht", "path"]),
    ("brokers: [127.0.0.1:9092]", "brokers: 7", ["brokers"]),
    ("commit_interval: 1s", "commit_interval: 5", ["commit_interval"]),
    ("commit_interval: 1s", "commit_interval: soon", ["commit_interval", "soon"]),
    ("payload: number", "payload: nubmer", ["nubmer", "number"]),
    ("gateway: gw-7", "gateway: gw 7", ["gateway"]),
    ("gateway: gw-7", "gateway: gw-7\ngateway: gw-8", ["gateway"]),
    ("gateway: gw-7", "gateway: &a gw-7", ["anchor"]),
    ("gateway: gw-7", "gateway: \"g\\0w\"", ["gateway"]),
    ("mqtt:", "mqtt: [", []),
    ("url: mqtt://127.0.0.1:1883", "url: http://127.0.0.1", ["url"]),
]
GOOD = """gateway: gw-7
spool:
  path: /nonexistent/spool.db
  commit_interval: 1s
kafka:
  brokers: [127.0.0.1:9092]
mqtt:
  - name: plant
    url: mqtt://127.0.0.1:1883
    subscriptions:
      - {topic: "factory/{line}/{source}/{tag}", payload: number}
"""


@pytest.mark.parametrize("fault", CONFIG_FAULTS, ids=[f[1].split("\n")[-1] for f in CONFIG_FAULTS])
def test_a_wrong_configuration_is_told_with_its_place(tmp_path, fault):
    old, new, words = fault
    path = tmp_path / "millrace.yaml"
    path.write_text(GOOD)
    tool("check", path, code=0)
    assert old in GOOD
    path.write_text(GOOD.replace(old, new, 1))
    said = fails_with(path, 78, f"{path}:", *words)
    check = tool("check", path, code=78)
    place = next(line for line in said.splitlines() if f"{path}:" in line)
    assert place[place.index(str(path)):] in check.stderr + check.stdout, "check says what the daemon says"


NO_CONFIG = {
    "empty": b"", "nul": b"\x00\x00", "utf-16": b"\xff\xfe\x00", "tabs": b"\t\t\t\n", "a-list": b"- 1\n- 2\n",
    "brackets": b"[" * 10000, "colons": b"a: " * 5000, "two-documents": b"gateway: gw-7\n---\ngateway: gw-8\n",
    "yaml-9.9": b"%YAML 9.9\n", "a-text": b"just a text\n",
}


@pytest.mark.parametrize("content", NO_CONFIG.values(), ids=NO_CONFIG.keys())
def test_a_file_that_is_no_configuration(tmp_path, content):
    path = tmp_path / "millrace.yaml"
    path.write_bytes(content)
    fails_with(path, 78, str(path))
    tool("check", path, code=78)


def test_a_missing_configuration(tmp_path):
    fails_with(tmp_path / "nothing.yaml", 78, "nothing.yaml")
    tool("check", tmp_path / "nothing.yaml", code=78)


@pytest.mark.parametrize("args", [[], ["--nonsense"], ["--config"], ["--config", "x", "y"]])
def test_wrong_usage_of_the_daemon(args):
    done = subprocess.run([program("millraced"), *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20,
                          check=False)
    assert done.returncode in ((2, 78) if not args else (2,)), done
    assert done.stderr.strip()


WITHOUT_STREAMS = ["/bin/sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-']


def test_standard_streams_that_came_closed_are_not_taken_for_files(room):
    """Some supervisors start programs so; the numbers 0 to 2 would be the spool's and the sockets'."""
    agent = room.agent()
    agent.under = WITHOUT_STREAMS
    agent.start()
    for fd in (0, 1, 2):
        assert os.readlink(f"/proc/{agent.process.child.pid}/fd/{fd}") == "/dev/null"
    room.publisher().one(room.topic("press-1", "temp"), b"1.5")
    agent.wait_delivered(1)
    agent.stop()


def test_the_tool_does_not_take_a_closed_output_for_a_written_one(tmp_path):
    (tmp_path / "millrace.yaml").write_text(GOOD)
    done = subprocess.run([*WITHOUT_STREAMS, program("millrace"), "check", tmp_path / "millrace.yaml"], timeout=20, check=False)
    assert done.returncode == 1, "the output is lost, and that is told"


def spool_at(room, path):
    agent = room.agent()
    agent.conf["spool"]["path"] = str(path)
    agent.write()
    return agent


def test_a_spool_path_that_cannot_be_written(room):
    (room.folder / "file").write_text("")
    for path in (room.folder / "file" / "spool.db", "/proc/spool.db", room.folder):
        agent = spool_at(room, path)
        said = fails_with(agent.config, 69, str(path))
        assert len(said.splitlines()) < 10, said


def test_a_spool_that_is_no_database(room):
    """The file is not thrown away."""
    path = room.folder / "spool.db"
    path.write_bytes(b"this is no database, but somebody may want it\n" * 100)
    agent = room.agent()
    agent.spawn()
    code = None
    try:
        code = agent.process.child.wait(3)
    except subprocess.TimeoutExpired:
        agent.stop()
    kept = [p for p in room.folder.iterdir() if p.is_file() and b"somebody may want it" in p.read_bytes()]
    assert kept, "the file has gone"
    assert code in (None, 69), agent.log_tail()


def test_a_second_daemon_on_the_same_spool_is_refused(room):
    agent = room.agent().start()
    said = fails_with(agent.config, 69)
    assert "millrace.sock" in said or "spool" in said, said
    room.publisher().one(room.topic("p0", "temp"), b"1.5")
    agent.wait_delivered(1)
    assert len(room.samples()) == 1


def test_a_socket_left_over_by_a_crash_is_replaced(room):
    agent = room.agent().start()
    agent.kill()
    assert os.path.exists(room.folder / "millrace.sock")
    agent.start()
    agent.stop()


def test_another_gateways_spool_is_refused(room):
    agent = room.agent().start()
    agent.stop()
    agent.conf["gateway"] = "another"
    agent.write()
    fails_with(agent.config, 69, room.gateway, "another")
