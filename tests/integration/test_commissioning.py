"""The commissioning commands against devices of this file: what they print is right, `check` accepts it, nothing is written."""

import contextlib
import json
import os
import pty
import random
import select
import signal
import socket
import struct
import subprocess
import threading
import time
import tty

import pytest

from rig import agent as agents
from rig import wait
from rig.agent import tool
from rig.mosquitto import Mosquitto, make_certificates
from rig.slaves import Slaves, crc

BASE = "gateway: gw\nspool: {path: %s/spool.db}\nkafka: {brokers: [\"127.0.0.1:9092\"]}\n"


def check(folder, part, more=""):
    """Puts the part into conf.d/ and lets `check` judge it; returns the effective configuration."""
    os.makedirs(folder / "conf.d", exist_ok=True)
    (folder / "millrace.yaml").write_text(BASE % folder + more)
    (folder / "conf.d" / "part.yaml").write_text(part)
    tool("check", folder / "millrace.yaml", code=0)
    return tool("check", "--dump", folder / "millrace.yaml", code=0).stdout


PI = struct.unpack(">HH", struct.pack(">f", 3.14159274))
MAP = {
    3: {3: {**dict(enumerate(range(100, 110))), 20: PI[0], 21: PI[1], 40000: 0x5375, 40001: 0x6E53}, 4: {7: 1}},
    17: {4: dict.fromkeys(range(60, 70), 5), 1: {0: 1, 1: 0, 2: 1}},
}


@pytest.mark.parametrize("medium", ["tcp", "rtu"])
def test_scan(tmp_path, medium):
    slaves = Slaves(MAP, [b"Acme", b"M-12", b"1.0"])
    with slaves.on_tcp() if medium == "tcp" else slaves.on_line() as port:
        bus = port if medium == "tcp" else port + ":115200,8N1"
        args = ("modbus", "scan", bus, "--units", "1-20", "--timeout", "100ms")
        done = tool(*args, seconds=120)
        lines = [json.loads(l) for l in tool(*args, "--json", seconds=120).stdout.splitlines()]
    assert set(slaves.asked) <= {1, 2, 3, 4, 43}, "nothing else was asked"
    assert [l["unit"] for l in lines] == [3, 17] and lines[0]["vendor"] == "Acme", lines
    assert lines[0]["holding"] == {"state": "done", "ranges": [[0, 9], [20, 21], [40000, 40001]]}
    assert lines[0]["input"] == {"state": "done", "ranges": [[7, 7]]}
    assert lines[0]["coil"]["state"] == "unknown_function"
    assert lines[1]["input"]["ranges"] == [[60, 69]] and lines[1]["coil"]["ranges"] == [[0, 2]]
    assert "# unit 3, function 3 (holding): 0-9, 20-21, 40000-40001" in done.stdout
    assert "Acme M-12 1.0" in done.stdout
    dump = check(tmp_path, done.stdout)
    assert "unit-17" in dump and "holding:40001" in dump and "input:69" in dump


def test_scan_of_silence_is_1(tmp_path):
    with Slaves({}).on_tcp() as port:
        done = tool("modbus", "scan", port, "--units", "1-3", "--timeout", "10ms", code=1)
    assert "nobody answers" in done.stderr
    check(tmp_path, done.stdout)


def test_a_device_that_answers_to_any_unit(tmp_path):
    with Slaves(dict.fromkeys(range(256), {3: {0: 1}})).on_tcp() as port:
        done = tool("modbus", "scan", port, "--registers", "0-10", "--timeout", "50ms", seconds=60)
    assert "whatever the unit id" in done.stdout
    assert check(tmp_path, done.stdout).count("source:") == 1


def test_scan_ends_in_time_and_at_interrupt():
    with Slaves({}).on_line() as port:
        done = tool("modbus", "scan", port, "--for", "300ms", "--timeout", "50ms", code=1)
        assert "not finished" in done.stdout
        child = subprocess.Popen([agents.program("millrace"), "modbus", "scan", port], stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, text=True)
        time.sleep(0.5)
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=10)
    assert child.returncode == 1 and "not finished" in out, (child.returncode, out, err)


