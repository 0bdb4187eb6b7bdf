"""Tags that differ by their labels alone: each has its own alarms, ids, retained topics and commands, before and after a restart."""

import json

from test_alarms_retained import Screen

RULES = [{"name": "hot", "match": "press/temp", "rule": "limits", "hi": 50, "severity": 700}]


def publish(room, *pairs):
    publisher = room.publisher()
    for line, value in pairs:
        publisher.one(f"{room.gateway}/{line}/press/temp", str(value))
    publisher.close()
    return len(pairs)


def start(room, **settings):
    return room.agent({"alarms": RULES, "notify": {"mqtt": {"connection": "plant"}}, **settings}).start()


def listed(agent, *args):
    return {r["labels"]["line"]: r["state"] for r in agent.listing("alarms", "ls", *args)}


def is_state(name):
    return lambda e: e and e["alarm_state"] == name


def test_two_lines_have_two_alarms(room):
    agent = start(room)
    screen = Screen(room.mosquitto.port, room.gateway)
    n = publish(room, ("l1", 60))
    agent.wait_delivered(n)
    screen.wait("press/temp/hot", is_state("unack"))  # the only one of its name
    n += publish(room, ("l2", 70), ("l2", 10))
    agent.wait_delivered(n)
    screen.wait("press/temp{line=l1}/hot", is_state("unack"))
    screen.wait("press/temp{line=l2}/hot", is_state("rtn_unack"))
    screen.wait("press/temp/hot", lambda e: e is None)
    assert screen.now["press/temp{line=l2}/hot"]["tag"] == "temp" and screen.now["press/temp{line=l2}/hot"]["line"] == "l2"
    assert listed(agent) == {"l1": "unack", "l2": "rtn_unack"}
    agent.wait("the events to be delivered", lambda s: s["events"]["held"] == 0)
    events = [r.data for r in room.events() if r.data.get("kind") == "alarm"]
    assert [(e["line"], e["tag"], e["state"]) for e in events] == [("l1", "temp", "active"), ("l2", "temp", "active"), ("l2", "temp", "returned")]
    assert events[0]["event_id"] != events[1]["event_id"] == events[2]["event_id"]

    said = agent.tool("alarms", "ack", "press/temp/hot", code=1)
    assert "press/temp{line=l1}/hot" in said.stderr and "press/temp{line=l2}/hot" in said.stderr
    agent.tool("alarms", "ack", "press/temp{line=l2}/hot", "--operator", "kim")
    assert listed(agent) == {"l1": "unack"}
    agent.tool("alarms", "shelve", "press/temp{line=l1}/hot", "--for", "1h", "--operator", "kim")
    assert listed(agent, "--all") == {"l1": "shelved", "l2": "normal"}
    assert listed(agent, "--all", "--tag", "press/temp{line=l2}") == {"l2": "normal"}
    assert [(r["labels"]["line"], r["change"]) for r in agent.listing("alarms", "history", "--tag", "press/temp{line=l2}")] == [
        ("l2", "active"), ("l2", "returned"), ("l2", "acked")]

    agent.restart()
    assert listed(agent) == {"l1": "shelved"}
    agent.tool("alarms", "unshelve", "press/temp{line=l1}/hot", "--operator", "kim")
    assert listed(agent) == {"l1": "unack"}
    agent.stop()
    assert listed(agent, "--all") == {"l1": "unack", "l2": "normal"}  # from the file
    screen.close()


def test_the_other_commands(room):
    agent = start(room)
    n = publish(room, ("l1", 1), ("l2", 2))
    agent.wait_delivered(n)
    said = agent.tool("send", "press/temp", "9", code=1)
    assert "press/temp{line=l1}" in said.stderr and "press/temp{line=l2}" in said.stderr
    agent.tool("send", "press/temp{line=l2}", "3")
    agent.tool("send", "press/temp{line=l3}", "4")
    agent.wait_delivered(n + 2)
    rows = [(r["line"], r["value"]) for r in agent.listing("spool", "tail", "-n", "9")]
    assert rows == [("l1", 1.0), ("l2", 2.0), ("l2", 3), ("l3", 4)]
    assert [r["value"] for r in agent.listing("spool", "tail", "-n", "9", "--tag", "press/temp{line=l2}")] == [2.0, 3]
    assert [r["labels"] for r in agent.listing("tags", "--tag", "press/temp{line=l2}")] == [{"line": "l2"}]
    records = [r.data for r in room.samples()]
    assert len({(r["source"], r["tag"], r["line"]) for r in records}) == 3


def test_a_recording_has_both_lines(room):
    """`rules test` over the spool: the same two alarms, whatever the one line's readings are between the other's."""
    agent = start(room)
    agent.wait_delivered(publish(room, ("l1", 60), ("l2", 10), ("l1", 61), ("l2", 70), ("l1", 10)))
    agent.stop()
    lines = agent.tool("rules", "test", "--rules", agent.config, "--input", agent.spool, "--json").stdout.splitlines()
    steps = [json.loads(line) for line in lines][:-1]
    assert [(s["tag"], s["line"], s["state"], s["value"]) for s in steps] == [
        ("temp", "l1", "active", 60.0), ("temp", "l2", "active", 70.0), ("temp", "l1", "returned", 10.0)]


def test_a_rule_for_one_line(room):
    agent = start(room, alarms=[{"name": "hot", "match": "press/temp{line=l2}", "rule": "limits", "hi": 50, "severity": 700}])
    agent.wait_delivered(publish(room, ("l1", 60), ("l2", 70)))
    assert listed(agent) == {"l2": "unack"}
    agent.tool("alarms", "ack", "press/temp/hot", "--operator", "kim")  # there is no other
    assert json.dumps(listed(agent)) == '{"l2": "acked"}'
