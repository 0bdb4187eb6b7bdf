"""kill -9 at random moments while values cross their limits all the time: what was acknowledged and crossed a limit is told.

Every value is a number of its own, so a transition's `value` says which message did it.  What must have happened is worked
out here from the values alone; against it are held Kafka's events, the alarm journal, the retained messages and what a
hook wrote down.  Shelved alarms stay shelved, with the operator and the comment.
"""

import collections
import json
import os
import random
import threading
import time

import paho.mqtt.client as paho
import pytest

from rig import records, wait
from rig.bad_disk import BadDisk

LIMIT, DEADBAND = 1000000, 1000
TAGS = 6
RATE = 25  # a second, over all tags
SHELVED = (4, 5)


class Crossing(threading.Thread):
    """Publishes numbers that cross the limit now and then, in order, until it is told to stop."""

    def __init__(self, room, dice):
        super().__init__(daemon=True)
        self.publisher, self.going, self.fault = room.publisher(), True, None
        self.topics = [room.topic(f"p{i}", "v") for i in range(TAGS)]
        self.dice = random.Random(dice.random())
        self.sent = []  # (tag, value)
        self.start()

    def messages(self):
        while self.going:
            k = len(self.sent)
            high = self.dice.random() < 0.3
            value = (LIMIT if high else 0) + k
            if not high and self.dice.random() < 0.3:
                value = LIMIT - 1 - k % (DEADBAND - 1)  # within the deadband: nothing happens
            self.sent.append((k % TAGS, value))
            yield self.topics[k % TAGS], b"%d" % value, k

    def run(self):
        try:
            self.publisher.publish(self.messages(), rate=RATE)
        except Exception as e:
            self.fault = e

    def finish(self):
        self.going = False
        self.join(60)
        assert not self.is_alive() and self.fault is None, self.fault
        assert len(self.publisher.acked) == len(self.sent)


class Board:
    """All messages of the alarms' topics, in order."""

    def __init__(self, port, gateway):
        self.all, self.retained, self.ready = [], {}, threading.Event()
        self.prefix = f"millrace/{gateway}/alarm"
        self.client = paho.Client(client_id=f"board-{gateway}-{random.random()}")
        self.client.on_message = self._on_message
        self.client.on_subscribe = lambda *a: self.ready.set()
        self.client.connect("127.0.0.1", port)
        self.client.subscribe(self.prefix + "/#", qos=1)
        self.client.loop_start()
        assert self.ready.wait(10)

    def _on_message(self, client, userdata, message):
        name, data = message.topic[len(self.prefix) + 1:], json.loads(message.payload)
        self.all.append((name, data))
        self.retained[name] = data

    def close(self):
        self.client.loop_stop()
        self.client.disconnect()


def should_have_happened(sent):
    """tag -> [(state, value)]: a second, naive reading of 'enters at the limit, leaves below limit - deadband'."""
    out, active = collections.defaultdict(list), collections.defaultdict(bool)
    for tag, value in sent:
        if not active[tag] and value >= LIMIT:
            active[tag] = True
            out[tag].append(("active", value))
        elif active[tag] and value < LIMIT - DEADBAND:
            active[tag] = False
            out[tag].append(("returned", value))
    return out


def tag_of(source):
    return int(source[1:])


def shelve(agent, comments):
    for i in SHELVED:
        comments[i] = f"round {i}: \"guard\" is off"
        agent.tool("alarms", "shelve", f"p{i}/v/hot", "--for", "2h", "--operator", f"kim-{i}", "-m", comments[i])


def check_shelved(agent):
    rows = {tag_of(r["source"]): r for r in agent.listing("alarms", "ls") if r["source"] != "x"}
    for i in SHELVED:
        assert rows[i]["state"] == "shelved" and rows[i]["shelved_until"], rows[i]


