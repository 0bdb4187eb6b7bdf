"""A bus that has a master already: what the daemon overhears on a pseudo terminal is what the master got, and nothing is sent."""

import contextlib
import json
import os
import pty
import random
import select
import struct
import threading
import time
import tty

import pytest

from rig import agent as agents
from rig import wait
from rig.agent import tool
from rig.slaves import crc
from test_commissioning import check

# tag: unit, function, address, registers; the value is the pair's number, in the last two registers
SHAPES = {"a": (1, 3, 0, 2), "b": (1, 3, 10, 2), "c": (1, 3, 100, 60), "d": (1, 4, 0, 2), "e": (2, 3, 0, 2), "f": (2, 4, 500, 125), "g": (17, 4, 7, 10)}


class Bus:
    """The line on which the master and its slaves talk; `theirs` is where the daemon listens."""

    def __init__(self, baud, seed=1):
        self.ours, line = pty.openpty()
        tty.setraw(self.ours)
        tty.setraw(line)
        self.line, self.theirs, self.baud = line, os.ttyname(line), baud
        self.chance, self.next = random.Random(seed), 0.0

    def say(self, data):
        """At the speed of the line."""
        while data:
            piece, data = data[:64], data[64:]
            os.write(self.ours, piece)
            self.next = max(self.next, time.monotonic() - 0.05) + len(piece) * 10 / self.baud
            time.sleep(max(0.0, self.next - time.monotonic()))

    def spoil(self, frame):
        """Noise and lost bytes; the last byte is never lost alone: the next frame's first could stand in for it."""
        at, k = self.chance.randrange(1, len(frame) - 1), self.chance.randint(1, 4)
        how = self.chance.randrange(4)
        if how == 0:
            return frame[:at] + bytes([frame[at] ^ 1 << self.chance.randrange(8)]) + frame[at + 1:]
        if how == 1:
            return frame[:at] + frame[min(at + k, len(frame) - 1):]
        if how == 2:
            return frame[:at] + bytes(self.chance.randrange(256) for _ in range(k)) + frame[at:]
        return frame[:at] + bytes(b ^ self.chance.randrange(1, 256) for b in frame[at:at + k]) + frame[at + k:]

    def pair(self, shape, number, noise=0.0):
        """True: the master got the answer."""
        unit, function, address, count = shape
        data = bytes(self.chance.randrange(256) for _ in range(2 * count - 4)) + struct.pack(">I", number)
        whole = True
        for frame in (struct.pack(">BBHH", unit, function, address, count), bytes([unit, function, len(data)]) + data):
            frame += crc(frame)
            sent = self.spoil(frame) if self.chance.random() < noise else frame
            whole &= frame in sent
            self.say(sent)
        return whole

    def request(self, shape):
        frame = struct.pack(">BBHH", *shape)
        self.say(frame + crc(frame))

    def silent(self):
        return not select.select([self.ours], [], [], 0)[0]

    def close(self):
        os.close(self.ours)
        os.close(self.line)


@pytest.fixture
def bus(request):
    made = Bus(getattr(request, "param", 115200))
    yield made
    made.close()


def start(folder, bus, **more):
    profiles, devices = {}, []
    for tag, (unit, function, address, count) in SHAPES.items():
        where = f"{'holding' if function == 3 else 'input'}:{address + count - 2}"
        profiles.setdefault(unit, []).append({"tag": tag, "at": where, "type": "uint32"})
    devices = [{"source": f"unit-{u}", "bus": "line", "unit": u, "profile": f"p{u}"} for u in profiles]
    agent = agents.Agent(folder, "127.0.0.1:1", "mqtt://127.0.0.1:1", "gw-listen", {
        "modbus": [{"name": "line", "port": bus.theirs, "baud": bus.baud, "parity": "none", "listen": True, **more}],
        "profiles": [{"name": f"p{u}", "registers": r} for u, r in profiles.items()], "devices": devices})
    del agent.conf["mqtt"]
    agent.write()
    agent.start(links=False)
    agent.wait("the line to be open", lambda s: s["drivers"][0]["state"] == "up")
    return agent


def values(agent):
    """{tag: its good values in order}, and all bad rows."""
    rows = agent.listing("spool", "export")
    good = {tag: [int(r["value"]) for r in rows if r["tag"] == tag and r["quality"] == "good"] for tag in SHAPES}
    return good, [r for r in rows if r["quality"] == "bad"]


