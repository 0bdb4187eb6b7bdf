"""Why nothing, or not all, goes to Kafka: the reason that stands now, with its time, and of what it is one."""

import datetime

import pytest
from confluent_kafka.admin import AdminClient, NewTopic
from rig import kafka as kafkas
from rig.kafka import Kafka
from rig.room import open_room


@pytest.fixture
def misled(tmp_path, jars, mosquitto):
    """A room whose broker answers, and names a place where nobody is."""
    folder = tmp_path / "kafka"
    folder.mkdir()
    broker = Kafka(folder, jars)
    with open_room(tmp_path, None, mosquitto) as made:
        try:
            broker.start().make_topics().stop()
            with open(broker.properties, "a", encoding="ascii") as f:
                f.write("advertised.listeners=PLAINTEXT://127.0.0.1:9\n")
            broker.start()
            yield made.agent(kafka=broker.brokers)
        finally:
            broker.kill()


def test_an_advertised_address_where_nobody_is_is_named(misled):
    misled.start(links=False)
    s = misled.wait("the reason", lambda s: s["uplink"]["state"] == "down", 60)
    assert "127.0.0.1:9: " in s["uplink"]["last_error"] and s["uplink"]["last_error_at"], s["uplink"]
    assert all(lane["why"] and lane["why_at"] for lane in s["uplink"]["lanes"]), s["uplink"]


def test_a_heartbeat_that_kafka_does_not_take_is_told_and_readings_go_on(room):
    agent = room.agent({"kafka": {"status_topic": "no_such_topic"}}).start()
    room.publisher().one(room.topic("press-1", "temp"), b"1.5")
    s = agent.wait("the reason", lambda s: s["heartbeat"]["state"] == "refused" and s["delivered"] == 1, 90)
    assert "no_such_topic" in s["heartbeat"]["why"] and s["heartbeat"]["why_at"], s["heartbeat"]
    assert s["health"] == "degraded" and s["uplink"]["state"] == "up"
    assert [lane["state"] for lane in s["uplink"]["lanes"]] == ["up"] * len(s["uplink"]["lanes"])
    assert "kafka heartbeat, since " in agent.tool("status", code=1).stdout


# ---- rights ----

# A topic that has rules asks for rights, any other does not; nobody has a name.
GUARD = ["authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer", "allow.everyone.if.no.acl.found=true"]


def refuse(broker, topic):
    """It may be seen, as by a client whose rights are a reader's."""
    broker.tool("kafka.admin.AclCommand", "--add", "--topic", topic, "--allow-principal", "User:ANONYMOUS", "--operation", "Describe")
    broker.tool("kafka.admin.AclCommand", "--add", "--topic", topic, "--deny-principal", "User:ANONYMOUS", "--operation", "Write")


def allow(broker, topic):
    broker.tool("kafka.admin.AclCommand", "--remove", "--force", "--topic", topic)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory, jars):
    broker = Kafka(tmp_path_factory.mktemp("kafka-acl"), jars, extra=GUARD)
    try:
        yield broker.start().make_topics()
    finally:
        broker.kill()


@pytest.fixture
def guarded_room(tmp_path, guarded, mosquitto):
    with open_room(tmp_path, guarded, mosquitto) as made:
        yield made


def parts(status):
    """name -> (state, why, why_at) of all that has a reason of its own."""
    lanes = {lane["name"]: (lane["state"], lane["why"], lane["why_at"]) for lane in status["uplink"]["lanes"]}
    heartbeat = status["heartbeat"]
    return {**lanes, "heartbeat": (heartbeat["state"], heartbeat["why"], heartbeat["why_at"])}