def test_a_hook_that_waits_for_its_turn_hears_it_after_a_kill(room, tmp_path):
    """Eight changes, a program that takes half a second for each, a kill in the middle: all are heard, under their ids."""
    hook, told = str(tmp_path / "hook"), str(tmp_path / "told")
    with open(hook, "w", encoding="ascii") as f:
        f.write(f"#!/bin/sh\nsleep 0.5\nexec cat >> '{told}'\n")
    os.chmod(hook, 0o755)
    agent = room.agent({"alarms": [{"name": "hot", "match": "p*/v", "rule": "limits", "hi": LIMIT, "severity": 500}],
                        "notify": {"exec": {"command": [hook], "max_per_minute": 6000}}}).start()
    publisher = room.publisher()
    for i in range(4):
        publisher.one(room.topic(f"p{i}", "v"), b"%d" % (LIMIT + i))
        publisher.one(room.topic(f"p{i}", "v"), b"%d" % i)

    def heard():
        try:
            with open(told, encoding="utf-8") as f:
                return [json.loads(line) for line in f]
        except FileNotFoundError:
            return []

    wait.until("three to be told", 20, lambda: len(heard()) >= 3)
    agent.kill()
    agent.start()
    wait.until("all to be told", 30, lambda: len({(e["event_id"], e["state"]) for e in heard()}) == 8, detail=lambda: str(heard()))
    noted = {(n["event_id"], n["change"]) for n in agent.listing("alarms", "history")}
    assert {(e["event_id"], e["state"]) for e in heard()} == noted
    again = [e for e in heard() if e.get("again")]
    assert again and all(e["limit"] == LIMIT and e["value"] == LIMIT + tag_of(e["source"]) for e in again if e["state"] == "active")
    agent.wait("the queue to be empty", lambda s: s["alarms"]["notify"]["exec"]["waiting"] == 0)
    time.sleep(1)
    n = len(heard())
    agent.stop()
    agent.start()  # after a clean end nothing is told again
    time.sleep(1.5)
    assert len(heard()) == n
    for i in range(20):  # more than ten: one message for all
        publisher.one(room.topic(f"p{i}", "v"), b"%d" % (LIMIT + i))
    agent.wait("all to be taken", lambda s: s["held"] == 0 and s["accepted"] >= 28)
    agent.kill()
    agent.start()
    group = wait.until("the group", 20, lambda: [e for e in heard() if e["kind"] == "alarm_group"], detail=lambda: str(heard()[n:]))[-1]
    assert group["activated"] >= 10 and group["worst_event_id"] in {e for e, _ in noted} | {
        n["event_id"] for n in agent.listing("alarms", "history")}