@pytest.mark.parametrize("bus,pairs", [(115200, int(os.environ.get("MILLRACE_PAIRS", "4000"))), (9600, int(os.environ.get("MILLRACE_PAIRS", "4000")) // 20)],
                         indirect=["bus"])
def test_the_books_equal_the_masters(tmp_path, bus, pairs):
    agent = start(tmp_path, bus)
    book, damaged = {tag: [] for tag in SHAPES}, 0
    for number in range(pairs):
        tag = bus.chance.choice(list(SHAPES))
        if bus.pair(SHAPES[tag], number, noise=0.05):
            book[tag].append(number)
        else:
            damaged += 1
    total = sum(len(b) for b in book.values())
    agent.wait("all of it", lambda s: s["accepted"] >= total, 30)
    time.sleep(1)
    agent.stop()
    good, bad = values(agent)
    assert damaged > pairs / 25
    assert {t: sorted(set(good[t]) - set(book[t])) for t in SHAPES} == {t: [] for t in SHAPES}, "a wrong value"
    assert {t: sorted(set(book[t]) - set(good[t])) for t in SHAPES} == {t: [] for t in SHAPES}, "one is missing"
    assert good == book
    assert {r["reason"] for r in bad} <= {"comm_failure", "not_connected"}
    assert bus.silent(), "nothing was sent"


def test_no_answer_is_bad_after_the_time_out(tmp_path, bus):
    agent = start(tmp_path, bus, timeout="300ms")
    bus.pair(SHAPES["a"], 1)
    agent.wait("it", lambda s: s["accepted"] == 1)
    bus.request(SHAPES["a"])
    agent.wait("it to be bad", lambda s: s["accepted"] == 2)
    bus.request(SHAPES["a"])
    time.sleep(0.6)
    bus.pair(SHAPES["a"], 2)
    frame = bytes([1, 0x83, 2])
    bus.request(SHAPES["b"])
    bus.say(frame + crc(frame))
    status = agent.wait("the rest", lambda s: s["accepted"] == 4)
    assert "illegal data address" in status["drivers"][0]["last_error"]
    agent.stop()
    rows = [(r["tag"], r.get("value"), r["quality"], r.get("reason")) for r in agent.listing("spool", "export")]
    assert rows == [("a", 1, "good", None), ("a", None, "bad", "comm_failure"), ("a", 2, "good", None), ("b", None, "bad", "config")]


def test_what_nobody_asks_for_is_not_connected(tmp_path, bus):
    agent = start(tmp_path, bus)
    bus.pair(SHAPES["a"], 1)
    agent.wait("the others to be bad", lambda s: s["accepted"] == 1 + len(SHAPES), 30)
    agent.stop()
    good, bad = values(agent)
    assert good["a"] == [1] and {r["reason"] for r in bad} == {"not_connected"}


def test_check_says_that_it_listens(tmp_path):
    part = ("modbus: [{name: line, port: %s, listen: true}]\nprofiles: [{name: p, registers: [{tag: a, at: \"holding:0\"}]}]\n"
            "devices: [{source: press, bus: line, unit: 3, profile: p}]\n")
    check(tmp_path, part % "/dev/ttyS1")
    assert "only listens" in tool("check", tmp_path / "millrace.yaml").stdout
    (tmp_path / "conf.d" / "part.yaml").write_text(part % "tcp://127.0.0.1:502")
    assert "nobody else's talk" in tool("check", tmp_path / "millrace.yaml", code=78).stderr


def test_learn(tmp_path, bus):
    over = threading.Event()

    def master():
        n = 0
        while not over.is_set():
            for shape in SHAPES.values():
                bus.pair(shape, n)
                n += 1
            over.wait(0.15)

    thread = threading.Thread(target=master, daemon=True)
    thread.start()
    done = tool("modbus", "listen", bus.theirs + ":115200,8N1", "--for", "2s", "--learn")
    lines = [json.loads(l) for l in tool("modbus", "listen", bus.theirs + ":115200,8N1", "--for", "1s", "--json").stdout.splitlines()]
    over.set()
    thread.join()
    assert bus.silent(), "nothing was sent"
    assert {(l["unit"], l["function"], l["address"], l["count"]) for l in lines if l["kind"] == "answer"} == set(SHAPES.values())
    assert "# unit 1, function 3 (holding): 0-1, 10-11, 100-159" in done.stdout and "listen: true" in done.stdout
    dump = check(tmp_path, done.stdout)
    assert "listen: true" in dump and dump.count("source:") == 3 and "input:624" in dump
    assert tool("modbus", "listen", bus.theirs, "--for", "300ms", code=1).stderr
    assert tool("modbus", "listen", "tcp://127.0.0.1:1", code=69).stderr


def test_a_value_with_its_scale_in_another_register(tmp_path, bus):
    """Only an answer that holds both registers is a value."""
    agent = agents.Agent(tmp_path, "127.0.0.1:1", "mqtt://127.0.0.1:1", "gw-listen", {
        "modbus": [{"name": "line", "port": bus.theirs, "baud": bus.baud, "parity": "none", "listen": True}],
        "profiles": [{"name": "p", "registers": [{"tag": "w", "at": "holding:5", "type": "int16", "scale_register": "holding:2"}]}],
        "devices": [{"source": "inverter", "bus": "line", "unit": 9, "profile": "p"}]})
    del agent.conf["mqtt"]
    agent.write()
    agent.start(links=False)
    agent.wait("the line to be open", lambda s: s["drivers"][0]["state"] == "up")
    for first, data in ((5, [1234]), (3, [0, 0, 1234]), (2, [0xFFFF, 0, 0, 4321]), (0, [7, 7, 0xFFFE, 0, 0, 4321, 8])):
        bus.request((9, 3, first, len(data)))
        frame = bytes([9, 3, 2 * len(data)]) + struct.pack(f">{len(data)}H", *data)
        bus.say(frame + crc(frame))
    agent.wait("both", lambda s: s["accepted"] == 2)
    agent.stop()
    assert [r["value"] for r in agent.listing("spool", "export")] == [pytest.approx(432.1), pytest.approx(43.21)]
