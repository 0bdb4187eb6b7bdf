"""`millrace tail`: a curve on a terminal that tmux plays, on one without UTF-8, as lines into a pipe; tags that are not there."""

import json
import os
import re
import signal
import subprocess

import pytest

from rig import wait
from rig.agent import program
from rig.terminal import Terminal

BRAILLE = re.compile("[\u2800-\u28ff]")
SIM = {"sim": [{"name": "hall", "source": "press-1", "period": "50ms",
                "tags": [{"tag": "temp", "wave": "sine", "min": 60, "max": 80, "cycle": "5s", "unit": "degC"},
                         {"tag": "sick", "wave": "ramp", "max": 10, "fail_every": "2s", "fail_for": "700ms"},
                         {"tag": "word", "wave": "text"}]},
               {"name": "other", "source": "press-2", "tags": [{"tag": "temp"}]}],
       "spool": {"commit_interval": "200ms"}}


@pytest.fixture
def terminal(tmp_path):
    made = []

    def start(agent, *words, env=()):
        made.append(Terminal(tmp_path, program("millrace"), "--config", agent.config, "tail", *words, env=env))
        return made[-1]

    yield start
    for t in made:
        t.close()


@pytest.fixture
def plant(room):
    agent = room.agent(SIM).start()
    agent.wait("some readings", lambda s: s["accepted"] > 120)
    return agent


def check_fixed_parts(screen, tag, unit):
    assert re.match(rf" {tag}  -?[0-9.]+ {unit}  good +\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d\S+", screen[0]), screen[0]
    assert re.match(r" min [0-9.]+  max [0-9.]+   \d+ readings, 0 bad, 0 uncertain   a column is \d+", screen[1]), screen[1]
    assert all(re.match(r"[ 0-9.-]{10} [|+]", line) for line in screen[2:21]), screen
    assert re.match(r" {11}\+[-.]*-+[-.]*$", screen[21].rstrip()), screen[21]
    assert re.match(r" {12}\d{4}-\d\d-\d\d \S+ +\d{4}-\d\d-\d\d \S+$", screen[22].rstrip()), screen[22]
    assert screen[23].rstrip() == " q quit   space pause   - good  ~ uncertain  x bad  . nothing"


def newest(screen):
    """The time in the title."""
    return screen[0].split()[-1]


def test_a_curve_that_goes_on(plant, terminal):
    t = terminal(plant, "-f", "press-1/temp", env=["LC_ALL=C.UTF-8"])
    check_fixed_parts(t.until("a full screen", lambda s: "q quit" in s[23] and BRAILLE.search("".join(s[2:21]))), "press-1/temp", "degC")
    assert BRAILLE.sub("", "".join(t.screen)).isascii()
    first = list(t.screen)
    t.until("it to scroll", lambda s: newest(s) > newest(first) and s[22] > first[22] and s[2:21] != first[2:21])
    t.keys("Space")
    held = list(t.until("the pause", lambda s: "paused" in s[0]))
    before = plant.status()["accepted"]
    plant.wait("more readings", lambda s: s["accepted"] > before + 100)
    assert t.capture() == held
    t.keys("Space")
    t.until("it to go on", lambda s: "paused" not in s[0] and newest(s) > newest(first))
    t.keys("q")
    t.until("its end", lambda s: any("ended with 0" in line for line in s))


@pytest.mark.parametrize("env", [["LC_ALL=C", "TERM=vt100"], ["LC_ALL=C.UTF-8", "TERM=vt100"], ["LC_ALL=C", "TERM=screen", "NO_COLOR=1"]])
def test_a_serial_console(plant, terminal, env):
    t = terminal(plant, "-f", "press-1/temp", env=env)
    check_fixed_parts(t.until("a full screen", lambda s: "q quit" in s[23] and "*" in "".join(s[2:21])), "press-1/temp", "degC")
    assert "".join(t.screen).isascii()


def test_failures_are_marked(plant, terminal):
    plant.wait("a failure", lambda s: s["accepted"] > 400)
    t = terminal(plant, "-f", "press-1/sick", env=["LC_ALL=C"])
    t.until("the marks", lambda s: re.match(r" {11}\+[-.x]*-x+-[-.x]*$", s[21].rstrip()) and " 0 bad" not in s[1])


