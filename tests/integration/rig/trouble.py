"""Troubles made for real, what the status says of them first, and the table of it in the operator's manual."""

import contextlib
import datetime
import os
import re
import threading
import time

from . import agent as agents
from . import wait

MANUAL = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))),
                      "packaging", "doc", "operator.md")
BEGIN, END = "<!-- the 25 first lines: tests/integration/test_troubles.py writes them -->\n", "<!-- the end of the first lines -->\n"
WRITE = "MILLRACE_WRITE_TROUBLES"  # in the environment: the table is written anew
WRITE_TIMES = "MILLRACE_WRITE_TROUBLE_TIMES"  # a file: how long each took to be told
WITHIN = 10 + 10  # seconds: what is promised, and what a busy machine takes

# Words that only who knows the libraries understands.
JARGON = re.compile(r"rdkafka|librd|sqlite|libuv|libmodbus|errno|_T_|Local:|Broker:|SSL routines|error:[0-9A-F]{8}|\b0x|\bE[A-Z]{4,}\b"
                    r"|UNKNOWN_|_ERROR|CONNACK|SUBACK|MOSQ|\(null\)|fdatasync")
# What is another number each time.
CHANGES = (
    (r"/tmp/pytest\S*", "/var/lib/millrace/spool.db"),
    (r"\b\d+(\.\d+)? [KMG]iB a day", "… MiB a day"),
    (r"\b\d+ of \d+ answers", "… of … answers"),
    (r"\b\d+(\.\d+)?(?= (?:held|records|readings|samples|events|%|names|messages|a second|times|in all|s,))", "…"),
)
TROUBLES = []


class Trouble:
    def __init__(self, name, condition, subject, make):
        self.name, self.condition, self.subject, self.make = name, condition, subject, make

    def __repr__(self):
        return self.make.__name__


def trouble(name, condition, subject):
    """A generator of one step: it makes the trouble, yields the agent, and ends it."""
    def made(make):
        TROUBLES.append(Trouble(name, condition, subject, make))
        return make
    return made


class Place:
    """What a trouble has for itself. `plain`: what is different each time -> what the manual says instead."""

    def __init__(self, room, folder, broker, stack):
        self.room, self.folder, self.broker, self.stack = room, folder, broker, stack
        self.plain, self.made, self.clock = {}, None, None
        self.call(room.mosquitto.port, 1883)
        for n, door in broker.doors.items():
            self.call(door.port, {"plain": 9092, "tls": 9093, "users": 9094}[n])
        self.call(broker.port, 9092)

    def call(self, what, instead):
        self.plain[str(what)] = str(instead)
        return what

    def agent(self, settings=None, mqtt_url=None, kafka=None):
        """Towards Kafka through its door."""
        self.made = self.room.agent(settings, mqtt_url, kafka or f"127.0.0.1:{self.broker.doors['plain'].port}")
        return self.made

    def begins(self):
        """The trouble is made now: what follows on this makes it. How long it takes to be told is counted from here."""
        self.clock = Clock(self.made, self.case)
        self.clock.start()

    def reading(self, tag="temp", payload=b"1.5"):
        self.room.publisher().one(self.room.topic("press-1", tag), payload)

    def end(self, what):
        """`what`() is called at the end, whatever happens."""
        self.stack.callback(what)

    def as_in_the_manual(self, text):
        for what, instead in sorted(self.plain.items(), key=lambda pair: -len(pair[0])):
            text = text.replace(what, instead)
        text = text.replace(str(self.folder), "/var/lib/millrace").replace(self.room.gateway, "gw-7")
        for pattern, instead in CHANGES:
            text = re.sub(pattern, instead, text)
        return text


class Clock(threading.Thread):
    """Asks until the status' first line names the trouble, beside whatever the test waits for."""

    def __init__(self, agent, case):
        super().__init__(daemon=True)
        self.agent, self.case, self.seconds = agent, case, None

    def names_it(self):
        try:
            return is_of(first_of(self.agent.answer() or {}, self.case), self.case)
        except wait.Gone:
            return False  # it does not run yet

    def run(self):
        began = time.monotonic()
        while time.monotonic() < began + WITHIN + 60:
            if self.names_it():
                self.seconds = time.monotonic() - began
                return
            time.sleep(0.1)

    def read(self):
        self.join(WITHIN + 60)
        return self.seconds


