"""Device and link alarms with a real daemon: one alarm for a device that is down, none of its tags' silence; what can't be
read neither raises nor clears an alarm of the process.  The slave is ours, because it must fall silent and change on command.
"""

import collections
import socketserver
import struct
import threading
import time

import pytest

from rig import agent as agents
from rig import wait
from rig.mosquitto import Mosquitto
from rig.mqtt import Publisher

SILENCE = 1.5
RULES = [
    {"name": "hot", "match": "m-*/temp", "rule": "limits", "hi": 50, "deadband": 5, "severity": 700},
    {"match": "*", "rule": "device_down", "severity": 600},
    {"match": "*/temp", "rule": "silent", "after": f"{SILENCE}s", "severity": 300},
    {"match": "*/level", "rule": "stuck", "after": f"{SILENCE}s", "severity": 300},
]


class Slave(socketserver.ThreadingTCPServer):
    """Modbus/TCP, holding registers of several units; `mute` units don't answer."""

    allow_reuse_address = daemon_threads = True

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            self.server.connections.append(self.request)
            while head := self._exactly(7):
                number, _, size, unit = struct.unpack(">HHHB", head)
                function, first, n = struct.unpack(">BHH", self._exactly(size - 1))
                if unit in self.server.mute:
                    continue
                words = [self.server.words[unit].get(first + i, 0) for i in range(n)]
                body = struct.pack(f">BB{n}H", function, 2 * n, *words)
                self.request.sendall(struct.pack(">HHHB", number, 0, 1 + len(body), unit) + body)

        def _exactly(self, n):
            got = b""
            while len(got) < n:
                try:
                    part = self.request.recv(n - len(got))
                except OSError:
                    return b""
                if not part:
                    return b""
                got += part
            return got

    def __init__(self, port=0):
        super().__init__(("127.0.0.1", port), self.Handler)
        self.port = self.server_address[1]
        self.words, self.mute, self.connections = collections.defaultdict(dict), set(), []
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def handle_error(self, request, client_address):
        """A connection that was closed in the middle of an answer is what these tests do."""

    def put(self, unit, temp, level=None):
        hi, lo = struct.unpack(">HH", struct.pack(">f", temp))
        self.words[unit].update({0: hi, 1: lo})
        if level is not None:
            self.words[unit][2] = level

    def end(self):
        self.shutdown()
        self.server_close()
        for c in self.connections:
            c.close()


@pytest.fixture
def floor(tmp_path):
    """Two machines on one line; machine 1 is hot and its level stands still, that of machine 2 moves."""
    slave = Slave()
    for unit in (1, 2):
        slave.put(unit, 90 if unit == 1 else 20, 7)
    agent = agents.Agent(str(tmp_path), "127.0.0.1:1", "mqtt://127.0.0.1:1", "gw-devices", {
        "alarms": RULES,
        "modbus": [{"name": "line", "port": f"tcp://127.0.0.1:{slave.port}", "timeout": "250ms", "retries": 0}],
        "profiles": [{"name": "all", "period": "100ms", "registers": [
            {"tag": "temp", "at": "holding:0", "type": "float32"}, {"tag": "level", "at": "holding:2", "type": "uint16"}]}],
        "devices": [{"source": f"m-{unit}", "bus": "line", "unit": unit, "profile": "all"} for unit in (1, 2)],
    })
    del agent.conf["mqtt"]
    agent.write()
    agent.start(links=False)
    going = threading.Event()

    def stir():
        while not going.wait(0.3):
            slave.words[2][2] = (slave.words[2][2] + 1) % 1000

    threading.Thread(target=stir, daemon=True).start()
    yield agent, slave
    going.set()
    agent.stop()
    slave.end()


def history(agent):
    return [(n["source"], n["tag"] or "-", n["rule"], n["change"]) for n in agent.listing("alarms", "history")]


def active(agent):
    return {(r["source"], r["tag"] or "-", r["rule"]) for r in agent.listing("alarms", "ls") if r["state"] in ("unack", "acked")}


def until_active(agent, what, names, seconds=20):
    wait.until(what, seconds, lambda: active(agent) == names, every=0.1, detail=lambda: f"{active(agent)}\n{agent.log_tail()}")