def test_a_silence_is_a_gap(plant, terminal):
    t = terminal(plant, "-f", "press-1/temp", env=["LC_ALL=C"])
    t.until("readings", lambda s: re.search(r"-{20}", s[21]))
    plant.stop()
    t.until("the gap", lambda s: re.search(r"-{5}\.{3,}$", s[21].rstrip()))
    plant.start()
    t.until("what comes after it", lambda s: re.search(r"-\.{3,}-", s[21]), seconds=40)


def test_the_last_ones_once(plant, terminal):
    plant.wait("enough readings", lambda s: s["accepted"] > 200)
    t = terminal(plant, "-n", "50", "press-1/temp", env=["LC_ALL=C"])
    t.until("its end", lambda s: any("ended with 0" in line for line in s))
    assert t.screen[0].startswith(" press-1/temp ") and " 50 readings" in t.screen[1], t.screen
    assert any(line.startswith("           +") and "-" in line for line in t.screen)


def test_texts_are_lines(plant, terminal):
    t = terminal(plant, "-n", "3", "press-1/word", env=["LC_ALL=C"])
    t.until("its end", lambda s: any("ended with 0" in line for line in s))
    assert sum("press-1/word" in line for line in t.screen) == 3, t.screen


def test_into_a_pipe(plant):
    lines = plant.tool("tail", "-n", "4", "press-1/temp").stdout.splitlines()
    assert len(lines) == 5 and all("press-1/temp" in line for line in lines[1:])
    rows = [json.loads(line) for line in plant.tool("tail", "--json", "-n", "4", "press-1/temp").stdout.splitlines()]
    assert [r["tag"] for r in rows] == ["temp"] * 4 and {r["source"] for r in rows} == {"press-1"}
    both = plant.tool("tail", "--json", "-n", "200", "press-*/temp").stdout
    assert {json.loads(line)["source"] for line in both.splitlines()} == {"press-1", "press-2"}


def test_following_into_a_pipe(plant):
    with subprocess.Popen([program("millrace"), "--config", plant.config, "tail", "-f", "-n", "0", "--json", "press-1/temp"],
                          stdout=subprocess.PIPE, text=True, preexec_fn=wait.die_with_parent) as child:
        seqs = [json.loads(child.stdout.readline())["seq"] for _ in range(30)]
        child.send_signal(signal.SIGTERM)
    assert seqs == sorted(set(seqs))


@pytest.mark.parametrize("words, said", [(["press-1/tmp"], "did you mean press-1/temp?"), (["nothing/like-it-at-all"], "'millrace tags' lists them"),
                                         (["temp"], "temp is 2 tags: press-"), (["press-1"], "press-1 is 3 tags: press-1/")])
def test_tags_that_are_not_one(plant, words, said):
    done = plant.tool("tail", *words, code=1)
    assert said in done.stderr and not done.stdout


def test_a_pattern_is_refused_on_a_terminal(plant, terminal):
    t = terminal(plant, "-f", "press-?/temp", env=["LC_ALL=C"])
    t.until("the refusal", lambda s: "press-?/temp is 2 tags: press-" in "".join(s) and any("ended with 1" in line for line in s))


def test_a_spool_that_is_replaced(plant, terminal):
    t = terminal(plant, "-f", "press-1/temp", env=["LC_ALL=C"])
    t.until("a full screen", lambda s: "q quit" in s[23])
    plant.stop()
    for end in ("", "-wal", "-shm"):
        if os.path.exists(plant.spool + end):
            os.unlink(plant.spool + end)
    t.until("that it is gone, or the silence", lambda s: "spool.db" in s[1] or re.search(r"\.{3,}$", s[21].rstrip()))
    plant.start()
    t.until("the new one", lambda s: re.search(r"-{5}$", s[21].rstrip()) and "readings" in s[1], seconds=40)


def test_the_daemon_is_not_needed(plant):
    plant.stop()
    assert len(plant.tool("tail", "-n", "7", "press-1/temp").stdout.splitlines()) == 8
    assert plant.tool("tail", "--spool", plant.spool, "press-1/temp").stdout.count("press-1/temp") == 10