def when(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


@pytest.mark.parametrize("part, topic", [("samples", kafkas.SAMPLES), ("events", kafkas.EVENTS), ("heartbeat", kafkas.STATUS)])
def test_a_topic_that_is_refused_alone_is_told_of_its_own_part_and_ends(guarded_room, guarded, part, topic):
    refuse(guarded, topic)
    began = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    agent = guarded_room.agent()
    try:
        agent.start(kafka=False)
        guarded_room.publisher().one(guarded_room.topic("press-1", "temp"), b"1.5")
        s = agent.wait("the reason", lambda s: topic in parts(s)[part][1], 60)
        state, why, at = parts(s)[part]
        assert "does not allow" in why and state in ("backoff", "refused") and when(at) >= began, parts(s)
        others = set(parts(s)) - {part}
        s = agent.wait("the others to go on", lambda s: all(parts(s)[o] == ("up", "", None) for o in others), 30)
        assert s["health"] == "degraded"
        shown = agent.tool("status", code=1).stdout
        assert "does not allow" in shown and topic in shown, shown
    finally:
        allow(guarded, topic)
    s = agent.wait("the end of the reason", lambda s: set(parts(s).values()) == {("up", "", None)} and s["health"] == "ok", 120)
    assert s["uplink"]["last_error"] == "", s
    agent.wait_delivered(1)


def test_a_link_that_breaks_takes_the_place_of_a_refusal(guarded_room, guarded):
    refuse(guarded, kafkas.SAMPLES)
    refuse(guarded, kafkas.STATUS)
    agent = guarded_room.agent().start(kafka=False)
    guarded_room.publisher().one(guarded_room.topic("press-1", "temp"), b"1.5")
    try:
        refused = parts(agent.wait("the refusals", lambda s: all("not allow" in parts(s)[p][1] for p in ("samples", "heartbeat")), 60))
        guarded.kill()
        s = agent.wait("the link to be down", lambda s: s["uplink"]["state"] == "down", 60)
        for name, (_, why, at) in parts(s).items():
            assert why and "does not allow" not in why and when(at) >= when(refused[name][2] or at), (name, parts(s))
        assert "does not allow" not in s["uplink"]["last_error"] and s["health"] == "degraded"
    finally:
        guarded.start()
        allow(guarded, kafkas.SAMPLES)
        allow(guarded, kafkas.STATUS)
    agent.wait("the end of all reasons", lambda s: set(parts(s).values()) == {("up", "", None)}, 120)


@pytest.fixture
def write_alone(guarded):
    """Write alone for whoever comes, as a careful administrator gives it: how the topics are set may not be seen."""
    topics = (kafkas.SAMPLES, kafkas.EVENTS, kafkas.STATUS, kafkas.BACKFILL, kafkas.RAW, "later_samples")
    for topic in topics:
        guarded.tool("kafka.admin.AclCommand", "--add", "--topic", topic, "--allow-principal", "User:ANONYMOUS", "--operation", "Write")
    yield
    for topic in topics:
        allow(guarded, topic)


def wrong_of(agent):
    """What was ever told as wrong, but for this machine's clock."""
    return [(e["name"], e["subject"]) for e in agent.listing("events", "--kind", "condition", "--since", "1h")
            if e["name"] != "clock_unsynced" and e["state"] == "began"]


def test_who_may_write_and_see_nothing_else_is_no_trouble(guarded_room, write_alone):
    agent = guarded_room.agent().start()
    guarded_room.publisher().one(guarded_room.topic("press-1", "temp"), b"1.5")
    agent.wait_delivered(1)
    asked = agent.tool("check", "--kafka").stdout
    found = agent.listing("doctor")
    assert agent.status()["health"] == "ok" and wrong_of(agent) == []
    assert "DescribeConfigs" in asked and "may not write" not in asked, asked
    kafka = [f for f in found if f["area"] == "kafka"]
    assert kafka and all(f["level"] in ("ok", "note") for f in kafka), kafka


def test_a_missing_topic_is_named_to_who_may_write_alone(guarded_room, guarded, write_alone):
    agent = guarded_room.agent({"kafka": {"samples_topic": "later_samples"}}).start(kafka=False)
    guarded_room.publisher().one(guarded_room.topic("press-1", "temp"), b"1.5")
    s = agent.wait("its name", lambda s: any("later_samples" in c["what"] for c in s["conditions"]), 60)
    assert s["conditions"][0]["name"] == "topic_missing", s["conditions"]
    admin = AdminClient(guarded.client)  # what it makes dies with it
    admin.create_topics([NewTopic("later_samples", num_partitions=1, replication_factor=1)])["later_samples"].result(30)
    agent.wait("the end of it", lambda s: s["held"] == 0 and s["delivered"] == 1 and s["health"] == "ok", 90)
    assert wrong_of(agent) == [("topic_missing", "kafka samples")], "not a broker that hangs"
