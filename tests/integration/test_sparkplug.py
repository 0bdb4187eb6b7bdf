"""Sparkplug B through a real broker into the spool, from an edge node that shares no line with our decoder.

The node here writes MQTT 3.1.1 and protobuf by hand, gives its NDEATH to the broker as a will, and hears commands.  Kafka is
not there: what was read is looked at in the spool.
"""

import socket
import struct
import time

import pytest

from rig import agent as agents
from rig import wait
from rig.mqtt import _length, _text

INT8, INT16, INT32, INT64, UINT8, UINT16, UINT32, UINT64, FLOAT, DOUBLE, BOOLEAN, STRING, DATETIME, TEXT, UUID, DATASET, BYTES = range(1, 18)


def varint(n):
    n &= (1 << 64) - 1
    out = b""
    while True:
        n, low = n >> 7, n & 127
        out += bytes([low | (128 if n else 0)])
        if not n:
            return out


def number(field, n):
    return varint(field << 3) + varint(n)


def block(field, data):
    data = data.encode() if isinstance(data, str) else data
    return varint(field << 3 | 2) + varint(len(data)) + data


def value(kind, v):
    """The value field of a metric, as the specification assigns it to the datatype."""
    if kind in (INT8, INT16, INT32):
        return number(10, v & 0xFFFFFFFF)
    if kind in (UINT8, UINT16, UINT32):
        return number(10, v)
    if kind in (INT64, UINT64, DATETIME):
        return number(11, v)
    if kind == FLOAT:
        return varint(12 << 3 | 5) + struct.pack("<f", v)
    if kind == DOUBLE:
        return varint(13 << 3 | 1) + struct.pack("<d", v)
    if kind == BOOLEAN:
        return number(14, v)
    return block(16 if kind == BYTES else 17 if kind == DATASET else 15, v)


def metric(name=None, alias=None, kind=None, v=None, as_kind=None, ms=None, unit=None, quality=None, historical=False):
    """`as_kind`: how the value is sent when the message does not say its datatype."""
    out = b"" if name is None else block(1, name)
    out += b"" if alias is None else number(2, alias)
    out += b"" if ms is None else number(3, ms)
    out += b"" if kind is None else number(4, kind)
    out += number(5, 1) if historical else b""
    out += number(7, 1) if v is None else b""
    keys = [(k, p) for k, p in (("engUnit", unit and block(8, unit)), ("Quality", None if quality is None else number(3, quality))) if p]
    if keys:
        out += block(9, b"".join(block(1, k) for k, _ in keys) + b"".join(block(2, p) for _, p in keys))
    return out + (b"" if v is None else value(kind or as_kind, v))


def payload(seq, *metrics):
    return number(1, int(time.time() * 1000)) + b"".join(block(2, m) for m in metrics) + (b"" if seq is None else number(3, seq))


