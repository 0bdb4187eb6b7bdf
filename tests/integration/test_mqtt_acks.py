"""No acknowledgement is ahead of the disk: a broker of our own looks into the spool whenever one comes."""

import select
import socket
import sqlite3
import struct
import time

import pytest

from rig.bad_disk import BadDisk
from test_kafka_down import own_kafka  # noqa: F401 (a fixture)



def length(n):
    return bytes([n]) if n < 128 else bytes([n % 128 | 0x80, n // 128])


class Broker:
    """MQTT 5, as much as one subscriber needs; packets in `seen` as (kind, body)."""

    def __init__(self):
        self.door = socket.create_server(("127.0.0.1", 0))
        self.door.settimeout(20)
        self.port = self.door.getsockname()[1]
        self.client, self.rest = None, b""

    def accept(self):
        while True:
            self.client, _ = self.door.accept()
            self.client.settimeout(20)
            if self.client.recv(1, socket.MSG_PEEK):  # the agent tries the address before it connects
                return
            self.client.close()

    def packets(self, seconds):
        """What has come within that time; blocks no longer."""
        if not select.select([self.client], [], [], seconds)[0]:
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

    def publish(self, mid, topic, payload):
        """At QoS 0 when mid is 0."""
        body = struct.pack(">H", len(topic)) + topic.encode() + (struct.pack(">H", mid) if mid else b"") + b"\x00" + payload
        self.client.sendall((b"\x32" if mid else b"\x30") + length(len(body)) + body)

    def acks(self, seconds):
        packets = self.packets(seconds)
        assert all(kind in (4, 12) for kind, _ in packets), packets
        return [int.from_bytes(body[:2], "big") for kind, body in packets if kind == 4]


@pytest.mark.parametrize("sync_ms, n, pause", ((0, 600, 0.002), (40, 600, 0.002), (150, 600, 0.002), (40, 20000, 0)))
def test_an_acknowledged_reading_is_in_the_spool(room, sync_ms, n, pause):
    broker = Broker()
    agent = room.agent(mqtt_url=f"mqtt://127.0.0.1:{broker.port}", kafka="127.0.0.1:1")
    disk = BadDisk(room.folder, room.folder / "bad-disk")
    disk.say(f"slow {sync_ms} fdatasync fsync")
    agent.env = disk.env()
    agent.spawn()
    broker.accept()
    broker.greet(filters=2)
    spool = sqlite3.connect(f"file:{agent.spool}?mode=ro", uri=True, timeout=10)
    acked, most_out = [], 0
    for i in range(1, n + 1):
        broker.publish(i, room.topic("p", "n"), b"%d" % i)
        most_out = max(most_out, i - len(acked))
        for mid in broker.acks(pause):
            acked.append(mid)
            held = spool.execute("SELECT value FROM reading WHERE seq = ?", (mid,)).fetchone()
            assert held == (mid,), f"{mid} was acknowledged, and is not in the spool: {held}"
    end = time.monotonic() + 20
    while len(acked) < n and time.monotonic() < end:
        acked += broker.acks(0.2)
    assert acked == list(range(1, n + 1))
    assert most_out >= sync_ms / 10, "nothing was sent while a commit ran: this test shows nothing"
    broker.client.close()
    broker.door.close()
    spool.close()


def test_acknowledgements_do_not_wait_behind_a_message_without_one(room, own_kafka):  # noqa: F811
    """A full spool refuses a message at QoS 0, which is set aside; when there is room again all before it are acknowledged."""
    broker = Broker()
    agent = room.agent({"spool": {"max_size": "4MiB", "when_full": "block"}, "mqtt": {"keepalive": "10m"}},
                       mqtt_url=f"mqtt://127.0.0.1:{broker.port}", kafka=own_kafka.brokers)
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
    broker.client.close()
    broker.door.close()
