"""The command-line tool: exit codes, forms of output, with the daemon running and without."""

import json
import os
import re
import stat

import pytest

from rig import records
from rig.agent import tool
from test_kill9 import Steady

COMMANDS = ["status", "check", "try", "doctor", "tags", "send", "demo", "spool ls", "spool show", "spool tail", "spool export", "spool stats"]


@pytest.fixture
def filled(room):
    """An agent whose Kafka is away, so that 300 readings of 3 tags are held."""
    agent = room.agent(kafka="127.0.0.1:9").start(links=False)
    agent.wait("MQTT", lambda s: s["drivers"][0]["state"] == "up")
    publisher = room.publisher()
    publisher.publish((room.topic("press-1", f"t{i % 3}"), b"%d.25" % i, i) for i in range(300))
    agent.wait("them to be held", lambda s: s["held"] == 300)
    return agent


@pytest.mark.parametrize("command", COMMANDS)
def test_help(command):
    done = tool(*command.split(), "--help", code=0)
    assert command in done.stdout and "Example" in done.stdout and not done.stderr


def test_help_lists_every_command():
    text = tool("--help", code=0).stdout
    assert all(c in text for c in COMMANDS)
    assert re.match(r"millrace \d+\.\d+", tool("--version", code=0).stdout)


@pytest.mark.parametrize("args", [[], ["nonsense"], ["stauts"], ["status", "--nonsense"], ["status", "extra"], ["spool"],
                                  ["spool", "nonsense"], ["send", "only-one"], ["spool", "show"], ["check", "a", "b"],
                                  ["spool", "tail", "-n", "many"], ["spool", "show", "x"], ["--config"]])
def test_wrong_usage_is_2(args):
    done = tool(*args, code=2)
    assert done.stderr.strip() and not done.stdout, "the reason goes to standard error"


def test_did_you_mean():
    assert "status" in tool("stauts", code=2).stderr


def test_a_tag_that_is_not_there_is_1(filled):
    for command in ("tags", "spool tail", "spool export", "spool stats"):
        done = filled.tool(*command.split(), "--tag", "press-1/nothing", code=1)
        assert "knows no tag press-1/nothing" in done.stderr and not done.stdout, (command, done)


def test_what_is_told_of_words_from_outside_has_no_escapes(tmp_path):
    done = tool("spool", "ls", "--spool", tmp_path / "a\x1b[31mb", code=69)
    assert "\x1b" not in done.stderr and "a?[31mb" in done.stderr


def test_a_spool_that_is_not_there_is_69(tmp_path):
    for command in ("ls", "tail", "export", "stats", "dropped", "quarantine"):
        done = tool("spool", command, "--spool", tmp_path / "nothing.db", code=69)
        assert "nothing.db" in done.stderr
    assert not os.path.exists(tmp_path / "nothing.db"), "looking makes no file"


def test_a_file_that_is_no_spool_is_69(tmp_path):
    (tmp_path / "other.db").write_bytes(b"something else" * 1000)
    assert "other.db" in tool("spool", "ls", "--spool", tmp_path / "other.db", code=69).stderr


def test_a_wrong_configuration_is_78(tmp_path):
    path = tmp_path / "millrace.yaml"
    path.write_text("gatewya: x\n")
    for command in (["status"], ["tags"], ["spool", "ls"]):
        assert "gatewya" in tool("--config", path, *command, code=78).stderr
    faults = [json.loads(line) for line in tool("check", path, "--json", code=78).stdout.splitlines()]
    assert faults and all({"file", "line"} <= f.keys() for f in faults), faults


def test_all_faults_in_one_run(tmp_path):
    path = tmp_path / "millrace.yaml"
    path.write_text("gateway: gw 7\nspool:\n  path: relative.db\n  max_size: 5\nkafka:\n  brokers: []\n  compression: lz5\n")
    lines = tool("check", path, code=78).stderr.splitlines()
    places = [re.match(re.escape(str(path)) + r":(\d+):(\d+): ", line) for line in lines]
    assert {int(p.group(1)) for p in places if p} >= {1, 3, 4, 7}, lines
    assert "lz4" in "\n".join(lines), "what is allowed, or was probably meant"


