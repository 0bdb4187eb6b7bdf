"""Modbus against peers that share no line with our framer: libmodbus, pymodbus, and mbpoll as a second reader.

Kafka is not there in these tests: what was read is held in the spool, and looked at there.
"""

import contextlib
import os
import socket
import sqlite3
import struct
import subprocess
import sys
import threading

import pytest

from rig import agent as agents
from rig import wait

HERE = os.path.dirname(os.path.abspath(__file__))
UNIT = 17
ORDERS = ("ABCD", "CDAB", "BADC", "DCBA")
NUMBERS = {  # type: (struct code, values)
    "int16": ("h", (-2, 12345)), "uint16": ("H", (65534, 1)), "int32": ("i", (-66052, 2**31 - 1)),
    "uint32": ("I", (4294901244, 3)), "int64": ("q", (-(2**63) + 1, 42)), "uint64": ("Q", (72623859790382856, 2**63 - 1)),
    "float32": ("f", (123.456, -1e-7)), "float64": ("d", (123.456, 1e300)),
}


def ordered(data, order):
    """The bytes of a value as a slave with that order holds them in its registers."""
    words = [data[i : i + 2] for i in range(0, len(data), 2)]
    if order in ("CDAB", "DCBA"):
        words.reverse()
    if order in ("BADC", "DCBA"):
        words = [w[::-1] for w in words]
    return b"".join(words)


class Map:
    """What the slave holds, what is configured, and what must come out."""

    def __init__(self):
        self.table, self.registers, self.expected = [], [], {}
        self.next = {"holding": 3, "input": 100}

    def put(self, table, data, tag, expected, **conf):
        at = self.next[table]
        for i in range(0, len(data), 2):
            self.table.append(f"{table} {at + i // 2} {data[i] << 8 | data[i + 1]}")
        self.next[table] = at + len(data) // 2 + len(self.registers) % 3
        self.registers.append({"tag": tag, "at": f"{table}:{at}", **conf})
        self.expected[tag] = expected

    def fill(self):
        for kind, (code, values) in NUMBERS.items():
            for order in ORDERS:
                for n, value in enumerate(values):
                    data = struct.pack(">" + code, value)
                    self.put("holding" if n else "input", ordered(data, order), f"{kind}-{order}-{n}",
                             struct.unpack(">" + code, data)[0], type=kind, word_order=order)
        self.put("holding", struct.pack(">h", -123), "scaled", -12.3, type="int16", scale=0.1)
        self.put("holding", struct.pack(">H", 100), "offset", 60.0, type="uint16", offset=-40)
        self.put("holding", b"PRESS 3\0\0\0", "text", "PRESS 3", type="string", length=5)
        self.put("input", b"RPSE S\x003", "swapped", "PRESS 3", type="string", length=4, word_order="BADC")
        self.put("holding", struct.pack(">H", 1 << 9), "bit", True, type="bit", bit=9)
        self.put("holding", struct.pack(">H", 1 << 9), "other-bit", False, type="bit", bit=8)
        self.put("holding", struct.pack(">f", float("nan")), "broken", None, type="float32")
        for table, first in (("coil", 0), ("discrete", 30)):
            for i in range(20):
                self.table.append(f"{table} {first + i} {i % 3 == 0:d}")
                self.registers.append({"tag": f"{table}-{i}", "at": f"{table}:{first + i}", "type": "bool"})
                self.expected[f"{table}-{i}"] = i % 3 == 0
        return self


class Slave:
    """One of the two peers, on TCP or on one end of a pseudo terminal pair."""

    def __init__(self, folder, program, port, text, kind="tcp", more=()):
        self.table = os.path.join(folder, "table")
        with open(self.table, "w", encoding="ascii") as f:
            f.write(text + "\n")
        self.argv = program + ([kind, str(port)] if isinstance(port, int) else [port, "115200"]) + [str(UNIT), *more]
        self.port, self.child = port, None

    def start(self):
        with open(self.table, "rb") as stdin:
            self.child = subprocess.Popen(self.argv, stdin=stdin, preexec_fn=wait.die_with_parent)
        if isinstance(self.port, int):
            wait.until("the slave to listen", 10, lambda: wait.port_answers(self.port))
        return self

    def stop(self):
        self.child.kill()
        self.child.wait()


PEERS = {
    "libmodbus": [os.path.join(agents.build_dir(), "tests", "integration", "modbus_slave")],
    "pymodbus": [sys.executable, os.path.join(HERE, "peers", "pymodbus_slave.py")],
}


class Line:
    """A pseudo terminal pair that can be unplugged."""

    def __init__(self, folder):
        self.ours, self.theirs = os.path.join(folder, "ttyA"), os.path.join(folder, "ttyB")
        self.child = None

    def plug(self):
        self.child = subprocess.Popen(["socat", f"PTY,link={self.ours},raw,echo=0", f"PTY,link={self.theirs},raw,echo=0"],
                                      preexec_fn=wait.die_with_parent)
        wait.until("the line", 5, lambda: os.path.exists(self.ours) and os.path.exists(self.theirs))
        return self

    def unplug(self):
        self.child.terminate()
        self.child.wait()


