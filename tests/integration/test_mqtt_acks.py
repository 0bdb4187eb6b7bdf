"""No acknowledgement is ahead of the disk: a broker of our own looks into the spool whenever one comes."""

import select
import socket
import sqlite3
import ssl
import struct
import time

import pytest

from rig.bad_disk import BadDisk
from rig.mosquitto import make_certificates
from test_kafka_down import own_kafka  # noqa: F401 (a fixture)



def length(n):
    return bytes([n]) if n < 128 else bytes([n % 128 | 0x80, n // 128])


class Broker:
    """MQTT 5, as much as one subscriber needs; with `certificates` over TLS."""

    def __init__(self, certificates=None):
        self.tls = None
        if certificates:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(f"{certificates}/server.pem", f"{certificates}/server.key")
        self.settings = {"url": f"mqtts://127.0.0.1:{{}}", "ca_file": f"{certificates}/ca.pem"} if certificates else {"url": "mqtt://127.0.0.1:{}"}
        self.door = socket.create_server(("127.0.0.1", 0))
        self.door.settimeout(20)
        self.port = self.door.getsockname()[1]
        self.settings["url"] = self.settings["url"].format(self.port)
        self.client, self.rest = None, b""

    def accept(self):
        while True:
            self.client, _ = self.door.accept()
            self.client.settimeout(20)
            if self.client.recv(1, socket.MSG_PEEK):  # the agent tries the address before it connects
                break
            self.client.close()
        self.client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rest = b""
        if self.tls:
            self.client = self.tls.wrap_socket(self.client, server_side=True)

    def close(self):
        self.client.close()
        self.door.close()

    def packets(self, seconds):
        """What has come within that time; blocks no longer."""
        if not (self.tls and self.client.pending()) and not select.select([self.client], [], [], seconds)[0]:
            return []
        part = self.client.recv(65536)
        assert part, "the agent closed the connection"
        self.rest += part
        out = []
        while len(self.rest) >= 2:
            assert self.rest[1] < 128 or len(self.rest) > 2
            size, at = (self.rest[1], 2) if self.rest[1] < 128 else (self.rest[1] % 128 + 128 * self.rest[2], 3)
            if len(self.rest) < at + size:
                break
            out.append((self.rest[0] >> 4, self.rest[at:at + size]))
            self.rest = self.rest[at + size:]
        return out

    def expect(self, kind):
        for _ in range(100):
            for got, body in self.packets(0.2):
                if got == kind:
                    return body
        raise AssertionError(f"no packet of kind {kind}")

    def greet(self, filters):
        self.expect(1)
        self.client.sendall(b"\x20\x03\x00\x00\x00")
        body = self.expect(8)
        self.client.sendall(b"\x90" + length(3 + filters) + body[:2] + b"\x00" + b"\x01" * filters)

    @staticmethod
    def message(mid, topic, payload):
        """At QoS 0 when mid is 0."""
        body = struct.pack(">H", len(topic)) + topic.encode() + (struct.pack(">H", mid) if mid else b"") + b"\x00" + payload
        return (b"\x32" if mid else b"\x30") + length(len(body)) + body

    def publish(self, mid, topic, payload):
        self.client.sendall(self.message(mid, topic, payload))

    def acks(self, seconds):
        packets = self.packets(seconds)
        assert all(kind in (4, 12) for kind, _ in packets), packets
        return [int.from_bytes(body[:2], "big") for kind, body in packets if kind == 4]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("acks"))


def slow_agent(room, broker, sync_ms, **spool):
    agent = room.agent({"mqtt": broker.settings, "spool": spool}, kafka="127.0.0.1:1")
    disk = BadDisk(room.folder, room.folder / "bad-disk")
    disk.say(f"slow {sync_ms} fdatasync fsync")
    agent.env = disk.env()
    agent.spawn()
    broker.accept()
    return agent, disk


@pytest.mark.parametrize("sync_ms, n, pause, tls", (
    (0, 600, 0.002, False), (40, 600, 0.002, False), (150, 600, 0.002, False), (40, 20000, 0, False), (40, 600, 0.002, True)))
def test_an_acknowledged_reading_is_in_the_spool(room, certificates, sync_ms, n, pause, tls):
    broker = Broker(certificates if tls else None)
    agent, _ = slow_agent(room, broker, sync_ms)
    broker.greet(filters=2)
    spool = sqlite3.connect(f"file:{agent.spool}?mode=ro", uri=True, timeout=10)
    acked, most_out = [], 0

    def look(seconds):
        for mid in broker.acks(seconds):
            acked.append(mid)
            held = spool.execute("SELECT value FROM reading WHERE seq = ?", (mid,)).fetchone()
            assert held == (mid,), f"{mid} was acknowledged, and is not in the spool: {held}"

    for i in range(1, n + 1):
        broker.publish(i, room.topic("p", "n"), b"%d" % i)
        most_out = max(most_out, i - len(acked))
        look(pause)
    end = time.monotonic() + 20
    while len(acked) < n and time.monotonic() < end:
        look(0.2)
    assert acked == list(range(1, n + 1))
    assert most_out >= sync_ms / 10, "nothing was sent while a commit ran: this test shows nothing"
    broker.close()
    spool.close()


def test_many_messages_in_one_record(room, certificates):
    """What a broker packs into one TLS record is read whole, even when the batch of a slow disk is full in the midst of it."""
    broker = Broker(certificates)
    agent, _ = slow_agent(room, broker, 300, batch_rows=1001)  # not on the edge of four
    broker.greet(filters=2)
    acked, mids = [], iter(range(1, 60000))
    for _ in range(60):
        packed = [mid for _ in range(60) for mid in (next(mids), 0, 0, 0)]
        broker.client.sendall(b"".join(broker.message(mid, room.topic("p", "n"), b"1") for mid in packed))
        acked += broker.acks(0)
    end = time.monotonic() + 30
    while len(acked) < 3600 and time.monotonic() < end:
        acked += broker.acks(0.2)
    assert acked == list(range(1, 3601))
    agent.wait("all of them to be accepted", lambda s: s["accepted"] == 4 * 3600)
    broker.close()


def test_a_link_of_today_does_not_wait_for_a_commit_of_yesterday(room):
    """The session is lost while a commit runs: the new link subscribes at once, or what is published meanwhile is lost."""
    broker = Broker()
    agent, disk = slow_agent(room, broker, 0)
    broker.greet(filters=2)
    disk.say("slow 6000 fdatasync fsync")
    broker.publish(1, room.topic("p", "n"), b"1")
    time.sleep(0.3)  # the commit has begun
    broker.client.close()
    broker.accept()
    broker.greet(filters=2)
    spool = sqlite3.connect(f"file:{agent.spool}?mode=ro", uri=True, timeout=10)
    assert spool.execute("SELECT count(*) FROM reading").fetchone() == (0,), "the commit was over: this test shows nothing"
    disk.say("")
    broker.publish(7, room.topic("p", "n"), b"7")
    assert broker.expect(4)[:2] == b"\x00\x07"
    assert spool.execute("SELECT value FROM reading ORDER BY seq").fetchall() == [(1,), (7,)]
    broker.close()
    spool.close()


def test_acknowledgements_do_not_wait_behind_a_message_without_one(room, own_kafka):  # noqa: F811
    """A full spool refuses a message at QoS 0, which is set aside; when there is room again all before it are acknowledged."""
    broker = Broker()
    agent = room.agent({"spool": {"max_size": "4MiB", "when_full": "block"}, "mqtt": {"keepalive": "10m", **broker.settings}},
                       kafka=own_kafka.brokers)
    own_kafka.stop()
    agent.spawn()
    broker.accept()
    broker.greet(filters=2)
    acked, sent = [], 0
    broker.client.settimeout(0.5)
    while sent < 20000:
        try:
            broker.publish(sent + 1, room.topic("p", "n"), b"%d" % sent)
            sent += 1
            broker.publish(0, room.topic("p", "text"), b'"' + b"x" * 3500 + b'"')
        except TimeoutError:
            break
        acked += broker.acks(0)
    agent.wait("the source to be paused", lambda s: s["drivers"][0]["paused"])
    assert len(acked) < sent < 20000
    broker.client.settimeout(20)
    own_kafka.start()
    end = time.monotonic() + 60
    while len(acked) < sent and time.monotonic() < end:
        acked += broker.acks(0.2)
    assert acked == list(range(1, sent + 1))
    broker.close()


@pytest.mark.parametrize("tls", (False, True))
def test_who_stops_says_goodbye(room, certificates, tls):
    """DISCONNECT, behind the last acknowledgement: the broker sends no will, and knows that the client has not crashed."""
    broker = Broker(certificates if tls else None)
    agent, _ = slow_agent(room, broker, 0)
    broker.greet(filters=2)
    broker.publish(1, room.topic("p", "n"), b"1")
    agent.wait("it to be accepted", lambda s: s["accepted"] == 1)
    agent.stop()
    kinds = []
    while 14 not in kinds:
        kinds += [kind for kind, _ in broker.packets(5)]
    assert kinds.count(4) == 1, kinds
    broker.close()