HOT, STUCK = ("m-1", "temp", "hot"), ("m-1", "level", "stuck")
DOWN = [("m-1", "-", "device_down"), ("m-2", "-", "device_down")]


def test_a_device_that_is_down_is_one_alarm(floor):
    agent, slave = floor
    until_active(agent, "machine 1 to be hot, and its level to be stuck", {HOT, STUCK})
    slave.mute.add(1)
    until_active(agent, "the device to be told in place of its tags", {HOT, DOWN[0]})
    slave.put(1, 20, 8)  # it cools down where nobody sees it
    time.sleep(2 * SILENCE)  # long enough for its tags to be silent and stuck
    assert active(agent) == {HOT, DOWN[0]}
    slave.mute.clear()
    until_active(agent, "all to be well", set(), 30)
    slave.mute.add(1)
    until_active(agent, "the device to be down again", {DOWN[0]})
    slave.put(1, 90, 9)  # and heats up
    time.sleep(2 * SILENCE)
    assert active(agent) == {DOWN[0]}
    slave.mute.clear()
    until_active(agent, "machine 1 to be hot", {HOT}, 30)
    wait.until("its history to say so", 20, lambda: [h[3] for h in history(agent) if h[:3] == HOT] == ["active", "returned", "active"],
               detail=lambda: str(history(agent)))  # an alarm is listed before its event is on the disk
    assert not [h for h in history(agent) if h[2] == "silent" or h[0] == "m-2"], history(agent)
    assert [h[3] for h in history(agent) if h[:3] == DOWN[0]] == ["active", "returned"] * 2


def test_a_lost_link_is_the_same_for_all_behind_it(floor):
    agent, slave = floor
    until_active(agent, "machine 1 to be hot, and its level to be stuck", {HOT, STUCK})
    port = slave.port
    slave.end()
    until_active(agent, "both devices to be told", {HOT, *DOWN})
    time.sleep(2 * SILENCE)
    assert active(agent) == {HOT, *DOWN}
    agent.kill()  # the states survive; the link is still down
    agent.start(links=False)
    time.sleep(2 * SILENCE)
    assert active(agent) == {HOT, *DOWN}
    again = Slave(port)
    again.put(1, 20, 7)
    again.put(2, 20, 7)
    until_active(agent, "the link to be back, and the level of both to stand still", {STUCK, ("m-2", "level", "stuck")}, 60)
    assert not [h for h in history(agent) if h[2] == "silent"], history(agent)
    again.end()


def test_a_broken_sensor_neither_raises_nor_clears(floor):
    agent, slave = floor
    until_active(agent, "machine 1 to be hot, and its level to be stuck", {HOT, STUCK})
    slave.put(1, float("nan"), 8)
    slave.put(2, float("nan"))
    wait.until("bad readings", 10, lambda: "bad" in [r["quality"] for r in agent.listing("spool", "tail")])
    time.sleep(0.5)
    assert HOT in active(agent) and not [h for h in history(agent) if h[:2] == ("m-2", "temp")]
    slave.put(1, 20)
    wait.until("machine 1 to be cold", 10, lambda: HOT not in active(agent))


def test_a_lost_broker_is_told_for_its_sources(tmp_path):
    """The mqtt driver's link: its sources are down with it, and come back with it."""
    broker = Mosquitto(str(tmp_path)).start()
    agent = agents.Agent(str(tmp_path), "127.0.0.1:1", broker.url, "gw-broker", {"alarms": RULES})
    agent.start(links=False)
    agent.wait("the broker", lambda s: s["drivers"][0]["state"] == "up")
    publisher = Publisher(broker.port)
    publisher.one("gw-broker/l/m-1/temp", b"90")
    publisher.one("gw-broker/l/m-2/temp", b"20")
    wait.until("machine 1 to be hot", 10, lambda: HOT in active(agent))
    broker.kill()
    wait.until("its devices to be down", 20, lambda: set(DOWN) <= active(agent), detail=lambda: str(active(agent)))
    time.sleep(2 * SILENCE)
    assert active(agent) == {HOT, *DOWN}
    broker.start()
    wait.until("them to be back", 60, lambda: not set(DOWN) & active(agent), detail=lambda: str(active(agent)))
    assert HOT in active(agent)
    agent.stop()
    broker.stop()
