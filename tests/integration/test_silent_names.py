"""A name server that is silent: whoever asks it waits, nobody else does, and nobody at the end."""

import pytest

from rig.bad_disk import preload


@pytest.fixture
def silent(room):
    """Agents whose name server says nothing about *.silent."""
    def made(**how):
        agent = room.agent(**how)
        agent.env = preload("silent_names.so")
        return agent
    return made


def test_sigterm_ends_it_in_time_while_a_broker_s_name_is_looked_up(silent):
    agent = silent(mqtt_url="mqtt://nobody.silent:1883").start(links=False)
    agent.wait("Kafka", lambda s: s["uplink"]["state"] == "up")
    agent.stop()
    assert "everything committed" in agent.log()


def test_sigterm_ends_it_in_time_while_kafka_s_name_is_looked_up(room, silent):
    agent = silent(kafka="nobody.silent:9092").start(links=False)
    agent.wait("MQTT", lambda s: s["drivers"][0]["state"] == "up")
    room.publisher().one(room.topic("press-1", "temp"), b"1.5")
    agent.wait("the reading", lambda s: s["held"] == 1)
    agent.stop()
    assert "everything committed" in agent.log()
