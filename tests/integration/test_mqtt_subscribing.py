"""Subscriptions that overlap, are refused, or meet a broker of another version."""

import collections
import contextlib
import socket
import threading
import time

import pytest

from rig.mosquitto import Mosquitto
from rig.odd_broker import packet, varint
from rig.room import open_room
from test_mqtt_acks import Broker
from test_reload import reload


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


@pytest.fixture(scope="module", params=(True, False), ids=("copies", "no-copies"))
def either_mosquitto(request, tmp_path_factory):
    """It sends a client of 3.1.1 a message once for each subscription, or once."""
    broker = Mosquitto(tmp_path_factory.mktemp("copies"), lines=[f"allow_duplicate_messages {str(request.param).lower()}"])
    try:
        yield broker.start()
    finally:
        broker.stop()


def read_of(agent):
    """How many readings each source has."""
    return collections.Counter(r["source"] for r in agent.listing("spool", "export", "--spool", agent.spool))


def partly(gw):
    return [{"topic": gw + "/+/c", "payload": "text", "source": "one", "tag": "v"},
            {"topic": gw + "/b/+", "payload": "text", "source": "two", "tag": "v"},
            {"topic": gw + "/b/c", "payload": "text", "source": "three", "tag": "v"},
            {"topic": gw + "/end", "source": "end", "tag": "v"}]


@pytest.mark.parametrize("protocol", ("5", "3.1.1"))
def test_topics_that_are_partly_the_same(tmp_path, either_mosquitto, protocol):
    with open_room(tmp_path, None, either_mosquitto) as room:
        gw = room.gateway
        agent = start(room, {"mqtt": {"protocol": protocol, "subscriptions": partly(gw)}})
        agent.wait("the link", lambda s: driver(s)["state"] == "up")
        publisher = room.publisher()
        for i in range(20):
            for topic in ("/b/c", "/x/c", "/b/d", "/x/y"):
                publisher.one(gw + topic, b"%d" % i)
        publisher.one(gw + "/end", b"1")
        s = agent.wait("the end", lambda s: s["accepted"] == 101)
        counts = read_of(agent)
        assert counts == {"one": 40, "two": 40, "three": 20, "end": 1}
        assert driver(s)["errors"] == 0 and driver(s)["last_error"] == "", driver(s)


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
        with contextlib.suppress(OSError):
            self.broker.client.shutdown(socket.SHUT_RDWR)
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


def test_a_session_that_is_kept_for_less_than_asked_is_told(quiet_room):
    connections = []

    def serve(broker):
        connections.append(1)
        broker.client.sendall(b"\x20\x08\x00\x00\x05\x11\x00\x00\x0e\x10")
        body = broker.expect(8)
        broker.client.sendall(b"\x90\x04" + body[:2] + b"\x00\x01")
        if len(connections) == 1:
            broker.client.close()

    fake = Fake(serve)
    try:
        agent = start(quiet_room, {"mqtt": {"session_expiry": "2h"}}, mqtt_url=fake.broker.settings["url"])
        agent.wait("the second link", lambda s: len(connections) == 2 and driver(s)["state"] == "up")
        assert agent.log().count("keeps our session for 3600 s, and not for 7200 s") == 1
    finally:
        fake.stop()


def subscriptions(body):
    """Of a SUBSCRIBE of MQTT 5: its identifier, or None, and the filters."""
    at, found, n = 3 + body[2], [], None
    if body[2]:
        assert body[3] == 0x0b
        n = sum((b & 127) << 7 * i for i, b in enumerate(body[4:at]))
    while at < len(body):
        size = int.from_bytes(body[at:at + 2], "big")
        found.append(body[at + 2:at + 2 + size].decode())
        at += 3 + size
    return n, found


def message(topic, payload, ids=()):
    props = b"".join(b"\x0b" + varint(n) for n in ids)
    return packet(0x30, len(topic).to_bytes(2, "big") + topic.encode() + varint(len(props)) + props + payload)


def serve_questions(broker, connack, seen, count):
    """Answers so many SUBSCRIBEs and UNSUBSCRIBEs; `seen` gets what they are."""
    broker.client.sendall(connack)
    for _ in range(200):
        for kind, body in broker.packets(0.1):
            if kind not in (8, 10):
                continue
            n, filters = subscriptions(body) if kind == 8 else (None, None)
            seen.append((kind, n, filters))
            answer = b"\x01" * len(filters) if kind == 8 else b"\0"
            broker.client.sendall(packet(0x90 if kind == 8 else 0xb0, body[:2] + b"\0" + answer))
        if len(seen) >= count:
            return
    raise AssertionError(seen)


@pytest.mark.parametrize("copies", (False, True))
def test_a_message_says_whom_it_is_for(quiet_room, copies):
    gw = quiet_room.gateway
    seen = []

    def serve(broker):
        serve_questions(broker, b"\x20\x03\0\0\0", seen, 4)
        ids = {filters[0][len(gw):]: n for _, n, filters in seen}
        for topic in ("/b/c", "/x/c", "/b/d"):
            mine = [ids[f] for f in ("/+/c", "/b/+", "/b/c") if f == topic or f == "/+/c" and topic[3] == "c" or f == "/b/+" and topic[1] == "b"]
            for some in [[n] for n in mine] if copies else [mine]:
                broker.client.sendall(message(gw + topic, b"7", some))
        broker.client.sendall(message(gw + "/end", b"1"))

    fake = Fake(serve)
    try:
        agent = start(quiet_room, {"mqtt": {"subscriptions": partly(gw)}}, mqtt_url=fake.broker.settings["url"])
        agent.wait("the end", lambda s: any(t["source"] == "end" for t in agent.listing("tags")))
        counts = read_of(agent)
        assert counts == {"one": 2, "two": 2, "three": 1, "end": 1}, seen
        assert ids_of(seen) == 3
    finally:
        fake.stop()