class Edge:
    """An edge node: its own connection with the NDEATH as its will."""

    def __init__(self, port, group, name="edge-3", bd_seq=0):
        self.group, self.name, self.bd_seq, self.seq, self.rest = group, name, bd_seq, 0, b""
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=10)
        will = payload(None, metric("bdSeq", kind=INT64, v=bd_seq))
        self.send(0x10, _text("MQTT") + bytes([4, 0x2 | 0x4 | 0x8]) + struct.pack(">H", 0) + _text(f"edge-{group}-{name}-{bd_seq}") +
                  _text(self.topic("NDEATH")) + struct.pack(">H", len(will)) + will)
        assert self.packet()[1][1] == 0, "CONNACK"
        self.send(0x82, struct.pack(">H", 1) + _text(self.topic("NCMD")) + b"\x01")
        assert self.packet()[0] == 0x90, "SUBACK"

    def topic(self, kind, device=None):
        return f"spBv1.0/{self.group}/{kind}/{self.name}" + (f"/{device}" if device else "")

    def send(self, first, body):
        self.sock.sendall(bytes([first]) + _length(len(body)) + body)

    def publish(self, kind, data, device=None):
        self.send(0x30, _text(self.topic(kind, device)) + data)  # QoS 0, as the specification wants it

    def packet(self, seconds=10):
        end = time.monotonic() + seconds
        while True:
            size, at = 0, 1
            while at < len(self.rest):
                size |= (self.rest[at] & 127) << 7 * (at - 1)
                at += 1
                if not self.rest[at - 1] & 128:
                    if len(self.rest) >= at + size:
                        packet = (self.rest[0], self.rest[at : at + size])
                        self.rest = self.rest[at + size :]
                        return packet
                    break
            self.sock.settimeout(max(0.01, end - time.monotonic()))
            part = self.sock.recv(65536)
            assert part, "the broker closed the node's connection"
            self.rest += part

    def must_be_asked(self, seconds=20):
        """Waits for the command to be born again."""
        first, body = self.packet(seconds)
        assert first & 0xF0 == 0x30, hex(first)
        size = struct.unpack_from(">H", body)[0]
        assert body[2 : 2 + size].decode() == self.topic("NCMD")
        command = body[2 + size + (2 if first & 6 else 0) :]
        assert block(1, "Node Control/Rebirth") in command and command.endswith(number(4, BOOLEAN) + number(14, 1)), command.hex()

    def next_seq(self):
        self.seq = (self.seq + 1) % 256
        return self.seq

    def birth(self, *metrics):
        self.seq = 0
        self.publish("NBIRTH", payload(0, metric("bdSeq", kind=INT64, v=self.bd_seq), metric("Node Control/Rebirth", kind=BOOLEAN, v=0), *metrics))

    def device_birth(self, device, *metrics):
        self.publish("DBIRTH", payload(self.next_seq(), *metrics), device)

    def data(self, *metrics, device=None, skip=0):
        for _ in range(skip):
            self.next_seq()
        self.publish("DDATA" if device else "NDATA", payload(self.next_seq(), *metrics), device)

    def die(self):
        self.sock.close()  # without DISCONNECT: the broker publishes the will


@pytest.fixture
def plant(tmp_path, mosquitto):
    """An agent that reads Sparkplug, and the group its nodes are to use: one for each test, the broker is shared."""
    group = f"plant-{tmp_path.name}"
    agent = agents.Agent(tmp_path, "127.0.0.1:1", mosquitto.url, "gw-spb", {
        "spool": {"commit_interval": "50ms"},
        "mqtt": {"client_id": group, "max_payload": "1MiB",
                 "subscriptions": [{"topic": f"spBv1.0/{group}/+/+/#", "payload": "sparkplug_b"}]}})
    agent.group = group
    start(agent)
    yield agent
    agent.stop()


def start(agent):
    agent.start(links=False)
    # It is "up" when the SUBSCRIBE is on its way; a node that connects after that is heard from its first message on.
    agent.wait("the link", lambda s: s["drivers"][0]["state"] == "up")


def readings(agent):
    return agent.listing("spool", "export")


def told(r):
    v = next((r[k] for k in ("value", "value_int", "value_bool", "value_str") if k in r), None)
    return (r["source"], r["tag"], v, r["quality"] + ("/" + r["reason"] if "reason" in r else ""))


def wait_accepted(agent, n):
    return agent.wait(f"{n} readings", lambda s: s["accepted"] >= n)


