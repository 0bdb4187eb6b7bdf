"""kill -9 at random moments: nothing that MQTT acknowledged is lost, nothing is taken twice."""

import os
import random
import threading
import time

from rig import records

RATE = 2000
SOURCES = 20
WINDOW = 500  # records that may be out at a kill; small, so that a kill which sends more of them twice stands out


class Steady(threading.Thread):
    """Publishes unique numbers at a steady rate until it is told to stop."""

    def __init__(self, room, rate):
        super().__init__(daemon=True)
        self.publisher, self.rate, self.going, self.fault = room.publisher(), rate, True, None
        self.topics = [room.topic(f"p{i}", "temp") for i in range(SOURCES)]
        self.start()

    def messages(self):
        i = 0
        while self.going:
            yield self.topics[i % SOURCES], b"%d" % i, i
            i += 1

    def run(self):
        try:
            self.publisher.publish(self.messages(), rate=self.rate)
        except Exception as e:
            self.fault = e

    def finish(self):
        """Returns what the broker acknowledged."""
        self.going = False
        self.join(60)
        assert not self.is_alive(), "the publisher does not end"
        assert self.fault is None, f"the publisher failed: {self.fault!r}"
        return self.publisher.acked


def test_kill9_loses_nothing_and_takes_nothing_twice(room):
    rounds = int(os.environ.get("MILLRACE_KILLS", "50"))
    chance = random.Random(os.environ.get("MILLRACE_SEED", "millrace"))
    agent = room.agent({"kafka": {"window_records": WINDOW}}).start()
    steady = Steady(room, RATE)
    for _ in range(rounds):
        agent.start(links=False) if not agent.process.alive() else None
        time.sleep(chance.uniform(0.02, 0.9))
        agent.kill()
    agent.start()
    acked = steady.finish()
    assert len(acked) > rounds * 100, "too little was published for a test"
    status = agent.wait("all to be delivered", lambda s: s["held"] == 0 and s["accepted"] >= len(acked), 60)
    assert status["accepted"] == status["delivered"] + status["held"] + status["dropped"]
    assert status["dropped"] == 0

    mine = room.samples()
    unique, again = records.by_id(mine)
    ids = records.once_each(unique.values())
    lost = [v for v in acked if float(v) not in ids]
    assert not lost, f"{len(lost)} of {len(acked)} acknowledged readings are lost: {lost[:10]}"
    assert again <= rounds * WINDOW, f"{again} duplicates after {rounds} kills"
    records.check_gapless(list(unique.values()))
    assert status["accepted"] == len(unique)
    first = sorted(unique.values(), key=lambda r: r.data["seq"])
    per_source = {}
    for r in first:
        last = per_source.get(r.data["source"], -1.0)
        assert r.data["value"] > last, f"{r.data['source']}: {r.data['value']} was taken after {last}"
        per_source[r.data["source"]] = r.data["value"]
    print(f"{rounds} kills, {len(acked)} acknowledged, {again} duplicates")


def test_kill9_before_the_first_commit_and_at_once(room):
    """A start that is cut short leaves a spool that the next start takes."""
    agent = room.agent()
    publisher = room.publisher()
    chance = random.Random(1)
    for i in range(15):
        agent.spawn()
        time.sleep(chance.uniform(0.0, 0.06))
        agent.kill()
        publisher.one(room.topic("p0", "temp"), b"%d" % i)
    agent.start()
    publisher.one(room.topic("p0", "temp"), b"1000")
    agent.wait("the last reading to be delivered", lambda s: s["held"] == 0 and s["accepted"] > 0)
    mine = room.samples()
    unique, _ = records.by_id(mine)
    ids = records.once_each(unique.values())
    assert 1000.0 in ids
    records.check_gapless(list(unique.values()))