def ids_of(seen):
    return len({n for _, n, _ in seen if n})


def test_a_broker_without_identifiers_is_asked_for_what_has_all(quiet_room):
    gw = quiet_room.gateway
    seen = []

    def serve(broker):
        serve_questions(broker, b"\x20\x05\0\0\x02\x29\0", seen, 1)
        for topic in ("/b/c", "/x/y", "/end"):
            broker.client.sendall(message(gw + topic, b"7"))

    fake = Fake(serve)
    try:
        agent = start(quiet_room, {"mqtt": {"subscriptions": partly(gw)}}, mqtt_url=fake.broker.settings["url"])
        s = agent.wait("four readings", lambda s: s["accepted"] == 4)
        assert seen == [(8, None, [gw + "/+/+", gw + "/end"])]
        assert driver(s)["errors"] == 0
        assert f"it is asked for {gw}/+/+" in agent.log()
    finally:
        fake.stop()


def test_identifiers_that_never_come_are_noticed_in_an_old_session(quiet_room):
    gw = quiet_room.gateway
    seen = []

    def serve(broker):
        serve_questions(broker, b"\x20\x03\1\0\0", seen, 5)  # three filters, the end, and what another way would have
        for _ in range(100):
            broker.client.sendall(message(gw + "/b/c", b"7"))
            time.sleep(5)
            questions = [(kind, *(subscriptions(body) if kind == 8 else ())) for kind, body in broker.packets(0.1)]
            if any(q[0] == 8 for q in questions):
                seen.append(questions[0])
                return

    fake = Fake(serve)
    try:
        agent = start(quiet_room, {"mqtt": {"subscriptions": partly(gw)}}, mqtt_url=fake.broker.settings["url"])
        agent.wait("the other way", lambda s: f"it is asked for {gw}/+/+" in agent.log(), 40)
    finally:
        fake.stop()
    assert seen[5][2] == [gw + "/+/+", gw + "/end"], seen


def test_what_is_not_wanted_any_more_is_left_though_the_answer_was_lost(quiet_room):
    gw = quiet_room.gateway
    seen = []  # of each connection

    def serve(broker):
        here = []
        seen.append(here)
        n = len(seen)
        if n != 2:
            serve_questions(broker, b"\x20\x03" + bytes([n > 1]) + b"\0\0", here, 2 if n == 3 else 1)
        else:  # it is asked, and its answers do not get through
            broker.client.sendall(b"\x20\x03\x01\0\0")
            while not here or here[-1][0] != 10:
                here += [(kind, None, None) for kind, _ in broker.packets(0.1) if kind in (8, 10)]
        if n > 1:
            broker.client.close()

    fake = Fake(serve)
    try:
        agent = start(quiet_room, {"mqtt": {"subscriptions": [{"topic": gw + "/old", "tag": "v"}]}}, mqtt_url=fake.broker.settings["url"])
        agent.wait("the link", lambda s: driver(s)["state"] == "up")
        agent.conf["mqtt"][0]["subscriptions"] = [{"topic": gw + "/new", "tag": "v"}]
        reload(agent)
        agent.wait("the fourth connection", lambda s: len(seen) >= 4 and seen[3], 60)
        kinds = [[kind for kind, _, _ in here] for here in seen[:4]]
        assert kinds == [[8], [8, 10], [8, 10], [8]], seen
    finally:
        fake.stop()


@pytest.mark.parametrize("protocol", ("5", "3.1.1"))
def test_what_was_taken_out_while_it_was_stopped_comes_to_an_end(quiet_room, protocol):
    gw = quiet_room.gateway
    old = [{"topic": gw + f, "payload": "text", "source": "old", "tag": "v"} for f in ("/a/+", "/b/#", "/c/d")]
    new = [{"topic": gw + "/new", "source": "new", "tag": "v"}]
    agent = start(quiet_room, {"mqtt": {"protocol": protocol, "subscriptions": old + new}})
    agent.wait("the link", lambda s: driver(s)["state"] == "up")
    agent.stop()
    agent.conf["mqtt"][0]["subscriptions"] = new
    agent.write()
    agent.start(links=False)
    agent.wait("the link", lambda s: driver(s)["state"] == "up")
    publisher = quiet_room.publisher()
    for topic in ("/a/x", "/b/x/y", "/c/d"):
        was = driver(agent.answer())["malformed"]

        def nothing_comes(s):
            """One is published in each round: none is refused any more."""
            before = driver(agent.answer())
            publisher.one(gw + topic, b"x")
            publisher.one(gw + "/new", b"1")
            after = agent.wait("the new one", lambda s: driver(s)["readings"] > before["readings"])
            return driver(after)["malformed"] == before["malformed"] > was

        agent.wait(f"the end of {topic}", nothing_comes, 60)
    assert "is told to forget what brings it" in agent.log()
