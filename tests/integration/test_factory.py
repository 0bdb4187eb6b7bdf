"""The contract's factory as written: only paths, hosts, ports, secrets and certificates are other ones.

Two serial buses on pseudo terminals with slaves made of a few lines here, a PLC made of libmodbus, a scale, sensors and a
Sparkplug node behind a mosquitto with TLS and password, and a Kafka with TLS and SCRAM, which is not there at first.
"""

import contextlib
import os
import sqlite3
import ssl
import struct
import subprocess
import threading
import time

import paho.mqtt.client as paho
import pytest

from rig import kafka as kafkas
from rig import records, wait
from rig.agent import Agent, tool
from rig.mosquitto import Mosquitto, make_certificates
from test_modbus import PEERS, Slave, value_of
from test_serial import Line
from test_sparkplug import BOOLEAN, FLOAT, INT64, metric, payload

CONTRACT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "examples", "factory.yaml")
OLD_US = 3600 * 1000000


def float32(value):
    return struct.unpack(">f", struct.pack(">f", value))[0]


def registers(code, value, order="ABCD"):
    words = struct.unpack(">HH", struct.pack(">" + code, value))
    return words if order == "ABCD" else words[::-1]


def press(temp, pressure, running):
    return {"holding": [temp % 65536, 0, *registers("f", pressure, "CDAB")], "coil": [running]}


PRESSES = {"press-1": press(723, 123.456, True), "press-2": press(815, 4.25, False), "plc-1": press(-45, -1e-3, True)}
METER = {"input": [*registers("f", 12.5), *registers("I", 4294901244)]}
SPARKPLUG = {("edge-3", "Uptime"): 7, ("robot-1", "Axis_1._20"): 71.5, ("robot-1", "busy"): True}
EXPECTED = {  # (source, tag): (value, unit)
    ("press-1", "temp"): (72.3, "degC"), ("press-1", "pressure"): (float32(123.456), "bar"), ("press-1", "running"): (True, None),
    ("press-2", "temp"): (81.5, "degC"), ("press-2", "pressure"): (4.25, "bar"), ("press-2", "running"): (False, None),
    ("plc-1", "temp"): (-4.5, "degC"), ("plc-1", "pressure"): (float32(-1e-3), "bar"), ("plc-1", "running"): (True, None),
    ("meter-1", "power"): (12.5, "kW"), ("meter-1", "energy"): (42949012.44, "kWh"),
    ("scale-1", "weight"): (12.5, "kg"), ("scale-1", "stable"): ("ST", None),
    ("oven-1", "temp"): (181.25, None), **{k: (v, None) for k, v in SPARKPLUG.items()},
}


def crc16(data):
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return struct.pack("<H", crc)


