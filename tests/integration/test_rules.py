"""`millrace rules`: recordings in, alarms out, to the letter of the contract."""

import json
import random

from rig.agent import tool

RULES = """
alarms:
  - {match: "press-*/temp", rule: limits, hihi: 95, hi: 85, deadband: 2, on_delay: 5s, off_delay: 10s, severity: 700}
  - {match: "*/*", rule: silent, after: 60s}
"""


def files(folder, rules, rows):
    (folder / "rules.yaml").write_text(rules)
    (folder / "press-1.csv").write_text("".join(row + "\n" for row in rows))
    return "--rules", folder / "rules.yaml", "--input", folder / "press-1.csv"


def objects(text):
    return [json.loads(line) for line in text.splitlines()]


def test_transitions_and_summary(tmp_path):
    args = files(tmp_path, RULES, ["time,temp,power", "1700000000,84,1", "1700000001,86,", "2023-11-14T22:13:24Z,90,",
                                   "1700000030,80,", "1700000200,80,1"])
    *lines, summary = objects(tool("rules", "test", *args, "--json").stdout)
    told = [(o["ts_us"] // 1000000 - 1700000000, o["source"], o["tag"], o["rule"], o["limit_kind"], o["state"], o["value"])
            for o in lines]
    assert told == [
        (6, "press-1", "temp", "limits", "hi", "active", 90.0),
        (40, "press-1", "temp", "limits", "hi", "returned", 80.0),
        (60, "press-1", "power", "silent", "silent", "active", None),
        (90, "press-1", "temp", "silent", "silent", "active", None),
        (200, "press-1", "temp", "silent", "silent", "returned", 80.0),
        (200, "press-1", "power", "silent", "silent", "returned", 1.0),
    ]
    assert lines[0]["ts"] == "2023-11-14T22:13:26.000000Z"
    assert lines[0]["event_id"] == lines[1]["event_id"] != lines[2]["event_id"]
    assert summary == {"summary": {"readings": 7, "activations": 3, "per_rule": {"limits": 1, "silent": 2}}}
    explained = tool("rules", "test", *args, "--explain", lines[0]["event_id"]).stdout
    assert "active" in explained and "returned" in explained and "86.0" in explained and "silent" not in explained
    tool("rules", "test", *args, "--explain", "0000000000000000", code=1)


def test_source_by_name(tmp_path):
    args = files(tmp_path, RULES, ["time,temp", "0,99", "10,99"])
    assert objects(tool("rules", "test", *args, "--source", "oven", "--json").stdout)[-1]["summary"]["activations"] == 0


def test_what_is_wrong(tmp_path):
    tool("rules", "test", code=2)
    tool("rules", "learn", code=2)
    args = files(tmp_path, RULES, ["time,temp", "noon,99"])
    assert "line 2" in tool("rules", "test", *args, code=1).stderr
    tool("rules", "test", *args[:2], "--input", tmp_path / "nothing.csv", code=69)
    args = files(tmp_path, "alarms:\n  - {match: a/b, rule: limit}\n", ["time,temp", "1,99"])
    assert "did you mean limits?" in tool("rules", "test", *args, code=78).stderr
    args = files(tmp_path, "gateway: x\n", ["time,temp", "1,99"])
    assert "alarms" in tool("rules", "test", *args, code=78).stderr


def test_learned_rules_are_rules(tmp_path):
    noise = random.Random(4)
    rows = ["time,temp,still,state"] + [f"{1700000000 + i},{70 + noise.gauss(0, 1):.3f},4,idle" for i in range(2000)]
    args = files(tmp_path, RULES, rows)
    learned = tool("rules", "learn", *args[2:]).stdout
    assert "press-1/still" in learned and "press-1/state" in learned
    (tmp_path / "learned.yaml").write_text(learned)
    summary = objects(tool("rules", "test", "--rules", tmp_path / "learned.yaml", *args[2:], "--json").stdout)[-1]["summary"]
    assert summary == {"readings": 6000, "activations": 0, "per_rule": {"limits": 0}}


def test_a_spool_is_a_recording(room, tmp_path):
    agent = room.agent(kafka="127.0.0.1:9").start(links=False)
    agent.wait("MQTT", lambda s: s["drivers"][0]["state"] == "up")
    publisher = room.publisher()
    publisher.publish((room.topic("press-1", "temp"), b"%d" % (80 + 20 * (i // 50 % 2)), i) for i in range(300))
    agent.wait("them to be held", lambda s: s["held"] == 300)
    (tmp_path / "rules.yaml").write_text("alarms:\n  - {match: '*/temp', rule: limits, hi: 90}\n")
    *lines, summary = objects(tool("rules", "test", "--rules", tmp_path / "rules.yaml", "--input", agent.spool, "--json").stdout)
    assert summary["summary"] == {"readings": 300, "activations": 3, "per_rule": {"limits": 3}}
    assert [o["state"] for o in lines] == ["active", "returned"] * 2 + ["active"]