def test_read(tmp_path):
    with Slaves(MAP).on_line() as port:
        done = tool("modbus", "read", port + ":9600,8N1", 3, "holding:20/2", "--as", "all")
        typed = tool("modbus", "read", port + ":9600,8N1", 3, "holding:20/2", "--as", "float32")
        bits = tool("modbus", "read", port + ":9600,8N1", 17, "coil:0/3")
        refused = tool("modbus", "read", port + ":9600,8N1", 3, "holding:50/2", code=1)
        line = json.loads(tool("modbus", "read", port, 3, "40021/2", "--json").stdout.splitlines()[0])
    assert "3.141593" in done.stdout and "4049" in done.stdout
    assert "type: float32" in check(tmp_path, typed.stdout) and check(tmp_path, done.stdout) and check(tmp_path, bits.stdout)
    assert "illegal data address" in refused.stderr
    assert line["float32"]["ABCD"] == pytest.approx(3.14159274) and line["uint16"] == PI[0] and line["float64"]["ABCD"] is None


def test_a_bus_of_the_configuration(tmp_path):
    with Slaves(MAP).on_tcp() as port:
        part = ("modbus: [{name: line, port: \"%s\", timeout: 50ms}]\nprofiles: [{name: p, registers: [{tag: a, at: \"holding:0\"}]}]\n"
                "devices: [{source: press, bus: line, unit: 3, profile: p}]\n" % port)
        check(tmp_path, part)
        done = tool("--config", tmp_path / "millrace.yaml", "modbus", "scan", "line", "--units", "3,17", "--registers", "0-69",
                    seconds=60)
        tool("--config", tmp_path / "millrace.yaml", "modbus", "scan", "lime", code=2)
    assert "unit 3 is press of the configuration" in done.stdout
    (tmp_path / "conf.d" / "new.yaml").write_text(done.stdout)
    dump = tool("check", "--dump", tmp_path / "millrace.yaml").stdout
    assert "line-unit-17" in dump and "press" in dump


def test_a_line_that_the_daemon_has_is_refused(tmp_path):
    with Slaves(MAP).on_line() as port:
        agent = agents.Agent(tmp_path, "127.0.0.1:1", "mqtt://127.0.0.1:1", "gw", {
            "modbus": [{"name": "line", "port": port, "baud": 9600, "parity": "none"}],
            "profiles": [{"name": "p", "registers": [{"tag": "a", "at": "holding:0"}]}],
            "devices": [{"source": "press", "bus": "line", "unit": 3, "profile": "p"}]})
        del agent.conf["mqtt"]
        agent.write()
        agent.start(links=False)
        agent.wait("a reading", lambda s: s["accepted"] > 0)
        for command in (["modbus", "scan", "line"], ["modbus", "read", port, "3", "holding:0"]):
            done = agent.tool(*command, code=69)
            assert "in use" in done.stderr and "systemctl stop millrace" in done.stderr
        agent.stop()


@pytest.mark.parametrize("args", [["modbus", "scan", "tcp://x:y"], ["modbus", "scan", "ascii+tcp://x:1"], ["modbus", "scan", "/dev/null:9601"], ["modbus", "read", "tcp://h:1", "300", "holding:0"],
                                  ["modbus", "scan", "tcp://127.0.0.1:1", "--units", "1-300"], ["modbus", "read", "tcp://h:1", "1", "holding:0/126"],
                                  ["modbus", "read", "tcp://h:1", "1", "holding:65535/2"], ["modbus", "read", "tcp://h:1", "1", "holding:0", "--as", "x"]])
def test_wrong_usage_is_2(args):
    assert tool(*args, code=2).stderr


def test_a_port_that_is_not_there_is_69():
    tool("modbus", "scan", "/dev/not-there", code=69)
    tool("modbus", "read", f"tcp://127.0.0.1:{wait.free_port()}", 1, "holding:0", code=69)


LIST = """Device;Unit ID;Tag Name;Address;Data Type;Eng Units;Faktor;Description;Bit
press 3;17;Spannung L1;40001;REAL;V;0,1;x;
press 3;17;Spannung L1;40003;float;V;;;
press 3;17;Öltemperatur;30010;INT;°C;1/10;;
oven;18;Pumpe;40020.3;BOOL;;;;
oven;18;last;465536;REAL;;;;
oven;18;nowhere;DB5.DBW2;INT;;;;
"""


