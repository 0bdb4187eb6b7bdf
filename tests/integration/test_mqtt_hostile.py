"""Nothing that comes from outside ends the daemon or makes it large: messages without measure, and brokers that break the protocol."""

import os
import struct
import subprocess
import threading

import pytest

from rig.mosquitto import Mosquitto, make_certificates
from test_mqtt_acks import Broker

MIB = 1 << 20
PEAK_KIB = 32 * 1024


def varint(n):
    out = b""
    while True:
        out += bytes([n % 128 | (128 if n > 127 else 0)])
        n //= 128
        if not n:
            return out


def packet(first, body):
    return bytes([first]) + varint(len(body)) + body


def props(*parts):
    text = b"".join(parts)
    return varint(len(text)) + text


class Rogue(threading.Thread):
    """A broker that greets each connection and then sends it `bad`, for as long as it lives; MQTT 5."""

    def __init__(self, bad, connack=b"\x20\x03\x00\x00\x00"):
        super().__init__(daemon=True)
        self.bad, self.connack, self.over, self.served = bad, connack, False, 0
        self.broker = Broker()
        self.broker.door.settimeout(0.2)
        self.start()

    def run(self):
        while not self.over:
            try:
                self.broker.accept()
                self.broker.expect(1)
                self.broker.client.sendall(self.connack)
                if self.bad:
                    self.broker.expect(8)
                    self.broker.client.sendall(self.bad)
                self.served += 1
                while self.broker.client.recv(1000):
                    pass
            except (OSError, AssertionError):
                pass

    def stop(self):
        self.over = True
        self.join(30)
        self.broker.close()


def with_rogue(room, rogue, **settings):
    """An agent with two links: that broker's, and the real one's."""
    agent = room.agent(settings)
    agent.conf["mqtt"].append({"name": "rogue", "url": rogue.broker.settings["url"],
                               "subscriptions": [{"topic": "rogue/{tag}", "payload": "number", "source": "rogue"}]})
    agent.write()
    return agent


def of(status, name):
    return next(d for d in status["drivers"] if d["name"] == name)


OK = b"\x20\x03\x00\x00\x00"
SUBACK = b"\x90\x04\x00\x01\x00\x01"


def broken(kind, id):
    """A packet with that property, and a value that would do for a user property; the greeting it comes after, and whether it is one."""
    one = props(bytes([id]) + b"\x00\x01a\x00\x01b")
    return {
        "CONNACK": lambda: (packet(0x20, b"\x00\x00" + one), b""),
        "SUBACK": lambda: (OK, packet(0x90, b"\x00\x01" + one + b"\x01")),
        "PUBLISH": lambda: (OK, SUBACK + packet(0x30, b"\x00\x07rogue/t" + one + b"1")),
        "DISCONNECT": lambda: (OK, SUBACK + packet(0xe0, b"\x00" + one)),
        "PUBREL": lambda: (OK, SUBACK + packet(0x62, b"\x00\x01\x00" + one)),
        "AUTH": lambda: (OK, SUBACK + packet(0xf0, b"\x18" + one)),
        "PUBACK": lambda: (OK, SUBACK + packet(0x40, b"\x00\x01\x00" + one)),
    }[kind]()


@pytest.mark.parametrize("id", (0x00, 0x7d, 0x7e))
@pytest.mark.parametrize("kind", ("CONNACK", "SUBACK", "PUBLISH", "DISCONNECT", "PUBREL", "AUTH", "PUBACK"))
def test_a_broker_that_breaks_the_protocol_loses_its_link_alone(room, kind, id):
    connack, bad = broken(kind, id)
    rogue = Rogue(bad, connack)
    try:
        agent = with_rogue(room, rogue).start(links=False)
        s = agent.wait("two connections to be lost", lambda s: rogue.served >= 2 and kind in (of(s, "rogue").get("last_error") or ""))
        assert "broker" in of(s, "rogue")["last_error"]
        room.publisher().one(room.topic("p", "n"), b"1.5")
        agent.wait_delivered(1)
        agent.process.must_live()
        assert f"{kind}" in agent.log()
    finally:
        rogue.stop()


def test_a_broker_that_goes_on_breaking_it_is_left_alone_for_longer_and_longer(room):
    rogue = Rogue(SUBACK + packet(0x30, b"\x00\x07rogue/t\x02\x7d\x01" + b"1"))
    try:
        agent = with_rogue(room, rogue).start(links=False)
        agent.wait("the third time", lambda s: "3 times in a row: left alone for 4 s" in agent.log())
        assert "2 times in a row: left alone for 2 s" in agent.log()
        agent.stop()  # within its pause
    finally:
        rogue.stop()