def start_agent(folder, port, registers, **bus):
    agent = agents.Agent(folder, "127.0.0.1:1", "mqtt://127.0.0.1:1", "gw-modbus", {
        "modbus": [{"name": "bus", "port": f"tcp://127.0.0.1:{port}" if isinstance(port, int) else port, **bus}],
        "profiles": [{"name": "all", "period": "200ms", "registers": registers}],
        "devices": [{"source": "slave", "bus": "bus", "unit": UNIT, "profile": "all"}],
    })
    del agent.conf["mqtt"]
    agent.write()
    return agent.start(links=False)


def readings(agent):
    return agent.listing("spool", "export")


def last_values(agent):
    last = {}
    for r in readings(agent):
        last[r["tag"]] = r
    return last


def value_of(record):
    for key in ("value_int", "value_bool", "value_str", "value"):
        if key in record:
            return record[key]
    return None


def driver(status):
    return next(d for d in status["drivers"] if d["name"] == "bus")


@pytest.fixture
def line(tmp_path):
    made = Line(str(tmp_path)).plug()
    yield made
    made.unplug()


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize("medium", ["tcp", "tcp, 4 in flight", "rtu"])
def test_every_type_in_every_order(tmp_path, line, peer, medium):
    everything = Map().fill()
    slave = Slave(str(tmp_path), PEERS[peer], line.theirs if medium == "rtu" else wait.free_port(),
                  "\n".join(everything.table)).start()
    conf = {"tcp": {}, "rtu": {"baud": 115200, "parity": "none"}}.get(medium, {"in_flight": 4})
    agent = start_agent(tmp_path, line.ours if medium == "rtu" else slave.port, everything.registers, timeout="2s", **conf)
    try:
        agent.wait("all tags to be read three times", lambda s: s["accepted"] >= 3 * len(everything.expected), 40)
        agent.stop()
        seen = last_values(agent)
        assert set(seen) == set(everything.expected)
        for tag, expected in everything.expected.items():
            record = seen[tag]
            if expected is None:
                assert (record["quality"], record["reason"]) == ("bad", "sensor"), record
                continue
            assert record["quality"] == "good", record
            if isinstance(expected, int) and not isinstance(expected, bool) and abs(expected) <= 2**53:
                assert record["value"] == expected, record
            else:
                assert value_of(record) == expected, (record, expected)
    finally:
        slave.stop()


@pytest.mark.parametrize("medium", ["rtu+tcp", "ascii+tcp", "ascii"])
def test_serial_servers_and_ascii(tmp_path, line, medium):
    """pymodbus as a serial server that passes bytes on, and as a slave that speaks ASCII on a line."""
    everything = Map().fill()
    over_tcp = medium.endswith("+tcp")
    slave = Slave(str(tmp_path), PEERS["pymodbus"], wait.free_port() if over_tcp else line.theirs, "\n".join(everything.table),
                  medium, () if over_tcp else ("ascii",)).start()
    conf = {} if over_tcp else {"baud": 115200, "parity": "none", "framing": "ascii"}
    port = f"{medium}://127.0.0.1:{slave.port}" if over_tcp else line.ours
    agent = start_agent(tmp_path, port, everything.registers, timeout="2s", **conf)
    try:
        agent.wait("all tags to be read twice", lambda s: s["accepted"] >= 2 * len(everything.expected), 60)
        assert [driver(agent.status())[key] for key in ("late", "mismatched", "crc", "garbage")] == [0, 0, 0, 0]
        agent.stop()
        seen = last_values(agent)
        for tag, expected in everything.expected.items():
            if expected is None:
                assert seen[tag]["quality"] == "bad", seen[tag]
            else:
                assert seen[tag]["quality"] == "good" and value_of(seen[tag]) == expected, (seen[tag], expected)
    finally:
        slave.stop()


class IdleCloser(threading.Thread):
    """A TCP device that closes a connection after so long a silence."""

    def __init__(self, seconds):
        super().__init__(daemon=True)
        self.seconds, self.requests, self.connections = seconds, 0, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]

    def run(self):
        while True:
            connection, _ = self.listener.accept()
            self.connections += 1
            connection.settimeout(self.seconds)
            with connection, contextlib.suppress(socket.timeout):
                while request := connection.recv(12):
                    self.requests += 1
                    connection.sendall(request[:4] + b"\0\5" + request[6:8] + b"\2\x12\x67")


