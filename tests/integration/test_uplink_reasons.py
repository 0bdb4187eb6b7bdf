"""Why nothing, or not all, goes to Kafka: the reason that stands now, with its time, and of what it is one."""

import pytest

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
    assert "127.0.0.1:9/" in s["uplink"]["last_error"] and s["uplink"]["last_error_at"], s["uplink"]
    assert all(lane["why"] and lane["why_at"] for lane in s["uplink"]["lanes"]), s["uplink"]


def test_a_heartbeat_that_kafka_does_not_take_is_told_and_readings_go_on(room):
    agent = room.agent({"kafka": {"status_topic": "no_such_topic"}}).start()
    room.publisher().one(room.topic("press-1", "temp"), b"1.5")
    s = agent.wait("the reason", lambda s: s["heartbeat"]["state"] == "refused" and s["delivered"] == 1, 90)
    assert "no_such_topic" in s["heartbeat"]["why"] and s["heartbeat"]["why_at"], s["heartbeat"]
    assert s["health"] == "degraded" and s["uplink"]["state"] == "up"
    assert [lane["state"] for lane in s["uplink"]["lanes"]] == ["up"] * len(s["uplink"]["lanes"])
    assert "heartbeat: " in agent.tool("status", code=1).stdout