@pytest.mark.parametrize("most", (1, 20, 40, 60))
def test_a_broker_that_takes_small_packets_only(room, most):
    """Also smaller than what we ask of it: libmosquitto must not be the one who counts."""
    rogue = Rogue(b"", packet(0x20, b"\x00\x00" + props(b"\x27" + struct.pack(">I", most))))
    try:
        agent = with_rogue(room, rogue).start(links=False)
        agent.wait("a connection", lambda s: rogue.served >= 1)
        room.publisher().one(room.topic("p", "n"), b"1.5")
        agent.wait_delivered(1)
        agent.process.must_live()
    finally:
        rogue.stop()


class Narrow(threading.Thread):
    """A broker that takes packets of so many bytes, from any number of clients; to the first filter it sends a value that is an alarm."""

    def __init__(self, most, topic):
        super().__init__(daemon=True)
        self.connack = packet(0x20, b"\x00\x00" + props(b"\x27" + struct.pack(">I", most)))
        self.topic, self.over, self.alarms = topic, False, []
        self.broker = Broker()
        self.broker.door.settimeout(0.2)
        self.start()

    def run(self):
        while not self.over:
            try:
                client, _ = self.broker.door.accept()
            except OSError:
                continue
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        rest = b""
        while part := client.recv(65536):
            rest += part
            while len(rest) > 1:
                size, at, shift = 0, 1, 0
                while at < len(rest) and rest[at] & 128:
                    size, at, shift = size | (rest[at] & 127) << shift, at + 1, shift + 7
                size, at = size | rest[at] << shift, at + 1
                if len(rest) < at + size:
                    break
                self.answer(client, rest[0] >> 4, rest[at:at + size], at + size)
                rest = rest[at + size:]

    def answer(self, client, kind, body, length):
        if kind == 1:
            client.sendall(self.connack)
        elif kind == 3:
            self.alarms.append(length)
            topic_len = int.from_bytes(body[:2], "big")
            client.sendall(b"\x40\x02" + body[2 + topic_len:4 + topic_len])
        elif kind == 8:
            filters = body.count(self.topic.split("/")[0].encode())
            client.sendall(packet(0x90, body[:2] + b"\x00" + b"\x01" * filters))
            if filters == 2:  # the driver's
                client.sendall(Broker.message(1, self.topic, b"99"))
        elif kind == 12:
            client.sendall(b"\xd0\x00")

    def stop(self):
        self.over = True
        self.join(10)
        self.broker.door.close()


def test_an_alarm_of_the_length_that_the_broker_takes(room):
    """And one byte more and less: libmosquitto counts it wrong, and ends the process over it."""
    rule = [{"name": "hot", "match": "press-*/*", "rule": "limits", "hihi": 95, "severity": 700}]
    lengths = []
    for more in (None, -2, -1, 0, 1, 2):
        most = lengths[0] + more if lengths else 1 << 20
        broker = Narrow(most, room.topic("press-1", "temp"))
        try:
            agent = room.agent({"alarms": rule, "notify": {"mqtt": {"connection": "plant"}}, "mqtt": broker.broker.settings})
            agent.conf["spool"]["path"] = str(room.folder / f"spool{more}.db")
            agent.write()
            agent.spawn()
            s = agent.wait("the value, and the alarms' connection", lambda s: s["accepted"] >= 1 and s["alarms"]["notify"]["mqtt"]["up"])
            if not lengths or more >= 0:
                agent.wait("the alarm to be told", lambda s: broker.alarms)
            agent.wait("a second more", lambda s: s["uptime_s"] >= 3)
            assert all(n <= most for n in broker.alarms)
            lengths = lengths or [max(broker.alarms)]
            agent.stop()
        finally:
            broker.stop()


def peak_kib(agent):
    with open(f"/proc/{agent.process.child.pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmHWM:"))


def measured(agent):
    return agent.rss_kib() != 0  # not a sanitizer's build


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("hostile"))


