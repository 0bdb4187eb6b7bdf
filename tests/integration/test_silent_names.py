"""A name server that is silent: whoever asks it waits, nobody else does, and nobody at the end."""

import pytest

from rig.bad_disk import preload
from rig.mosquitto import Mosquitto


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


def test_names_nobody_answers_for_cost_the_others_nothing(tmp_path, room, silent):
    """Six dead links; the broker of the seventh is restarted, and the link is back before any of the six has an answer."""
    folder = tmp_path / "broker"
    folder.mkdir()
    broker = Mosquitto(folder).start()
    agent = silent(mqtt_url=broker.url)
    for i in range(6):
        agent.conf["mqtt"].append({"name": f"dead-{i}", "url": f"mqtt://nobody-{i}.silent:1883",
                                   "subscriptions": [{"topic": "x/{source}/{tag}", "payload": "number"}]})
    agent.write()
    try:
        agent.start(links=False)
        agent.wait("the good link", lambda s: s["drivers"][0]["state"] == "up")
        broker.stop()
        agent.wait("it to be gone", lambda s: s["drivers"][0]["state"] != "up")
        broker.start()
        agent.wait("it to be back", lambda s: s["drivers"][0]["state"] == "up")
        assert all(d["state"] != "up" for d in agent.status()["drivers"][1:])
        agent.stop()
    finally:
        broker.stop()