def test_import(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text(LIST, encoding="cp1252")
    done = tool("tags", "import", path)
    dump = check(tmp_path, done.stdout)
    assert "list.csv:7: not used: address" in done.stderr and "list.csv:1: column not used: Description" in done.stderr
    assert "list.csv:6: not used" in done.stderr and "65535" in done.stderr, "check's own word about the last register"
    assert dump.count("tag:") == 4 and "°C" in dump and "scale: 0.1" in dump and "unit: 18" in dump
    named = tool("tags", "import", path, "--bus", "line7").stdout
    assert "modbus:" not in named
    check(tmp_path, named, "modbus: [{name: line7, port: /dev/ttyS1}]\n")


def test_import_of_nothing_is_1(tmp_path):
    path = tmp_path / "list.csv"
    for text in ("", "name,type\nx,int\n", "name,address\n" + "x,nowhere\n" * 100):
        path.write_text(text)
        done = tool("tags", "import", path, code=1)
        assert not done.stdout and len(done.stderr.splitlines()) <= 23
    tool("tags", "import", tmp_path / "none.csv", code=69)
    tool("tags", "import", tmp_path, code=69)


def test_what_is_imported_is_accepted(tmp_path):
    """Whatever a list holds, `check` accepts what comes of it."""
    chance = random.Random(13)
    cells = ["", "x", "Öl °C", "a\"b", "#", ": -", "40001", "HR65535", "465536", "400001.7", "%MW5", "0x1F", "30001", "17", "float", "double",
             "string", "bool", "BIT", "int64", "0.1", "1/3", "1e300", "-5", "1e-320", "nan", "CDAB", "x" * 300, "\t", "\x01", "{a: b}", "[", "3", "255"]
    header = "name,address,type,unit,scale,offset,fc,device,unit id,bit,length,order,scan rate\n"
    path, n = tmp_path / "list.csv", 0
    for _ in range(40):
        rows = [[chance.choice(cells) for _ in range(13)] for _ in range(60)]
        for row in rows:
            if chance.random() < 0.7:
                row[1], row[6], row[4], row[5] = f"{chance.randrange(40001, 49999)}", "", "0.1", ""
                row[8], row[9], row[10], row[11] = "1", "", "4", ""
        path.write_text(header + "".join(",".join('"%s"' % c.replace('"', '""') for c in row) + "\n" for row in rows))
        done = tool("tags", "import", path, code=None)
        assert done.returncode in (0, 1), done.stderr
        if done.returncode == 0:
            check(tmp_path, done.stdout)
            n += done.stdout.count("tag:")
    assert n > 200


@pytest.fixture
def broker(tmp_path, request):
    folder = tmp_path / "broker"
    folder.mkdir()
    lines = []
    if getattr(request, "param", "") == "guarded":
        made = make_certificates(folder)
        users = folder / "users"
        subprocess.run(["mosquitto_passwd", "-b", "-c", users, "eye", "right one"], check=True, capture_output=True, timeout=20)
        lines = [f"cafile {made}/ca.pem", f"certfile {made}/server.pem", f"keyfile {made}/server.key", f"password_file {users}"]
    started = Mosquitto(folder, lines=lines, anonymous=not lines).start()
    yield started
    started.stop()


def publish(broker, messages):
    for topic, payload in messages.items():
        subprocess.run(["mosquitto_pub", "-p", str(broker.port), "-r", "-t", topic, "-m", payload], check=True, timeout=20)


def test_watch(tmp_path, broker):
    publish(broker, {"factory/l1/press/temp": "21.5", "factory/l2/press/temp": "22", "zigbee2mqtt/hall": '{"temperature": 20.5, "battery": 97}',
                     "factory/l1/press/state": "running"})
    done = tool("mqtt", "watch", broker.url, "--for", "1s")
    assert "# factory/l1/press/temp (retained): 21.5" in done.stdout
    dump = check(tmp_path, done.stdout)
    for topic in ("factory/{level2}/{source}/temp", "factory/l1/{source}/state", "zigbee2mqtt/{source}"):
        assert topic in dump
    lines = [json.loads(l) for l in tool("mqtt", "watch", broker.url, "factory/#", "--for", "1s", "--json").stdout.splitlines()]
    assert {l["topic"] for l in lines} == {"factory/l1/press/temp", "factory/l2/press/temp", "factory/l1/press/state"}
    done = tool("mqtt", "watch", broker.url, "nothing/here", "--for", "300ms", code=1)
    check(tmp_path, done.stdout)


def test_watch_ends_at_interrupt(broker):
    publish(broker, {"factory/press/temp": "21.5"})
    child = subprocess.Popen([agents.program("millrace"), "mqtt", "watch", broker.url], stdout=subprocess.PIPE, text=True)
    time.sleep(1)
    child.send_signal(signal.SIGINT)
    out = child.communicate(timeout=10)[0]
    assert child.returncode == 0 and "{topic: \"factory/{source}/{tag}\", payload: number}" in out


@pytest.mark.parametrize("broker", ["guarded"], indirect=True)
def test_watch_with_tls_and_password(tmp_path, broker):
    url, ca, password = f"mqtts://127.0.0.1:{broker.port}", tmp_path / "broker" / "ca.pem", tmp_path / "password"
    password.write_text("right one\n")
    login = ["--username", "eye", "--password-file", password, "--ca-file", ca]
    subprocess.run(["mosquitto_pub", "-h", "127.0.0.1", "-p", str(broker.port), "--cafile", ca, "-u", "eye", "-P", "right one", "-r", "-t",
                    "a/press/temp", "-m", "1"], check=True, timeout=20)
    done = tool("mqtt", "watch", url, "--for", "1s", *login)
    assert "right one" not in done.stdout
    check(tmp_path, done.stdout)
    tool("mqtt", "watch", url, "--for", "1s", "--ca-file", ca, code=69)
    password.write_text("wrong one\n")
    tool("mqtt", "watch", url, "--for", "1s", *login, code=69)
    tool("mqtt", "watch", f"mqtt://127.0.0.1:{wait.free_port()}", "--for", "1s", code=69)
    tool("mqtt", "watch", "http://x", code=2)
    tool("mqtt", "watch", "mqtt://x", "--password-file", password, code=2)


@contextlib.contextmanager
def speaking(lines, every=0.1):
    """The instrument's end of a line that says these one after the other, again and again."""
    ours, theirs = pty.openpty()
    tty.setraw(ours)
    tty.setraw(theirs)
    over = threading.Event()

    def speak():
        while not over.is_set():
            for line in lines:
                os.write(ours, line)
                over.wait(every)

    thread = threading.Thread(target=speak, daemon=True)
    thread.start()
    yield os.ttyname(theirs), ours
    over.set()
    thread.join()
    os.close(ours)
    os.close(theirs)


@pytest.mark.parametrize("lines,words", [
    ([b"ST,GS,+  12.5kg\r\n", b"US,GS,-   3.0kg\r\n"], ["frame: line", "(?<v1>", "tag: v1"]),
    ([b"N 12,5 kg\r"], ["decimal: comma"]),
    ([b"$WIMWV,214.8,R,0.1,K,A*28\r\n"], ["nmea0183", "sentence: WIMWV", "tag: WIMWV-3"]),
    ([bytes([17, 3, 0, 0, 0, 1]) + crc(bytes([17, 3, 0, 0, 0, 1])), bytes([17, 3, 2, 0, 5]) + crc(bytes([17, 3, 2, 0, 5]))], ["modbus:", "bus1"]),
    ([bytes(range(128, 160))], ["nothing is proposed"]),
])
def test_sniff(tmp_path, lines, words):
    with speaking(lines) as (port, ours):
        done = tool("serial", "sniff", port + ":9600,8N1", "--for", "1s")
        said = [json.loads(l) for l in tool("serial", "sniff", port + ":9600,8N1", "--for", "1s", "--json").stdout.splitlines()]
        assert not select.select([ours], [], [], 0)[0], "nothing was sent"
    for word in words:
        assert word in done.stdout, done.stdout
    check(tmp_path, done.stdout)
    assert lines[0].hex() in [b.get("hex") for b in said] and said[-1]["score"] > 0


def test_sniff_guesses(tmp_path):
    """A pseudo terminal is right at any speed: the first one tried is taken."""
    with speaking([b"T=21.5\r\n"], 0.05) as (port, _):
        done = tool("serial", "sniff", port, "--for", "3s")
    assert "115200" in done.stdout and "lines of text, ended by \\r\\n" in done.stdout
    assert "baud: 9600" in check(tmp_path, done.stdout)


def test_sniff_of_silence_is_1(tmp_path):
    with speaking([b""]) as (port, _):
        check(tmp_path, tool("serial", "sniff", port, "--for", "300ms", code=1).stdout)
    tool("serial", "sniff", "/dev/not-there", code=69)
    tool("serial", "sniff", "tcp://x:1", code=2)