def first_of(status, case):
    """The worst and oldest; the clock of the machine that tests is nobody's trouble but its own."""
    for c in status.get("conditions", []):
        if c["name"] != "clock_unsynced" or case.condition == c["name"]:
            return c
    return None


def is_of(c, case):
    return bool(c) and c["name"] == case.condition and c["subject"] == case.subject


def meet(agent, case, since):
    """Waits for the trouble to be the first thing that is said; returns its condition."""
    s = agent.wait(f"{case.condition} of {case.subject} to be the first", lambda s: is_of(first_of(s, case), case), WITHIN)
    c = first_of(s, case)
    began = datetime.datetime.fromisoformat(c["since"].replace("Z", "+00:00"))
    assert since - datetime.timedelta(seconds=2) <= began, c
    assert c["what"] and c["todo"] and not JARGON.search(c["what"] + " " + c["todo"]), c
    shown = agent.tool("status", code=0 if s["health"] == "ok" else 1).stdout
    assert c["subject"] in shown, shown
    return c


def leave(agent, case):
    """Waits for it to end by itself."""
    agent.wait(f"{case.condition} of {case.subject} to end", lambda s: not any(is_of(c, case) for c in s["conditions"]), 90)


# ---- the manual ----

def row(place, case, c):
    cells = (case.name, f"{c['subject']}: {c['what']}", c["todo"])
    return "| " + " | ".join(place.as_in_the_manual(text).replace("|", "\\|") for text in cells) + " |\n"


def table():
    """(what is before, the rows, what is behind)"""
    with open(MANUAL, encoding="utf-8") as f:
        text = f.read()
    before, _, rest = text.partition(BEGIN)
    rows, _, behind = rest.partition(END)
    return before, rows, behind


def check(line):
    assert line in table()[1], f"{MANUAL} says something else than:\n{line}Run it with {WRITE}=1 to write the table anew."


def write(lines):
    """In the order of TROUBLES; what was not made now stays as it was."""
    before, rows, behind = table()
    known = {r.split(" | ")[0]: r for r in rows.splitlines(keepends=True)[2:]}
    known.update({line.split(" | ")[0]: line for line in lines})
    head = "| trouble | what is said first | what to do |\n|---|---|---|\n"
    with open(MANUAL, "w", encoding="utf-8") as f:
        f.write(before + BEGIN + head + "".join(known.get("| " + t.name, "") for t in TROUBLES) + END + behind)


def write_times(times):
    """{name: seconds} as a table, in the order of TROUBLES."""
    with open(os.environ[WRITE_TIMES], "w", encoding="utf-8") as f:
        f.write("# How long a trouble takes to be told\nFrom the moment it is made (for what is so from the start: from the start of the daemon) until the first\n"
                "line of `millrace status` names it, asked ten times a second. Recorded, never asserted: a busy machine takes longer.\n"
                "What is written to the flash is a rate that is judged every five seconds.\n\n"
                f"    {WRITE_TIMES}=FILE python3 -m pytest tests/integration/test_troubles.py\n\n| trouble | seconds |\n|---|---|\n")
        f.writelines(f"| {t.name} | {times[t.name]:.1f} |\n" for t in TROUBLES if times.get(t.name) is not None)


@contextlib.contextmanager
def made(case, place):
    """The trouble while the block runs; ended behind it."""
    with contextlib.contextmanager(case.make)(place) as agent:
        yield agent


def slave_program():
    return [os.path.join(agents.build_dir(), "tests", "integration", "modbus_slave")]


__all__ = ["Place", "TROUBLES", "WRITE", "WRITE_TIMES", "check", "leave", "made", "meet", "row", "trouble", "wait", "write", "write_times"]