@pytest.mark.parametrize("disk", ["fast", "slow"])
def test_kills_lose_no_transition(room, tmp_path, disk):
    """On a slow disk a kill falls between telling and storing as a rule, not as an exception."""
    rounds = int(os.environ.get("MILLRACE_KILLS", "60" if os.environ.get("MILLRACE_FULL") else "12"))
    dice = random.Random(os.environ.get("MILLRACE_SEED", "watchman"))
    hook, told = str(tmp_path / "hook"), str(tmp_path / "told")
    with open(hook, "w", encoding="ascii") as f:
        f.write(f"#!/bin/sh\nexec cat >> '{told}'\n")
    os.chmod(hook, 0o755)
    agent = room.agent({
        "alarms": [{"name": "hot", "match": "p*/v", "rule": "limits", "hi": LIMIT, "deadband": DEADBAND, "severity": 500}],
        "notify": {"mqtt": {"connection": "plant"}, "exec": {"command": [hook], "max_per_minute": 6000}}})
    if disk == "slow":
        bad = BadDisk(room.folder, room.folder / "bad-disk")
        bad.say("slow 300 fdatasync fsync")
        agent.env = bad.env()
    agent.start()
    board = Board(room.mosquitto.port, room.gateway)
    crossing = Crossing(room, dice)
    comments = {}
    wait.until("the first alarms", 30, lambda: len(crossing.sent) > 40)
    agent.wait("all tags", lambda s: s["accepted"] > 20)
    shelve(agent, comments)
    for i in range(rounds):
        time.sleep(dice.uniform(0.02, 1.5))
        agent.kill()
        if i % 4 == 3:
            check_shelved(agent)  # as the file says
        agent.start(links=False) if dice.random() < 0.7 else agent.spawn()
    agent.process.alive() or agent.spawn()
    agent.wait("its links", agent.linked)
    crossing.finish()
    agent.wait_delivered(len(crossing.sent))
    agent.wait("the events to be delivered", lambda s: s["events"]["held"] == 0 and not s["alarms"]["notify"]["mqtt"]["behind"])
    check_shelved(agent)
    want = should_have_happened(crossing.sent)
    assert sum(map(len, want.values())) > 10 * rounds / 4, "too few transitions for a test"

    # Kafka: each transition once (or again, byte for byte), none else, an activation's id is its own
    unique, again = records.by_id([r for r in room.events() if r.data["kind"] == "alarm"])
    events = collections.defaultdict(list)
    for r in sorted(unique.values(), key=lambda r: r.data["seq"]):
        if r.data["state"] in ("active", "returned"):
            events[tag_of(r.data["source"])].append(r.data)
    for tag, steps in want.items():
        assert [(e["state"], e["value"]) for e in events[tag]] == steps, tag
    ids = {}
    for tag, mine in events.items():
        for e in mine:
            assert ids.setdefault((tag, e["activations"]), e["event_id"]) == e["event_id"], e
        assert [e["activations"] for e in mine if e["state"] == "active"] == list(range(1, 1 + sum(e["state"] == "active" for e in mine)))
    assert len(set(ids.values())) == len(ids)

    # the journal: the same, with what the operators said
    journal = agent.listing("alarms", "history")
    for tag, mine in events.items():
        noted = [(n["change"], n["value"], n["event_id"]) for n in journal if n["source"] == f"p{tag}" and n["change"] in ("active", "returned")]
        assert noted == [(e["state"], e["value"], e["event_id"]) for e in mine], tag
    assert {tag_of(n["source"]): (n["operator"], n["comment"]) for n in journal if n["change"] == "shelved"} == {
        i: (f"kim-{i}", comments[i]) for i in SHELVED}

    # the retained messages: nothing under another id, and in the end the present state
    rows = {r["source"]: r for r in agent.listing("alarms", "ls", "--all")}
    for name, e in board.all:
        if name and e["activations"]:
            assert e["event_id"] == ids[tag_of(e["source"]), e["activations"]], e
    wait.until("the retained states", 70, lambda: all(
        (board.retained.get(f"{s}/v/hot", {}).get("event_id"), board.retained.get(f"{s}/v/hot", {}).get("alarm_state")) ==
        (r["event_id"], r["state"]) for s, r in rows.items()), detail=lambda: json.dumps([board.retained, rows]))

    # the hook: all that was not left to a group or hidden by a shelf
    with open(told, encoding="utf-8") as f:
        heard = [json.loads(line) for line in f]
    for e in heard:
        if e["kind"] == "alarm":  # one that is told again says no count
            assert e["event_id"] == ids[tag_of(e["source"]), e["activations"]] if "activations" in e else e["event_id"] in ids.values(), e
    groups = [(e["since_ts"], e["until_ts"]) for e in heard if e["kind"] == "alarm_group"]  # what many kills in a row left untold
    heard = {(e["event_id"], e["state"]) for e in heard if e["kind"] == "alarm"}
    single = [e for tag, mine in events.items() if tag not in SHELVED for e in mine if not e.get("grouped")]
    missing = [(e["source"], e["value"], e["event_id"], e["state"]) for e in single
               if (e["event_id"], e["state"]) not in heard and not any(a <= e["ts"] <= b for a, b in groups)]
    seen = {(e["event_id"], e["state"]) for name, e in board.all if name}
    unseen = [(e["source"], e["value"], e["event_id"], e["state"]) for e in single if (e["event_id"], e["state"]) not in seen]
    print(f"{rounds} kills, {sum(map(len, want.values()))} transitions, {len(single)} told one by one; {again} events sent twice; "
          f"hook missed {len(missing)}, MQTT missed {len(unseen)}")
    assert not missing, missing
    assert len(unseen) <= rounds // 6, unseen  # killed before MQTT was connected: seen as their states only
    board.close()