def test_a_device_that_closes_idle_connections(tmp_path):
    """Period 2 s, closed after 0.3 s of silence: each request is answered, nothing is bad, nobody is told."""
    device = IdleCloser(0.3)
    device.start()
    agent = start_agent(tmp_path, device.port, [{"tag": "v", "at": "holding:5", "type": "uint16", "period": "2s"}])
    agent.wait("five readings", lambda s: s["accepted"] >= 5, 30)
    seen, status = device.requests, driver(agent.status())
    agent.stop()
    assert [(r["quality"], r["value"]) for r in readings(agent)] == [("good", 4711.0)] * len(readings(agent))
    assert status["state"] == "up" and status["errors"] == 0 and seen <= len(readings(agent)) + 1
    assert device.connections >= 5


def test_mbpoll_reads_the_same(tmp_path):
    """A third reading of the same slave, by mbpoll: what it prints is what we hold."""
    everything = Map().fill()
    slave = Slave(str(tmp_path), PEERS["libmodbus"], wait.free_port(), "\n".join(everything.table)).start()
    agent = start_agent(tmp_path, slave.port, everything.registers)
    try:
        agent.wait("all tags to be read", lambda s: s["accepted"] >= 2 * len(everything.expected), 30)
        agent.stop()
        seen = last_values(agent)
        for tag, kind in (("uint16-ABCD-1", "4"), ("int32-ABCD-1", "4:int"), ("int32-CDAB-1", "4:int"),
                          ("float32-ABCD-1", "4:float"), ("float32-CDAB-1", "4:float")):
            at = next(int(r["at"].split(":")[1]) for r in everything.registers if r["tag"] == tag)
            order = [] if "CDAB" in tag or kind == "4" else ["-B"]
            done = subprocess.run(["mbpoll", "-m", "tcp", "-p", str(slave.port), "-a", str(UNIT), "-t", kind, "-0", "-r", str(at),
                                   "-c", "1", "-1", *order, "127.0.0.1"], capture_output=True, text=True, timeout=20, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
            text = next(l for l in done.stdout.splitlines() if l.startswith(f"[{at}]")).split(":")[1].split()[0]
            assert float(text) == pytest.approx(seen[tag]["value"], rel=1e-5), tag
    finally:
        slave.stop()


def test_unplugged_and_plugged_in_again(tmp_path, line):
    """The port goes away and comes back: bad once, good again, no descriptor is left behind."""
    slave = Slave(str(tmp_path), PEERS["libmodbus"], line.theirs, "holding 5 4711").start()
    agent = start_agent(tmp_path, line.ours, [{"tag": "v", "at": "holding:5", "type": "uint16"}], baud=115200, parity="none")
    try:
        agent.wait("the slave to be read", lambda s: driver(s)["readings"] > 3, 20)
        fds = len(os.listdir(f"/proc/{agent.process.child.pid}/fd"))
        for _ in range(3):
            line.unplug()
            slave.stop()
            agent.wait("the driver to see it", lambda s: driver(s)["state"] != "up", 10)
            line.plug()
            slave.start()
            before = driver(agent.status())["readings"]
            agent.wait("it to be read again", lambda s: driver(s)["readings"] > before + 3, 20)
        assert len(os.listdir(f"/proc/{agent.process.child.pid}/fd")) <= fds + 1
        agent.stop()
        rows = readings(agent)
        bad = [r for r in rows if r["quality"] == "bad"]
        assert [r["reason"] for r in bad] == ["not_connected"] * 3, bad
        assert all(r["value"] == 4711 for r in rows if r["quality"] == "good")
    finally:
        slave.stop()


def test_a_dead_slave_is_one_event(tmp_path):
    """A unit that does not answer: its tags are bad once, the others go on."""
    slave = Slave(str(tmp_path), PEERS["libmodbus"], wait.free_port(), "holding 5 4711").start()
    agent = start_agent(tmp_path, slave.port, [{"tag": "v", "at": "holding:5", "type": "uint16"}], timeout="100ms", retries=0)
    try:
        agent.wait("the slave to be read", lambda s: driver(s)["readings"] > 3, 20)
        slave.child.send_signal(19)  # SIGSTOP: the connection stays, nobody answers
        agent.wait("it to be given up", lambda s: "slave" in agent.log() and "is down" in agent.log(), 20)
        slave.child.send_signal(18)
        agent.wait("it to be back", lambda s: "slave is up" in agent.log(), 70)
        agent.stop()
        bad = [r for r in readings(agent) if r["quality"] == "bad"]
        assert [r["reason"] for r in bad] == ["comm_failure"], bad
        with contextlib.closing(sqlite3.connect(f"file:{agent.spool}?mode=ro", uri=True)) as db:
            told = [str(row) for row in db.execute("SELECT * FROM event ORDER BY 1") if '"device"' in str(row)]
        assert len(told) == 2 and '"down"' in told[0] and '"up"' in told[1], told
    finally:
        slave.stop()