@pytest.mark.parametrize("name", ["river.yaml", "factory.yaml"])
def test_the_examples_pass_the_check(name):
    tool("check", os.path.join(os.path.dirname(os.path.abspath(__file__)), "examples", name), code=0)


def everything(agent):
    """What every read-only command says of `filled`."""
    rows = agent.listing("spool", "export")
    assert [r["seq"] for r in rows] == list(range(1, 301))
    assert [r["value"] for r in rows] == [i + 0.25 for i in range(300)]
    for row in rows[:5]:
        assert records.REQUIRED <= row.keys()
    tail = agent.listing("spool", "tail", "-n", "5")
    assert tail == rows[-5:]
    shown = json.loads(agent.tool("spool", "show", "7", "--json").stdout)
    assert shown["seq"] == 7 and shown["value"] == 6.25
    agent.tool("spool", "show", "999999", code=1)
    assert "press-1" in agent.tool("spool", "stats").stdout
    assert agent.tool("spool", "ls").stdout and agent.listing("spool", "ls")
    tags = agent.listing("tags")
    assert {(t["source"], t["tag"]) for t in tags} == {("press-1", f"t{i}") for i in range(3)}
    assert "press-1" in agent.tool("tags").stdout
    csv = agent.tool("spool", "export", "--csv", "--tag", "press-1/t1").stdout.splitlines()
    assert len(csv) == 101 and csv[0].startswith("seq,")
    elsewhere = tool("spool", "export", "--json", "--spool", agent.spool).stdout
    assert len(elsewhere.splitlines()) == 300


def test_every_listing_with_the_daemon(filled):
    everything(filled)
    table = filled.tool("status", code=None).stdout
    assert "300" in table and filled.gateway in table


def test_every_listing_without_the_daemon(filled):
    filled.stop()
    everything(filled)
    filled.tool("send", "a/b", "1", code=69)


def test_every_listing_after_kill9(filled):
    filled.kill()
    everything(filled)


def test_export_is_what_kafka_gets_byte_for_byte(room, filled):
    lines = filled.tool("spool", "export", "--json").stdout.splitlines()
    filled.stop()
    filled.conf["kafka"]["brokers"] = [room.kafka.brokers]
    filled.write()
    filled.start()
    filled.wait_delivered(300)
    mine = room.samples()
    assert sorted(lines) == sorted(r.value.decode() for r in mine)


SENT = [("71", '"value":71.0'), ("-3.5", '"value":-3.5'), ("true", '"value_bool":true'), ("hello", '"value_str":"hello"'),
        ('"71.3"', '"value_str":"71.3"'), ("9007199254740993", '"value_int":9007199254740993')]


def test_send(room):
    agent = room.agent().start()
    for i, (value, _) in enumerate(SENT):
        assert f":{i + 1}" in agent.tool("send", f"test/t{i}", value, "--unit", "degC").stdout
    agent.wait_delivered(len(SENT))
    by_tag = {r.data["tag"]: r for r in room.samples()}
    for i, (value, wanted) in enumerate(SENT):
        r = by_tag[f"t{i}"]
        records.check_contract(r)
        assert wanted.encode() in r.value and r.data["unit"] == "degC", (value, r.value)
    agent.tool("send", "no slash", "1", code=2)


def test_readers_do_not_hold_up_the_daemon(room):
    """Listings of a live spool while readings flow: every one is a consistent picture, and none is refused."""
    agent = room.agent().start()
    steady = Steady(room, 2000)
    for _ in range(15):
        rows = agent.listing("spool", "export", "--all")
        seqs = [r["seq"] for r in rows]
        assert seqs == sorted(set(seqs))
        agent.listing("tags")
    agent.wait_delivered(len(steady.finish()))


def test_the_control_socket_is_for_user_and_group_only(filled):
    mode = os.stat(os.path.join(filled.folder, "millrace.sock")).st_mode
    assert stat.S_ISSOCK(mode) and not mode & 0o007, oct(mode)
    mode = os.stat(filled.spool).st_mode
    assert not mode & 0o002, oct(mode)
