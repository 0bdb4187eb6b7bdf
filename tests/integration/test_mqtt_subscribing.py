"""Subscriptions that overlap, are refused, or meet a broker of another version."""

import threading

import pytest

from rig.room import open_room
from test_mqtt_acks import Broker


@pytest.fixture
def quiet_room(tmp_path, mosquitto):
    """Without a Kafka: what was read stays in the spool."""
    with open_room(tmp_path, None, mosquitto) as made:
        yield made


def start(room, settings, **where):
    return room.agent(settings, kafka="127.0.0.1:9", **where).start(links=False)


def driver(status):
    return status["drivers"][0]


@pytest.mark.parametrize("protocol", ("5", "3.1.1"))
def test_each_subscription_has_its_own_reading_once(quiet_room, protocol):
    gw = quiet_room.gateway
    agent = start(quiet_room, {"mqtt": {"protocol": protocol, "subscriptions": [
        {"topic": gw + "/special", "source": "one", "tag": "special"},
        {"topic": gw + "/{source}", "tag": "any"},
        {"topic": gw + "/#", "payload": "text", "source": "all", "tag": "text"},
    ]}})
    agent.wait("the link", lambda s: driver(s)["state"] == "up")
    publisher = quiet_room.publisher()
    for i in range(20):
        publisher.one(gw + "/special", str(i).encode())
    publisher.one(gw + "/other", b"7")
    agent.wait("62 readings", lambda s: s["accepted"] == 62)
    rows = agent.listing("tags")
    assert sorted((t["source"], t["tag"]) for t in rows) == [("all", "text"), ("one", "special"), ("other", "any"), ("special", "any")]
    assert agent.answer()["accepted"] == 62


class Fake(threading.Thread):
    """A broker that answers each connection as `serve` says."""

    def __init__(self, serve):
        super().__init__(daemon=True)
        self.broker, self.serve, self.over = Broker(), serve, False
        self.broker.door.settimeout(0.2)
        self.start()

    def run(self):
        while not self.over:
            try:
                self.broker.accept()
                self.broker.expect(1)
                self.serve(self.broker)
                while self.broker.client.recv(1000):
                    pass
            except (OSError, AssertionError):
                pass

    def stop(self):
        self.over = True
        self.join(30)
        self.broker.close()


@pytest.mark.parametrize("answer", (b"\x20\x02\x00\x01", b"\x20\x03\x00\x84\x00", b"\x20\x02\x00\x00", b""))
def test_a_broker_of_3_1_1_is_named(quiet_room, answer):
    def serve(broker):
        broker.client.sendall(answer)
        broker.client.close()

    fake = Fake(serve)
    try:
        agent = start(quiet_room, {}, mqtt_url=fake.broker.settings["url"])
        agent.wait("the sentence", lambda s: "protocol: 3.1.1" in (driver(s).get("last_error") or ""))
        assert driver(agent.answer())["state"] == "down"
    finally:
        fake.stop()


def test_a_refused_subscription_is_told_and_asked_for_again(quiet_room):
    asked = []

    def serve(broker):
        broker.client.sendall(b"\x20\x03\x00\x00\x00")
        while len(asked) < 2:
            body = broker.expect(8)
            asked.append(body)
            broker.client.sendall(b"\x90\x05" + body[:2] + b"\x00\x01\x87" if len(asked) == 1 else b"\x90\x04" + body[:2] + b"\x00\x01")

    fake = Fake(serve)
    try:
        agent = start(quiet_room, {}, mqtt_url=fake.broker.settings["url"])
        s = agent.wait("the fault", lambda s: "refuses the subscription" in (driver(s).get("last_error") or ""))
        assert "state-" in driver(s)["last_error"]
        agent.wait("the second question", lambda s: "grants the subscription" in agent.log(), 30)
        assert b"state-" in asked[1] and b"/+/+/+" not in asked[1]
    finally:
        fake.stop()
