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

    def start(agent, *env, words=("top",)):
        made.append(Terminal(tmp_path, program("millrace"), "--config", agent.config, *words, env=env))
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


def has(screen, pattern):
    return any(re.search(pattern, line) for line in screen)


def line_of(screen, text):
    """The number of the line that has it; None: there is none."""
    return next((i for i, line in enumerate(screen) if text in line), None)


def check_fixed_parts(screen, gateway, epoch):
    assert re.match(rf" {re.escape(gateway)}  ok(  \d conditions?)?  up [0-9.]+s  epoch {epoch} +\d\d:\d\d:\d\d", screen[0]), screen[0]
    assert has(screen, r"^ SOURCES  1 of 1 up +SPOOL 0% of 1\.0 GiB +KAFKA  up$"), screen
    assert has(screen, r"^ 1,234 accepted +0 dropped +1,234 delivered$"), screen
    assert has(screen, r"^ 0 errors, 0 malformed +flash \S+ \S+ today +0 in flight$"), screen
    at = line_of(screen, "SOURCE KIND STATE     DEVICES     READINGS  ERRORS MALFORMED")
    assert screen[at + 1].rstrip() == " plant  mqtt up              -        1,234       0         0"
    assert has(screen, r"^ TAG +VALUE UNIT +Q +AGE  LAST MINUTES") and has(screen, r"^ press-1/temp{line=l1} +1233\.5 "), screen
    assert screen[23].startswith(" q quit  d sources  t tags  e events  a alarms")


def is_full(screen):
    return "q quit" in screen[23] and has(screen, "nothing is held") and has(screen, r"^ press-1/temp{line=l1} +1233\.5 ")


def test_the_screen_and_its_keys(busy, terminal):
    t = terminal(busy, "LC_ALL=C.UTF-8")
    check_fixed_parts(t.until("a full screen", is_full), busy.gateway, busy.status()["epoch"])
    assert has(t.screen, "[▁▂▃▄▅▆▇█]")
    t.keys("Space")
    t.until("paused", lambda s: "paused" in s[0])
    busy.tool("send", "test/x", "1")
    busy.wait_delivered(1235)
    assert has(t.capture(), "^ 1,234 accepted")
    t.keys("Space")
    t.until("the next number", lambda s: has(s, "^ 1,235 accepted") and "paused" not in s[0])
    t.keys("t")
    t.until("the tags first", lambda s: line_of(s, "TAG ") and line_of(s, "TAG ") < (line_of(s, "SOURCE ") or 99))
    assert has(t.screen, r"^ test/x +1 "), t.screen
    t.keys("Tab")
    t.until("the events first", lambda s: line_of(s, "EVENT ") and line_of(s, "EVENT ") < (line_of(s, "TAG ") or 99))
    t.keys("q")
    t.until("its end", lambda s: any("ended with 0" in line for line in s))


def test_a_serial_console(busy, terminal):
    t = terminal(busy, "LC_ALL=C", "TERM=vt100")
    check_fixed_parts(t.until("a full screen", is_full), busy.gateway, busy.status()["epoch"])
    assert "".join(t.screen).isascii()


def test_a_daemon_that_goes_and_comes(busy, terminal):
    t = terminal(busy, "LC_ALL=C.UTF-8")
    t.until("a full screen", lambda s: "q quit" in s[23])
    busy.stop()
    t.until("the trouble", lambda s: "no daemon listens" in s[1])
    assert has(t.screen, "^ 1,234 accepted"), "the last that was known stays"
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
    t.keys("a")
    screen = t.until("the list", lambda s: has(s, r"^> 700 unack ") and has(s, r"^  700 unack "))
    at = line_of(screen, "ALARM")
    assert all(re.search(r" press-[12]/temp/limits", line) for line in screen[at + 1:at + 3]), screen
    t.keys("k")
    t.until("one of them acknowledged", lambda s: has(s, r"^  700 acked "))
    agent.wait("the daemon to know", lambda s: s["alarms"]["unacked"] == 1)
    t.keys("Down")
    t.until("the cursor", lambda s: has(s, r"^> 700 acked "))
    t.keys("k")
    t.until("a refusal in words", lambda s: "nothing to acknowledge" in s[23])
    t.keys("s")
    agent.wait("a shelved one", lambda s: s["alarms"]["shelved"] == 1)
    t.until("its state", lambda s: has(s, "^[> ] 700 shelved "))


def test_what_is_wrong_stands_on_top(room, terminal):
    agent = room.agent({"modbus": [{"name": "bus1", "port": f"tcp://127.0.0.1:{wait.free_port()}"}],
                        "profiles": [{"name": "p", "period": "100ms", "registers": [{"tag": "t", "at": "holding:0", "type": "uint16"}]}],
                        "devices": [{"source": "plc", "bus": "bus1", "unit": 1, "profile": "p"}]}).start(links=False)
    agent.wait("the condition", lambda s: any(c["subject"] == "modbus bus1" for c in s["conditions"]))
    t = terminal(agent, "LC_ALL=C.UTF-8")
    screen = t.until("a full screen", lambda s: "q quit" in s[23] and "modbus bus1, since " in s[1])
    assert re.match(rf" {re.escape(agent.gateway)}  degraded  \d conditions?  up ", screen[0]), screen[0]
    assert has(screen[2:5], "^  → "), screen
    lines = agent.tool("status", code=1).stdout.splitlines()
    assert re.match(rf"degraded  \d conditions?  gateway {re.escape(agent.gateway)}  epoch \d+  up ", lines[0]), lines
    assert re.match(r"  degraded  modbus bus1, since \d\d:\d\d:\d\d\S* \(\S+\): .+ refused", lines[1]), lines
    assert re.match(r"          → \S.+", lines[2]), lines


def test_status_is_watched(busy, terminal):
    t = terminal(busy, "LC_ALL=C.UTF-8", "TZ=UTC", words=("status", "--watch"))
    t.until("a page", lambda s: s[0].startswith("ok") and has(s, r"accepted +1,234\b") and has(s, r"^plant +mqtt +up "))
    busy.tool("send", "test/x", "1")
    t.until("the next number", lambda s: has(s, r"accepted +1,235\b"))
    busy.stop()
    t.until("the file's words", lambda s: re.match(r"failed  1 condition  gateway \S+  epoch \d+  not running$", s[0])
            and re.match(r"  failed    millraced, since \d\d:\d\d:\d\dZ \(\S+\): it does not run;", s[1])
            and has(s[2:4], "→ systemctl start millrace"))
    busy.start()
    t.until("the daemon again", lambda s: s[0].startswith("ok"))
    t.keys("C-c")
    t.until("its end", lambda s: has(s, "ended with 0"))


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
        t.until("its column", lambda s: has(s, r"^ bus1   modbus up [3-9]\d% "))
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