def test_births_data_and_death(plant, mosquitto):
    edge = Edge(mosquitto.port, plant.group)
    edge.data(metric(alias=1, v=1.5, as_kind=DOUBLE))  # we have heard no birth
    edge.must_be_asked()
    born = int(time.time() * 1000) - 60000
    edge.birth(metric("Uptime", 1, UINT32, 7, ms=born))
    edge.device_birth("press-1", metric("Inputs/Temp 1", 10, FLOAT, 71.5, unit="degC"), metric("running", 11, BOOLEAN, 1),
                      metric("offset", 12, INT16, -5), metric("recipe", 13, STRING, "läuft"), metric("total", 14, UINT64, 2**63 - 1))
    edge.data(metric(alias=10, v=72.25, as_kind=FLOAT), metric(alias=12, v=-6, as_kind=INT16), device="press-1")
    edge.data(metric(alias=10, v=None), metric(alias=11, v=0, as_kind=BOOLEAN, quality=500), device="press-1")
    edge.data(metric(alias=1, v=8, as_kind=UINT32, ms=born - 3600000, historical=True))
    wait_accepted(plant, 11)
    edge.die()
    wait_accepted(plant, 17)
    expected = [
        ("edge-3", "Uptime", 7.0, "good"),
        ("press-1", "Inputs_Temp_1._2f20", 71.5, "good"), ("press-1", "running", True, "good"), ("press-1", "offset", -5.0, "good"),
        ("press-1", "recipe", "läuft", "good"), ("press-1", "total", 2**63 - 1, "good"),
        ("press-1", "Inputs_Temp_1._2f20", 72.25, "good"), ("press-1", "offset", -6.0, "good"),
        ("press-1", "Inputs_Temp_1._2f20", None, "bad/sensor"), ("press-1", "running", None, "bad/stale"),
        ("edge-3", "Uptime", 8.0, "good"),
    ] + [(s, t, None, "bad/not_connected") for s, t in (("edge-3", "Uptime"), *(("press-1", t) for t in ("Inputs_Temp_1._2f20", "running", "offset", "recipe", "total")))]
    got = readings(plant)
    assert [told(r) for r in got] == expected
    assert got[1]["unit"] == "degC" and got[1]["edge"] == "edge-3" and got[1]["group"] == plant.group, got[1]
    assert got[0]["ts_us"] == born * 1000
    assert got[10]["ts_us"] == (born - 3600000) * 1000 and got[10]["historical"] is True, got[10]
    assert len(plant.listing("spool", "quarantine")) == 1
    assert "edge-3 is down: NDEATH" in plant.log()
    again = Edge(mosquitto.port, plant.group, bd_seq=1)
    again.birth(metric("Uptime", 1, UINT32, 1))
    wait_accepted(plant, 18)
    assert "edge-3 is up" in plant.log()
    again.die()


def forget(agent, tags):
    """As soon as the file has it that Kafka has their readings."""
    wait.until(f"{tags} to be forgotten", 20, lambda: agent.tool("tags", "forget", tags, "--yes", code=None).returncode == 0)


def test_a_node_that_is_gone_for_good_is_forgotten_with_its_tags(room):
    group = room.gateway
    agent = room.agent({"mqtt": {"client_id": group, "subscriptions": [{"topic": f"spBv1.0/{group}/#", "payload": "sparkplug_b"}]}}).start()
    nodes = [Edge(room.mosquitto.port, group, name) for name in ("edge-3", "edge-4")]
    for node in nodes:
        node.birth()  # it has no metric of its own
        node.device_birth(f"press-{node.name[-1]}", metric("temp", 1, FLOAT, 71.5))
    agent.wait_delivered(2)
    for node in nodes:
        node.die()
    down = agent.wait("both to be down", lambda s: s["held"] == 0 and s["drivers"][0]["n_devices_down"] == 2)
    way = next(c["todo"] for c in down["conditions"] if c["name"] == "device_down")
    command = way.partition("millrace tags forget ")[2].split()
    assert command[1] == "--yes" and "edge=edge-3" in command[0], way
    forget(agent, command[0].strip("'"))
    s = agent.wait("the other to be down alone", lambda s: s["drivers"][0]["n_devices_down"] == 1)
    assert [d["name"] for d in s["drivers"][0]["devices"]] == ["edge-4"], s["drivers"][0]
    assert "its tags were forgotten" in agent.log()
    forget(agent, "press-4")
    agent.wait("nothing to be wrong", lambda s: not [c for c in s["conditions"] if c["name"] == "device_down"])
    Edge(room.mosquitto.port, group, "edge-4", bd_seq=1).birth(metric("Uptime", 1, UINT32, 1))
    agent.wait_delivered(5)


