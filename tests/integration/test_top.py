"""`millrace top` on a terminal of 80x24 that tmux plays: its fixed parts, keys, a console without UTF-8, a daemon that goes."""

import os
import re
import signal

import pytest

from rig import wait
from rig.agent import build_dir, program, tool
from rig.terminal import Terminal


@pytest.fixture
def terminal(tmp_path):
    made = []

    def start(agent, *env):
        made.append(Terminal(tmp_path, program("millrace"), "--config", agent.config, "top", env=env))
        return made[-1]

    yield start
    for t in made:
        t.close()


@pytest.fixture
def busy(room):
    agent = room.agent().start()
    room.publisher().publish((room.topic("press-1", "temp"), b"%d.5" % i, i) for i in range(1234))
    agent.wait_delivered(1234)
    return agent


def check_fixed_parts(screen, gateway, epoch):
    assert re.match(rf" {re.escape(gateway)}  ok  up [0-9.]+s  epoch {epoch} +\d\d:\d\d:\d\d", screen[0]), screen[0]
    assert screen[2].startswith(" accepted           1,234   ")
    assert screen[3].startswith(" delivered          1,234   ")
    assert screen[4].startswith(" held                   0   ")
    assert re.match(r" dropped                0 +nothing is held", screen[5]), screen[5]
    assert re.match(r" spool   \S+ \S+ of 1\.0 GiB \[\.{14}\] 0 % full   flash \S+ \S+ today", screen[7]), screen[7]
    assert screen[8] == " kafka   up, 0 in flight, 0 sent again"
    assert screen[9] == " alarms  0 active, 0 unacknowledged, 0 events held   quarantine 0"
    assert screen[11] == " SOURCE         KIND    STATE LOAD      READINGS   ERRORS MALFORMED  LAST ERROR"
    assert screen[12].rstrip() == " plant          mqtt    up                 1,234        0         0"
    assert screen[23].startswith(" q quit   a alarms   space pause   arrows scroll")


def test_the_screen_and_its_keys(busy, terminal):
    t = terminal(busy, "LC_ALL=C.UTF-8")
    check_fixed_parts(t.until("a full screen", lambda s: "q quit" in s[23] and "held                   0" in s[4]), busy.gateway, busy.status()["epoch"])
    assert re.search("[▁▂▃▄▅▆▇█]", "".join(t.screen[2:5]))
    t.keys("Space")
    t.until("paused", lambda s: "paused" in s[0])
    busy.tool("send", "test/x", "1")
    busy.wait_delivered(1235)
    assert "1,234" in t.capture()[2]
    t.keys("Space")
    t.until("the next number", lambda s: "1,235" in s[2] and "paused" not in s[0])
    t.keys("q")
    t.until("its end", lambda s: any("ended with 0" in line for line in s))


def test_a_serial_console(busy, terminal):
    t = terminal(busy, "LC_ALL=C", "TERM=vt100")
    check_fixed_parts(t.until("a full screen", lambda s: "q quit" in s[23] and "held                   0" in s[4]), busy.gateway, busy.status()["epoch"])
    assert "".join(t.screen).isascii()


def test_a_daemon_that_goes_and_comes(busy, terminal):
    t = terminal(busy, "LC_ALL=C.UTF-8")
    t.until("a full screen", lambda s: "q quit" in s[23])
    busy.stop()
    t.until("the trouble", lambda s: "no daemon listens" in s[1])
    assert "1,234" in t.screen[2], "the last that was known stays"
    busy.start()
    t.until("the daemon again", lambda s: "no daemon" not in s[1])
    t.keys("q")
    t.until("its end", lambda s: any("ended with 0" in line for line in s))


def test_alarms_are_acknowledged_and_shelved(room, terminal):
    agent = room.agent({"alarms": [{"match": "*/temp", "rule": "limits", "hi": 90, "severity": 700}]}).start()
    publisher = room.publisher()
    for press in (1, 2):
        publisher.publish([(room.topic(f"press-{press}", "temp"), b"95.5", press)])
    agent.wait("two alarms", lambda s: s["alarms"]["unacked"] == 2)
    t = terminal(agent, "LC_ALL=C.UTF-8")
    t.until("the count", lambda s: s[9].startswith(" alarms  2 active, 2 unacknowledged"))
    t.keys("a")
    screen = t.until("the list", lambda s: "ALARM" in s[11] and "press-" in s[13])
    assert screen[12].startswith("> 700 unack ") and screen[13].startswith("  700 unack "), screen[11:14]
    assert all(re.search(r" press-[12]/temp/limits", line) for line in screen[12:14]), screen[11:14]
    t.keys("k")
    t.until("one of them acknowledged", lambda s: s[13].startswith("  700 acked "))
    agent.wait("the daemon to know", lambda s: s["alarms"]["unacked"] == 1)
    t.keys("Down")
    t.until("the cursor", lambda s: s[13].startswith(">"))
    t.keys("k")
    t.until("a refusal in words", lambda s: "nothing to acknowledge" in s[23])
    t.keys("s")
    agent.wait("a shelved one", lambda s: s["alarms"]["shelved"] == 1)
    t.until("its state", lambda s: any("shelved" in line for line in s[12:14]))


def test_the_load_of_a_bus(room, terminal):
    port = wait.free_port()
    slave = wait.Process("slave", room.folder / "slave.log")
    slave.spawn([os.path.join(build_dir(), "tests", "bench", "modbus_bench"), "farm", str(port)])
    try:
        agent = room.agent({"modbus": [{"name": "bus1", "port": f"tcp://127.0.0.1:{port}", "pause": "40ms"}],
                            "profiles": [{"name": "p", "period": "100ms", "registers": [{"tag": "t", "at": "holding:0", "type": "uint16"}]}],
                            "devices": [{"source": "plc", "bus": "bus1", "unit": 1, "profile": "p"}]}).start()
        bus = agent.wait("the load", lambda s: s["drivers"][1].get("load", 0) > 0.3, 60)["drivers"][1]
        assert bus["name"] == "bus1" and bus["load"] <= 1 and bus["busy_s"] > 0 and "load" not in agent.status()["drivers"][0]
        t = terminal(agent, "LC_ALL=C", "TERM=vt100")
        t.until("its column", lambda s: s[11][24:34] == "STATE LOAD" and re.match(r" bus1           modbus  up     [3-9]\d% ", s[13]))
        page = agent.tool("metrics").stdout
        assert re.search(r'^millrace_bus_busy_seconds_total{gateway="[^"]*",driver="bus1",kind="modbus"} [0-9.]+$', page, re.M)
        assert 'millrace_bus_busy_seconds_total{gateway="' + room.gateway + '",driver="plant"' not in page
        assert re.search(r"^bus1\s+modbus\s+up, load \d+ %", agent.tool("status").stdout, re.M)
    finally:
        slave.end(signal.SIGKILL, 10)


def test_without_a_terminal_or_daemon(room):
    agent = room.agent()
    assert "terminal" in agent.tool("top", code=2).stderr
    assert "top" in tool("help", code=0).stdout