@pytest.fixture
def own_mosquitto(tmp_path, certificates, request):
    folder = tmp_path / "broker"
    folder.mkdir()
    lines = []
    if request.param:
        lines = [f"cafile {certificates}/ca.pem", f"certfile {certificates}/server.pem", f"keyfile {certificates}/server.key"]
    broker = Mosquitto(folder, lines=lines).start()
    broker.tls = ["--cafile", f"{certificates}/ca.pem"] if request.param else []
    broker.settings = {"url": f"mqtt{'s' if request.param else ''}://127.0.0.1:{broker.port}",
                       **({"ca_file": f"{certificates}/ca.pem"} if request.param else {})}
    yield broker
    broker.stop()


def send(broker, topic, *payload):
    done = subprocess.run(["mosquitto_pub", "-h", "127.0.0.1", "-p", str(broker.port), *broker.tls, "-q", "1", "-t", topic, *payload],
                          capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("own_mosquitto, protocol", ((False, "5"), (False, "3.1.1"), (True, "5"), (True, "3.1.1")), indirect=["own_mosquitto"])
def test_a_message_without_measure_is_named_and_acknowledged(room, own_mosquitto, protocol):
    size = 250 * MIB
    big = room.folder / "big"
    with open(big, "wb") as f:
        f.truncate(size)
    agent = room.agent({"mqtt": {"protocol": protocol, **own_mosquitto.settings}}).start()
    send(own_mosquitto, room.topic("p", "before"), "-m", "1.5")
    send(own_mosquitto, room.topic("p", "big"), "-f", str(big))
    send(own_mosquitto, room.topic("p", "after"), "-m", "2.5")
    agent.wait_delivered(2, 120)
    assert [r.data["tag"] for r in room.samples()] == ["before", "after"]
    agent.wait("the quarantine to be written", lambda s: s["quarantined"] == 1)
    (row,) = agent.listing("spool", "quarantine")
    assert room.topic("p", "big") in str(row) and str(size) in row["reason"], row
    assert not measured(agent) or peak_kib(agent) <= PEAK_KIB, f"VmHWM {peak_kib(agent)} KiB"
    print(f"VmHWM {peak_kib(agent)} KiB")
    agent.restart()  # acknowledged: the broker does not send it again
    send(own_mosquitto, room.topic("p", "later"), "-m", "3.5")
    agent.wait_delivered(1)
    assert agent.status()["quarantined"] in (0, 1)
    assert len(agent.listing("spool", "quarantine")) == 1
    os.unlink(big)


def test_topics_that_none_may_have_cost_no_connection(room):
    """A broker that lets anything pass: each is named, acknowledged, and what is behind it is read."""
    broker = Broker()
    agent = room.agent({"mqtt": broker.settings})
    agent.spawn()
    broker.accept()
    broker.greet(filters=2)
    topics = [b"\xff\xfe", b"a\nb", b"a\x00b", b"a/#", b"+", b"\xed\xa0\x80"]
    for i, topic in enumerate(topics):
        body = struct.pack(">H", len(topic)) + topic + struct.pack(">H", i + 1) + b"\x00" + b"7"
        broker.client.sendall(packet(0x32, body))
    broker.publish(100, room.topic("p", "n"), b"1.5")
    acked = []
    while len(acked) <= len(topics):
        acked += broker.acks(5)
    assert acked == [*range(1, len(topics) + 1), 100]
    agent.wait_delivered(1)
    agent.wait("the quarantine to be written", lambda s: s["quarantined"] == len(topics))
    assert all("topic" in row["reason"] for row in agent.listing("spool", "quarantine"))
    agent.stop()
    broker.close()


def test_properties_without_measure(room):
    """2 MiB of user properties, which any publisher may send: the value is read all the same, or the message is named."""
    broker = Broker()
    agent = room.agent({"mqtt": broker.settings})
    agent.spawn()
    broker.accept()
    broker.greet(filters=2)
    for mid, n in ((1, 8000), (2, 400000)):
        topic = room.topic("p", f"n{mid}").encode()
        body = struct.pack(">H", len(topic)) + topic + struct.pack(">H", mid) + props(b"\x26\x00\x00\x00\x00" * n) + b"7"
        broker.client.sendall(packet(0x32, body))
    acked = []
    while len(acked) < 2:
        acked += broker.acks(5)
    assert acked == [1, 2]
    agent.wait_delivered(1)
    agent.wait("the quarantine to be written", lambda s: s["quarantined"] == 1)
    (row,) = agent.listing("spool", "quarantine")
    assert "properties" in row["reason"], row
    agent.stop()
    broker.close()
