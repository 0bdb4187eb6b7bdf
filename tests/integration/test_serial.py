"""Serial lines: pseudo terminals of socat, the real daemon, and the rows of its spool."""

import os
import socket
import subprocess
import threading
import time
import tty

import pytest

from rig import agent as agents
from rig import wait

LOGS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "replay", "serial")
CORPUS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "fuzz", "corpus", "serial")
SCALE = {
    "name": "scale", "source": "scale-1", "baud": 9600, "frame": "line",
    "match": "^(?<stable>ST|US),GS,(?<weight>[ +-][0-9.]+)kg$",
    "readings": [{"tag": "weight", "value": "weight", "unit": "kg"}, {"tag": "stable", "value": "stable"}],
}


class Line:
    """A pseudo terminal pair that can be unplugged; `theirs` is the instrument's end."""

    def __init__(self, folder):
        self.ours, self.theirs = os.path.join(folder, "ttyA"), os.path.join(folder, "ttyB")
        self.child = self.fd = None

    def plug(self):
        self.child = subprocess.Popen(["socat", f"PTY,link={self.ours},raw,echo=0", f"PTY,link={self.theirs},raw,echo=0"],
                                      preexec_fn=wait.die_with_parent)
        wait.until("the line", 5, lambda: os.path.exists(self.ours) and os.path.exists(self.theirs))
        self.fd = os.open(self.theirs, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(self.fd)
        return self

    def unplug(self):
        if self.child:
            os.close(self.fd)
            self.child.terminate()
            self.child.wait()
        self.child = None

    def say(self, data):
        while data:
            data = data[os.write(self.fd, data):]


@pytest.fixture
def line(tmp_path):
    made = Line(str(tmp_path)).plug()
    yield made
    made.unplug()


def settings(line, changes):
    """The scale's, changed; None takes a key out."""
    return {k: v for k, v in {**SCALE, "port": line.ours, **changes}.items() if v is not None}


def start_agent(folder, line, **conf):
    agent = agents.Agent(folder, "127.0.0.1:1", "mqtt://127.0.0.1:1", "gw-serial",
                         {"serial": [settings(line, conf)]})
    del agent.conf["mqtt"]
    agent.write()
    agent.start(links=False)
    agent.wait("the port to be open", lambda s: driver(s)["state"] == "up", 10)
    return agent


def driver(status):
    return status["drivers"][0]


def rows(agent, tag=None):
    return [r for r in agent.listing("spool", "export") if tag in (None, r["tag"])]


def test_a_scale_as_in_the_contract(tmp_path, line):
    agent = start_agent(tmp_path, line)
    line.say(b"ST,GS,+0012.50kg\r\nUS,GS, 3.1kg\r\nERR 7\r\nST,GS,-")
    line.say(b"0.5kg\r\n")
    agent.wait("three lines", lambda s: s["accepted"] == 6)
    s = agent.wait("the odd line", lambda s: driver(s)["malformed"] == 1)
    assert s["dropped"] == 0
    agent.stop()
    assert [(r["source"], r["value"], r["unit"], r["quality"]) for r in rows(agent, "weight")] == [
        ("scale-1", 12.5, "kg", "good"), ("scale-1", 3.1, "kg", "good"), ("scale-1", -0.5, "kg", "good")]
    assert [r["value_str"] for r in rows(agent, "stable")] == ["ST", "US", "ST"]
    kept = agent.listing("spool", "quarantine")
    assert len(kept) == 1 and "ERR 7" in str(kept[0]) and kept[0]["reason"] == "the line does not match", kept


def test_no_line_is_lost_at_full_speed(tmp_path, line):
    n = 20000
    agent = start_agent(tmp_path, line)
    line.say(b"".join(b"ST,GS,+%dkg\r\n" % i for i in range(n)))
    s = agent.wait("all lines", lambda s: s["accepted"] >= 2 * n, 30)
    assert (s["accepted"], s["dropped"], driver(s)["malformed"], driver(s)["errors"]) == (2 * n, 0, 0, 0)
    agent.stop()
    assert [r["value"] for r in rows(agent, "weight")] == list(range(n))


def test_unplugged_and_plugged_in_again(tmp_path, line):
    """Under load: bad once for each unplugging, values again, never a wrong one, no descriptor left behind, no spinning."""
    agent = start_agent(tmp_path, line)
    stat = f"/proc/{agent.process.child.pid}/stat"
    fds = len(os.listdir(f"/proc/{agent.process.child.pid}/fd"))
    for i in range(3):
        line.say(b"ST,GS,+%dkg\r\n" % i * 200)
        line.say(b"ST,GS,+9")
        agent.wait("values", lambda s, n=i: driver(s)["readings"] >= 400 * (n + 1))
        line.unplug()
        agent.wait("the driver to see it", lambda s: driver(s)["state"] != "up", 10)
        with open(stat, encoding="ascii") as f:
            before = sum(map(int, f.read().split()[13:15]))
        time.sleep(1)
        with open(stat, encoding="ascii") as f:
            spent = sum(map(int, f.read().split()[13:15])) - before
        assert spent < 50, f"{spent} of 100 ticks while there is no port"
        line.plug()
        agent.wait("the port to be open again", lambda s: driver(s)["state"] == "up", 20)
    line.say(b"ST,GS,+3kg\r\n")
    agent.wait("a value", lambda s: driver(s)["readings"] >= 3 * 402 + 2)
    assert len(os.listdir(f"/proc/{agent.process.child.pid}/fd")) <= fds + 1
    agent.stop()
    seen = rows(agent, "weight")
    assert [r["reason"] for r in seen if r["quality"] == "bad"] == ["not_connected"] * 3
    assert {r["value"] for r in seen if r["quality"] == "good"} == {0, 1, 2, 3}


def test_a_receivers_log(tmp_path, line):
    """The recorded bytes of a GNSS receiver, as they come over the line."""
    agent = start_agent(tmp_path, line, frame="nmea0183", match=None, readings=[
        {"tag": "lat", "sentence": "GGA", "field": 2, "type": "latitude", "unit": "deg"},
        {"tag": "altitude", "sentence": "GGA", "field": 9, "unit": "m"}])
    with open(os.path.join(LOGS, "cat-ms352.log"), "rb") as f:
        line.say(f.read())
    agent.wait("all positions", lambda s: s["accepted"] >= 80)
    agent.stop()
    with open(os.path.join(LOGS, "cat-ms352.expected"), encoding="ascii") as f:
        expected = [text.split() for text in f]
    for tag in ("lat", "altitude"):
        assert [r["value"] for r in rows(agent, tag)] == [float(e[1]) for e in expected if e[0] == tag]


def test_an_instrument_that_is_asked(tmp_path, line):
    """It answers each question with the next number, until it falls silent."""
    heard, silent = [], threading.Event()

    def answer():
        try:
            while True:
                heard.append(os.read(line.fd, 100))
                if not silent.is_set():
                    line.say(b"ST,GS,+%dkg\r\n" % len(heard))
        except OSError:
            pass

    agent = start_agent(tmp_path, line, poll="W\\r\\n", period="50ms", timeout="2s")
    threading.Thread(target=answer, daemon=True).start()
    agent.wait("ten answers", lambda s: driver(s)["readings"] >= 20)
    silent.set()
    agent.wait("unanswered questions", lambda s: driver(s)["errors"] >= 3)
    silent.clear()
    before = driver(agent.status())["readings"]
    agent.wait("answers again", lambda s: driver(s)["readings"] >= before + 20)
    agent.stop()
    assert b"".join(heard).replace(b"W\r\n", b"") == b""
    seen = rows(agent, "weight")
    assert [r["reason"] for r in seen if r["quality"] == "bad"] == ["comm_failure"]
    values = [r["value"] for r in seen if r["quality"] == "good"]
    assert values == sorted(set(values))


def test_a_line_behind_a_device_server(tmp_path, line):
    """It closes the connection after each line, which is no failure; then it is gone, which is one."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        agent = start_agent(tmp_path, line, port=f"tcp://127.0.0.1:{server.getsockname()[1]}")
        for i in range(20):
            link, _ = server.accept()
            with link:
                link.sendall(b"ST,GS,+%dkg\r\n" % i)
                time.sleep(0.3)  # one that closes as soon as it has spoken does not want us
        link, _ = server.accept()
        agent.wait("all lines", lambda s: driver(s)["readings"] == 40)
    link.close()
    agent.wait("the driver to see it", lambda s: driver(s)["state"] != "up", 10)
    agent.stop()
    seen = rows(agent, "weight")
    assert [r["value"] for r in seen if r["quality"] == "good"] == list(range(20))
    assert [r["reason"] for r in seen if r["quality"] == "bad"] == ["not_connected"]


def test_a_smart_meter(tmp_path, line):
    """A telegram with its CRC, one that lost a byte, and one of an old meter."""
    with open(os.path.join(CORPUS, "telegram"), "rb") as f:
        new, old = f.read().partition(b"\n")[2].split(b"/MLR3")
    agent = start_agent(tmp_path, line, frame="p1", match=None, readings=[
        {"tag": "energy", "value": "1-0:1.8.1", "unit": "kWh"}, {"tag": "gas", "value": "0-1:24.2.1", "unit": "m3"}])
    line.say(new + new.replace(b"012345", b"12345") + b"/MLR3" + old)
    agent.wait("three telegrams", lambda s: driver(s)["readings"] == 3 and driver(s)["malformed"] == 1)
    agent.stop()
    assert [r["value"] for r in rows(agent, "energy")] == [12345.678, 512.25]
    assert [r["value"] for r in rows(agent, "gas")] == [981.443]


def test_meters_on_mbus(tmp_path, line):
    """One answers with the telegrams of the protocol's documentation, one does not answer."""
    telegrams = [bytes.fromhex(t) for t in (
        "681f1f680802727856341224400107550000000313153100da023b13018b60043718021816",
        "68131368080573785634120a00e97e01000000350100003c16")]

    def answer():
        try:
            while True:
                asked = os.read(line.fd, 100)
                if asked[:3] == b"\x10\x40\x02":
                    line.say(b"\xe5")
                elif asked[:1] == b"\x10" and asked[2:3] == b"\x02":
                    line.say(telegrams[0])
                elif asked[:1] == b"\x10" and asked[1:3] != b"\x40\x05" and asked[2:3] == b"\x05":
                    line.say(telegrams[1])
        except OSError:
            pass

    threading.Thread(target=answer, daemon=True).start()
    agent = agents.Agent(tmp_path, "127.0.0.1:1", "mqtt://127.0.0.1:1", "gw-mbus", {"mbus": [{
        "name": "cellar", "port": line.ours, "period": "3s", "timeout": "100ms", "retries": 0, "devices": [
            {"source": "water", "address": 2, "readings": [
                {"tag": "volume", "record": 0, "unit": "m3"},
                {"tag": "energy", "quantity": "energy", "tariff": 2, "subunit": 1, "unit": "kWh"}]},
            {"source": "nobody", "address": 9, "readings": [{"tag": "volume", "record": 0}]},
            {"source": "old", "address": 5, "readings": [{"tag": "volume", "quantity": "volume", "unit": "l"}]}]}]})
    del agent.conf["mqtt"]
    agent.write()
    agent.start(links=False)
    agent.wait("two rounds", lambda s: driver(s)["readings"] >= 7, 20)
    agent.stop()
    seen = {(r["source"], r["tag"], r.get("value"), r["quality"]) for r in rows(agent)}
    assert seen == {("water", "volume", 12.565, "good"), ("water", "energy", 218.37, "good"),
                    ("nobody", "volume", None, "bad"), ("old", "volume", 1.0, "good")}


@pytest.mark.parametrize("fault", [
    ({"match": "(?<weight>["}, "not a regular expression"), ({"match": "(?<wait>.*)"}, "no group of `match`"),
    ({"baud": 12345}, "no speed"), ({"frame": "nmea0183"}, "only for frame line"), ({"poll": "\\q"}, "backslash"),
    ({"port": "ttyS0"}, "not a port"), ({"frame": "binary", "match": None}, "how a frame is built")])
def test_check_tells_what_is_wrong(tmp_path, line, fault):
    conf, words = fault
    agent = agents.Agent(tmp_path, "127.0.0.1:1", "mqtt://127.0.0.1:1", "gw-serial",
                         {"serial": [settings(line, conf)]})
    done = agents.tool("check", agent.config, code=78)
    assert words in done.stdout + done.stderr, done
