"""Brokers with odd manners, and kill -9 at random moments: what was acknowledged is in Kafka, and what was sent once is there once.

What is sent again is there once as well, where that can be known: it says DUP, in a session that is resumed, under the packet id it
had, and no id has come again soon with another message, or without DUP: of such a broker a new message with an equal value can't be
told from an old one.  So there are two kinds of brokers here; the second does what it likes.

The long form: MILLRACE_KILLS=500 MILLRACE_SEED=7 python3 -m pytest -s tests/integration/test_odd_brokers.py
"""

import collections
import contextlib
import os
import random
import shutil
import struct
import tempfile
import time

import pytest

from rig import wait
from rig.agent import Agent
from rig.mock import MockKafka, ask
from rig.odd_broker import Manners, OddBroker

LOOK_EVERY = 25  # kills


def properties(chance):
    """Of a CONNACK: limits that the broker says it has; and the QoS that it grants."""
    known = {
        "receive maximum": b"\x21" + struct.pack(">H", chance.choice((1, 2, 20, 65535))),
        "maximum QoS": b"\x24" + bytes([chance.randint(0, 1)]),
        "no retained messages": b"\x25\x00",
        "maximum packet size": b"\x27" + struct.pack(">I", chance.choice((50, 200, 1 << 20))),
        "topic aliases": b"\x22" + struct.pack(">H", chance.choice((1, 10))),
        "no shared subscriptions": b"\x2a\x00",
        "keepalive of its own": b"\x13" + struct.pack(">H", chance.choice((1, 5, 60))),
        "session expiry": b"\x11" + struct.pack(">I", chance.choice((0, 60))),
        "a reason": b"\x1f" + struct.pack(">H", 5) + b"hello",
    }
    said = chance.sample(sorted(known), chance.randint(1, 4))
    granted = 0 if b"\x24\x00" in (known[k] for k in said) else 1
    return said, b"".join(known[k] for k in said), granted


ODD = {
    "a window of one": lambda c: {"window": 1},
    "a small window": lambda c: {"window": c.randint(2, 20)},
    "a burst": lambda c: {"window": 5000},
    "a cut within a packet": lambda c: {"cut_after": c.choice((1, c.randint(2, 60), c.randint(60, 6000)))},
    "a few bytes at a time": lambda c: {"chunk": c.randint(1, 7)},
    "DUP on new ones": lambda c: {"dup_on_new": 0.1},
    "a session that is gone": lambda c: {"loses_session": True},
    "a session that is gone, its messages not": lambda c: {"loses_session": True, "sends_lost": True},
    "a session said to be there": lambda c: {"lies_present": True},
    "gone with acknowledgements unread": lambda c: {"skips_acked": True},
}
ODDER = {
    "twice on one connection": lambda c: {"again": 0.1},
    "no DUP on old ones": lambda c: {"forgets_dup": True},
    "a session said to be gone": lambda c: {"lies_present": False},
    "the lowest id that is free": lambda c: {"ids": "lowest"},
    "ids that are in use": lambda c: {"ids": "reused"},
}