def test_what_was_missed_is_asked_for(plant, mosquitto):
    edge = Edge(mosquitto.port, plant.group)
    edge.birth(metric("a", 1, DOUBLE, 1.0), metric("b", 2, DOUBLE, 2.0))
    edge.data(metric(alias=1, v=1.5, as_kind=DOUBLE), skip=3)
    edge.must_be_asked()
    wait_accepted(plant, 3)
    assert told(readings(plant)[2]) == ("edge-3", "a", 1.5, "uncertain"), "aliases may have changed in what was missed"
    edge.birth(metric("b", 1, DOUBLE, 3.0), metric("a", 2, DOUBLE, 4.0))
    edge.data(metric(alias=1, v=5.0, as_kind=DOUBLE))
    wait_accepted(plant, 6)
    assert told(readings(plant)[5]) == ("edge-3", "b", 5.0, "good")
    other = Edge(mosquitto.port, plant.group, "edge-4")  # the first will not be asked again so soon
    other.birth(metric("a", 2, DOUBLE, 1.0))
    other.data(metric(alias=77, v=1.0, as_kind=DOUBLE), metric(alias=2, v=6.0, as_kind=DOUBLE))
    other.must_be_asked()
    wait_accepted(plant, 8)
    assert told(readings(plant)[7]) == ("edge-4", "a", 6.0, "good")
    plant.wait("the quarantine", lambda s: s["quarantined"] == 1)
    assert plant.listing("spool", "quarantine")[0]["reason"] == "alias unknown, rebirth requested"
    plant.stop()
    start(plant)
    edge.data(metric(alias=2, v=7.0, as_kind=DOUBLE))
    edge.must_be_asked()
    edge.birth(metric("b", 1, DOUBLE, 3.0), metric("a", 2, DOUBLE, 4.0))
    wait_accepted(plant, 10)
    edge.die()
    wait_accepted(plant, 12)
    assert [told(r)[3] for r in readings(plant)[-2:]] == ["bad/not_connected"] * 2


def test_a_large_node_loses_nothing(plant, mosquitto):
    """Births and deaths larger than what the spool gathers for one commit, at QoS 0, one behind the other."""
    n = 5000
    edge = Edge(mosquitto.port, plant.group)
    for k in range(3):
        edge.birth(*(metric(f"Line 1/Station {i}/Value", i, INT32, -i * (k + 1)) for i in range(n)))
        edge.data(metric(alias=n - 1, v=k, as_kind=INT32))
    edge.die()
    s = wait_accepted(plant, 4 * n + 3)
    assert s["dropped"] == 0 and s["accepted"] == 4 * n + 3, s
    got = readings(plant)
    assert len(got) == 4 * n + 3
    assert [r["value"] for r in got[: n]] == [float(-i) for i in range(n)]
    assert got[3 * n + 2]["value"] == 2.0
    assert {r.get("reason") for r in got[3 * n + 3 :]} == {"not_connected"}
    assert len({r["tag"] for r in got}) == n


def test_garbage_harms_nobody(plant, mosquitto):
    edge = Edge(mosquitto.port, plant.group)
    edge.birth(metric("a", 1, DOUBLE, 1.0), metric("table", 2, DATASET, b""))
    for kind, data in (("NDATA", b"\xff"), ("NDATA", b'{"a":1}'), ("NBIRTH", b"\x12\x00" * 100000), ("NDATA", b"\x12\xff\xff\xff\xff\x0f"), ("XDATA", b"")):
        edge.publish(kind, data)
    edge.publish("NCMD", b"\xff")
    edge.data(metric(alias=1, v=2.0, as_kind=DOUBLE))
    wait_accepted(plant, 2)
    assert [told(r) for r in readings(plant)] == [("edge-3", "a", 1.0, "good"), ("edge-3", "a", 2.0, "good")]
    plant.wait("the quarantine", lambda s: s["quarantined"] == 6)
    reasons = [q["reason"] for q in plant.listing("spool", "quarantine")]
    assert sorted(set(reasons)) == ["metric 'table': its datatype 16 (DataSet) is not supported", "more metrics than one message may hold",
                                    "not a Sparkplug B payload", "not a topic of Sparkplug B"], reasons
    plant.process.must_live()
    edge.die()