class Bus:
    """Slaves on a serial line: unit -> tables. A unit in `dead` hears and says nothing."""

    def __init__(self, folder, slaves):
        os.mkdir(folder)
        self.line, self.slaves, self.dead = Line(folder).plug(), slaves, set()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            heard = b""
            while True:
                heard += os.read(self.line.fd, 256)
                if len(heard) < 8:
                    continue
                request, heard = heard[:8], heard[8:]
                assert crc16(request[:6]) == request[6:], request.hex()
                if request[0] in self.slaves and request[0] not in self.dead:
                    self.line.say(self.answer(*struct.unpack(">BBHH", request[:6])))

    def answer(self, unit, function, at, n):
        table = self.slaves[unit].get({1: "coil", 2: "discrete", 3: "holding", 4: "input"}[function], [])
        if at + n > len(table):
            body = bytes([unit, function | 128, 2])
        elif function < 3:
            bits = sum(bool(v) << i for i, v in enumerate(table[at : at + n]))
            body = bytes([unit, function, (n + 7) // 8]) + bits.to_bytes((n + 7) // 8, "little")
        else:
            body = struct.pack(f">BBB{n}H", unit, function, 2 * n, *table[at : at + n])
        return body + crc16(body)


class Broker:
    """mosquitto with TLS and password; its clients here are paho's."""

    def __init__(self, folder, certificates):
        folder.mkdir()
        self.ca, users = f"{certificates}/ca.pem", folder / "users"
        subprocess.run(["mosquitto_passwd", "-b", "-c", users, "millrace", "mqtt secret"], check=True, timeout=20)
        self.mosquitto = Mosquitto(folder, anonymous=False, lines=[
            f"cafile {self.ca}", f"certfile {certificates}/server.pem", f"keyfile {certificates}/server.key",
            f"password_file {users}"]).start()
        self.clients = []

    def client(self, name, will=None):
        made, up = paho.Client(name), threading.Event()
        made.tls_set(self.ca, tls_version=ssl.PROTOCOL_TLS_CLIENT)
        made.username_pw_set("millrace", "mqtt secret")
        made.on_connect = lambda *_: up.set()
        if will:
            made.will_set(*will)
        made.connect("127.0.0.1", self.mosquitto.port)
        made.loop_start()
        assert up.wait(10), f"{name} is not connected"
        self.clients.append(made)
        return made

    def stop(self):
        for c in self.clients:
            c.disconnect()
            c.loop_stop()
        self.mosquitto.stop()


class Factory:
    """Everything around the gateway."""

    def __init__(self, folder, certificates, jars):
        self.folder, self.stopped = folder, threading.Event()
        self.kafka = kafkas.safe_kafka(folder, jars, certificates, "gw-7", "kafka secret")
        self.broker = Broker(folder / "broker", certificates)
        self.bus1 = Bus(folder / "bus1", {1: PRESSES["press-1"], 2: PRESSES["press-2"]})
        self.bus2 = Bus(folder / "bus2", {1: METER})
        (folder / "scale").mkdir()
        (folder / "plc").mkdir()
        self.scale = Line(folder / "scale").plug()
        table = [f"{name} {i} {int(v)}" for name, values in PRESSES["plc-1"].items() for i, v in enumerate(values)]
        self.plc = Slave(str(folder / "plc"), PEERS["libmodbus"], wait.free_port(), "\n".join(table))
        self.plc.argv[-1] = "255"
        self.plc.start()
        self.sensors = self.broker.client("sensors")
        threading.Thread(target=self.speak, daemon=True).start()

    def speak(self):
        """The scale and the sensors say the same again and again."""
        while not self.stopped.wait(0.2):
            self.scale.say(b"ST,GS,+0012.50kg\r\n")
            self.sensors.publish("factory/hall-2/oven-1/temp", "181.25", qos=1)

    def edge_is_born(self):
        topic = "spBv1.0/plant/{}/edge-3"
        bd_seq = metric("bdSeq", kind=INT64, v=0)
        node = self.broker.client("edge-3", will=(topic.format("NDEATH"), payload(None, bd_seq)))
        node.publish(topic.format("NBIRTH"), payload(0, bd_seq, metric("Uptime", 1, INT64, SPARKPLUG["edge-3", "Uptime"])))
        device = [metric("Axis 1", 2, FLOAT, 1.0), metric("busy", 3, BOOLEAN, 1)]
        node.publish(topic.format("DBIRTH") + "/robot-1", payload(1, *device))
        news = [metric(alias=2, as_kind=FLOAT, v=SPARKPLUG["robot-1", "Axis_1._20"]), metric(alias=3, as_kind=BOOLEAN, v=1)]
        node.publish(topic.format("DDATA") + "/robot-1", payload(2, *news))

    def stop(self):
        self.stopped.set()
        self.plc.stop()
        for line in (self.bus1.line, self.bus2.line, self.scale):
            line.unplug()
        self.broker.stop()
        self.kafka.kill()

    def configuration(self):
        """The contract's text with the places of this factory."""
        for name in ("kafka", "mqtt"):
            (self.folder / f"{name}.password").write_text(f"{name} secret\n")
        with open(CONTRACT, encoding="utf-8") as f:
            text = f.read()
        for old, new in (("/var/lib/millrace/spool.db", f"{self.folder}/spool.db"),
                         ("kafka-1.example:9093, kafka-2.example:9093", self.kafka.brokers),
                         ("/etc/millrace/kafka.password", f"{self.folder}/kafka.password"),
                         ("mqtts://127.0.0.1:8883", f"mqtts://127.0.0.1:{self.broker.mosquitto.port}"),
                         ("/etc/millrace/mqtt.password", f"{self.folder}/mqtt.password"),
                         ("/etc/millrace/ca.pem", self.broker.ca),
                         ("/dev/ttyS1", self.bus1.line.ours), ("/dev/ttyS2", self.bus2.line.ours),
                         ("10.0.0.5:502", f"127.0.0.1:{self.plc.port}"), ("/dev/ttyUSB0", self.scale.ours)):
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        return text

    def agent(self):
        made = Agent(self.folder, "", "", "gw-7")
        with open(made.config, "w", encoding="utf-8") as f:
            f.write(self.configuration())
        return made

    def samples(self, topic=kafkas.SAMPLES):
        return records.of_gateway(self.kafka.read(topic, dict.fromkeys(range(kafkas.PARTITIONS), 0)), "gw-7")


@pytest.fixture
def factory(tmp_path, jars, monkeypatch):
    certificates = tmp_path / "certificates"
    certificates.mkdir()
    make_certificates(certificates)
    monkeypatch.setenv("SSL_CERT_FILE", f"{certificates}/ca.pem")  # the system's authorities: librdkafka asks those
    made = Factory(tmp_path, certificates, jars)
    yield made
    made.stop()


def grow_old(agent):
    """What is held came in an hour ago. Returns how many."""
    with contextlib.closing(sqlite3.connect(agent.spool)) as db, db:
        db.execute("UPDATE sample SET t_us = t_us - ?", (OLD_US,))
        first, last, n = db.execute("SELECT min(seq), max(seq), count(*) FROM reading").fetchone()
    assert (first, last) == (1, n)
    return n


def tags_of(rows, **which):
    return {(r["source"], r["tag"]) for r in rows if all(r.get(k) == v for k, v in which.items())}


def check_values(rows):
    good = [r for r in rows if r["quality"] != "bad"]
    assert tags_of(good) == set(EXPECTED)
    for r in good:
        value, unit = EXPECTED[r["source"], r["tag"]]
        if (r["source"], r["tag"]) == ("robot-1", "Axis_1._20") and value_of(r) == 1.0:
            continue  # its birth
        assert type(value_of(r)) is (float if type(value) is int else type(value)), r
        assert value_of(r) == (pytest.approx(value, rel=1e-12) if isinstance(value, float) else value), r
        assert r.get("unit") == unit and r["quality"] == "good", r
    assert {r.get("line") for r in good if r["source"] == "oven-1"} == {"hall-2"}


def test_the_contracts_factory(factory):
    tool("check", CONTRACT)
    agent = factory.agent()
    agent.start(links=False)
    agent.wait("readings while Kafka is away", lambda s: s["accepted"] >= 50 and s["delivered"] == 0)
    agent.stop()
    n_old = grow_old(agent)

    factory.kafka.start().make_topics()
    agent.start(seconds=30)
    factory.edge_is_born()
    agent.wait("the meter, asked every 10 s",
               lambda s: next(d for d in s["drivers"] if d["name"] == "bus2")["readings"] >= 2, 15)

    dead_us = time.time() * 1e6
    factory.bus1.dead.add(2)
    agent.wait("press-2 to be given up", lambda s: "press-2 is down" in agent.log(), 20)
    at_once = agent.status()["accepted"]
    time.sleep(5)
    agent.wait("everything else to go on", lambda s: s["accepted"] >= at_once + 100 and s["delivered"] > at_once)
    s = agent.status()
    assert s["accepted"] == s["delivered"] + s["held"] + s["dropped"] and s["dropped"] == 0, s
    end_us = time.time() * 1e6
    agent.wait("the rest to be delivered", lambda s: s["delivered"] >= at_once and s["events"]["held"] == 0)
    agent.stop()
    assert "secret" not in agent.log()

    live = factory.samples()
    rows = [r.data for r in live]
    check_values(rows)
    for r in live:
        records.check_contract(r)
    old = [r.data["seq"] for r in factory.samples(kafkas.BACKFILL)]
    assert sorted(old) == list(range(1, n_old + 1)), "what came in an hour ago, and nothing else"
    assert min(r["seq"] for r in rows) == n_old + 1

    dead = [(r["source"], r["tag"], r.get("reason")) for r in rows if r["quality"] == "bad"]
    assert sorted(dead) == [("press-2", tag, "comm_failure") for tag in ("pressure", "running", "temp")]
    told = [e.data for e in factory.samples(kafkas.EVENTS) if e.data["kind"] == "device"]
    assert [(e["source"], e["state"]) for e in told] == [("press-2", "down")], told
    seconds = (end_us - dead_us) / 1e6
    for source, tag, least in (("press-1", "temp", 0.9), ("plc-1", "running", 9), ("oven-1", "temp", 4), ("scale-1", "weight", 4)):
        n = sum(dead_us <= r["ts_us"] < end_us for r in rows if (r["source"], r["tag"]) == (source, tag))
        assert n >= int(least * seconds) - 1, f"{source}/{tag}: {n} in {seconds} s beside a dead slave"