class Rig:
    def __init__(self, folder, seed, odder):
        self.odd = ODD | ODDER if odder else ODD
        self.odder = odder
        self.chance = random.Random(seed)
        self.count = collections.Counter()
        self.kafka = MockKafka()
        self.broker = OddBroker(lambda v: f"g/l1/p{v % 5}/t{v % 7}", rate=1000, manners=self.manners, seed=f"{seed}")
        self.polite = False
        self.control = os.path.join(folder, "control")
        self.agent = Agent(folder, self.kafka.brokers, self.broker.url, "g",
                           {"control": {"socket": self.control}, "spool": {"commit_interval": "50ms"}})

    def manners(self, chance):
        """Called by the broker's thread for each connection."""
        if self.polite or chance.random() < 0.2:
            return Manners()
        odd = {}
        for name in chance.sample(sorted(self.odd), chance.randint(1, 3)):
            odd.update(self.odd[name](chance))
            self.count[name] += 1
        if chance.random() < 0.4:
            said, odd["properties"], odd["granted"] = properties(chance)
            for name in said:
                self.count[f"says: {name}"] += 1
        return Manners(**odd)

    def spawn(self):
        protocol = self.chance.choice(("5", "3.1.1"))
        self.count[f"life of {protocol}"] += 1
        self.agent.conf["mqtt"][0].update(protocol=protocol, receive_maximum=self.chance.choice((10, 100, 2000)))
        self.agent.write()
        self.broker.diary.append(f"a life of {protocol}")
        self.agent.spawn()

    def until(self, what, seconds, true_of):
        last = {}

        def probe():
            self.agent.process.must_live()
            s = ask(self.control)
            last.update(s or {})
            return s and true_of(s) and s

        return wait.until(what, seconds, probe, every=0.02,
                          detail=lambda: f"{last}\n{self.broker.state()}\n{self.agent.log()[-3000:]}")

    def kill(self):
        at = time.monotonic() + self.chance.uniform(0, self.chance.choices((0.05, 1, 4), (2, 7, 1))[0])
        while time.monotonic() < at:
            self.agent.process.must_live()
            time.sleep(0.01)
        self.agent.process.end(9, 10)
        self.broker.diary.append("killed")
        self.count["kills"] += 1

    def look(self):
        """Of a polite broker, for what was out is to come to an end."""
        self.polite = True
        self.broker.pause()
        self.broker.hang_up()
        self.spawn()
        self.until("all to be acknowledged", 60, lambda s: self.broker.idle() and s["drivers"][0]["state"] == "up")
        s = self.until("none to be held", 60, lambda s: s["held"] == 0 and s["events"]["held"] == 0)
        assert s["accepted"] == s["delivered"] + s["dropped"] and s["dropped"] == s["quarantined"] == 0, s
        self.kafka.read_all()
        self.check()
        self.broker.pause(False)
        self.polite = False
        self.agent.process.end(9, 10)
        self.count["kills"] += 1

    def check(self):
        acked = self.broker.taken()
        missing = [v for v in acked if v not in self.kafka.ids_of]
        assert not missing, f"{len(missing)} of {len(acked)} acknowledged messages are not in Kafka: {missing[:20]}"
        for v, ids in list(self.kafka.ids_of.items()):
            m = self.broker.sent[v]
            assert len(ids) == 1 or m.sends > 1 and (m.forced or self.odder), f"{v} was sent {m.sends} times, and has the ids {ids}: {m.history}\n" + "\n".join(self.broker.diary[-20:])

    def report(self):
        sent, ids = self.broker.sent.values(), self.kafka.ids_of
        again = [m for m in sent if m.sends > 1]
        known = [m for m in again if not m.forced and not self.odder]
        twice = sum(1 for i in list(ids.values()) if len(i) > 1)
        print(f"{self.count['kills']} kills, {sum(self.broker.connections.values())} connections, {len(sent)} messages sent, "
              f"{len(self.broker.taken())} acknowledged, 0 of them missing; {len(again)} sent again, of {len(known)} it could be known, "
              f"0 of those twice; {twice} of the {len(again) - len(known)} others twice")
        print("\n".join(f"  {k}: {v}" for k, v in sorted(self.count.items())))

    def close(self):
        if self.agent.process.alive():
            self.agent.process.end(9, 10)
        self.broker.over = True
        self.kafka.close()
        self.broker.stop()


@pytest.fixture(params=("odd", "odder"))
def rig(request):
    folder = tempfile.mkdtemp(prefix="millrace-odd-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
    with contextlib.closing(Rig(folder, os.environ.get("MILLRACE_SEED", "millrace"), request.param == "odder")) as made:
        yield made
    shutil.rmtree(folder, ignore_errors=True)


def test_no_acknowledgement_of_an_odd_broker_is_missing(rig):
    n = int(os.environ.get("MILLRACE_KILLS", "25"))
    while rig.count["kills"] < n:
        for _ in range(LOOK_EVERY - 1):
            rig.spawn()
            rig.kill()
        rig.look()
    rig.report()
