"""mosquitto is restarted: what it acknowledged to the publisher arrives."""

import pytest

from rig import records
from rig.mosquitto import Mosquitto


@pytest.fixture
def own_mosquitto(tmp_path):
    folder = tmp_path / "broker"
    folder.mkdir()
    broker = Mosquitto(folder, persistent=True).start()
    yield broker
    if broker.process.alive():
        broker.kill()


def test_mosquitto_restarted_loses_nothing(room, own_mosquitto):
    agent = room.agent(mqtt_url=own_mosquitto.url).start()
    acked, published = [], 0
    for i in range(6):
        publisher = room.publisher(own_mosquitto.port)
        n = 10000 if i % 2 else 500  # all together fewer than are recognised: a busy broker may send any of them again
        publisher.publish((room.topic(f"p{j % 7}", "temp"), b"%d" % j, j) for j in range(published, published + n))
        published += n
        acked += publisher.acked
        own_mosquitto.stop()
        agent.process.must_live()
        own_mosquitto.start()
    agent.wait("MQTT to be back", lambda s: s["drivers"][0]["state"] == "up", 60)
    status = agent.wait_delivered(len(acked), 60)
    mine = room.samples()
    unique, again = records.by_id(mine)
    ids = records.once_each(unique.values())
    assert again == 0, "duplicates without a crash of ours"
    lost = [v for v in acked if float(v) not in ids]
    assert not lost, f"{len(lost)} of {len(acked)} acknowledged readings are lost: {lost[:10]}"
    assert status["accepted"] == len(acked)
    links = [e.data for e in room.events() if e.data["kind"] == "link"]
    assert links, "a lost connection is told as an event"


def test_the_agent_starts_without_mosquitto(room, own_mosquitto):
    own_mosquitto.stop()
    agent = room.agent(mqtt_url=own_mosquitto.url).start(links=False)
    s = agent.wait("the driver to say that it is down", lambda s: s["drivers"][0]["state"] != "up")
    own_mosquitto.start()
    agent.wait("MQTT to be up", lambda s: s["drivers"][0]["state"] == "up", 60)
    room.publisher(own_mosquitto.port).one(room.topic("p0", "temp"), b"1.5")
    agent.wait_delivered(1)
    assert s["drivers"][0]["kind"] == "mqtt"


def test_mqtt_3_1_1_works_as_well(room):
    agent = room.agent({"mqtt": {"protocol": '3.1.1'}}).start()
    room.publisher().publish((room.topic("p0", "temp"), b"%d" % i, i) for i in range(5000))
    agent.kill()
    agent.start()
    status = agent.wait_delivered(5000)
    unique, _ = records.by_id(room.samples())
    assert len(records.once_each(unique.values())) == 5000 == status["accepted"]
