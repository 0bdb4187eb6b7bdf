"""live_first on a slow link: after an outage fresh readings are in their topic within seconds, while the backlog still drains."""

import time

import pytest

from rig import records, wait
from test_kill9 import Steady

RATE = 200
OUTAGE_S = 20
WINDOW = 1000
SETTINGS = {"kafka": {"live_first": True, "backfill_after": "3s", "rate_limit": "256KiB/s", "backfill_rate_limit": "32KiB/s",
                      "window_records": WINDOW}}


@pytest.fixture
def own_kafka(kafka):
    """The shared broker, up again for the others whatever happens here."""
    yield kafka
    if not kafka.process.alive():
        kafka.start()


def newest_age_s(room):
    return time.time() - max(r.data["ts_us"] for r in room.samples()) / 1e6


def be_fresh(room, seconds):
    wait.until("fresh readings in the samples topic", seconds, lambda: newest_age_s(room) < 3, every=0.2)


def check(room, acked, kills):
    """All that was acknowledged is in one topic or the other; in each the rows of a key are in order."""
    samples, backfill = room.samples(), room.backfill()
    seen, again = records.by_id(samples + backfill)
    assert again <= kills * WINDOW, f"{again} duplicates after {kills} kills with a window of {WINDOW}"
    records.check_gapless(list(seen.values()))
    records.once_each(seen.values())
    assert sorted(r.data["value"] for r in seen.values()) == sorted(float(v) for v in acked)
    for topic in (samples, backfill):
        first_ones = {}
        for r in topic:
            first_ones.setdefault(r.data["id"], r)
        records.check_order(list(first_ones.values()))
    return samples, backfill


def outage(agent, own_kafka):
    agent.wait("readings to flow", lambda s: s["delivered"] > RATE)
    own_kafka.stop()
    time.sleep(OUTAGE_S)
    own_kafka.start()


def test_fresh_readings_overtake_the_backlog(room, own_kafka):
    agent = room.agent(SETTINGS).start()
    steady = Steady(room, RATE)
    outage(agent, own_kafka)
    back = time.monotonic()
    be_fresh(room, 20)
    fresh_after_s = time.monotonic() - back
    s = agent.status()
    assert s["held"] > RATE * OUTAGE_S // 2, f"the backlog was to drain slowly: {s}"
    assert s["oldest_held_age_s"] > OUTAGE_S / 2, s
    while agent.status()["held"] > RATE * 10:
        assert newest_age_s(room) < 5, "fresh readings wait for the backlog"
        time.sleep(2)
    print(f"fresh after {fresh_after_s:.1f} s, the backlog was gone after {time.monotonic() - back:.0f} s")
    acked = steady.finish()
    s = agent.wait("all to be delivered", lambda s: s["held"] == 0 and s["accepted"] >= len(acked), 60)
    assert (s["accepted"], s["delivered"], s["dropped"]) == (len(acked), len(acked), 0)
    samples, backfill = check(room, acked, 0)
    assert len(backfill) > RATE * OUTAGE_S // 2 and len(samples) > len(acked) - len(backfill) - 1


def test_killed_while_fresh_readings_overtake(room, own_kafka):
    agent = room.agent(SETTINGS).start()
    steady = Steady(room, RATE)
    outage(agent, own_kafka)
    be_fresh(room, 20)
    for pause_s in (0.3, 1.7, 2.9):
        agent.kill()
        agent.start()
        be_fresh(room, 20)
        time.sleep(pause_s)
    s = agent.status()
    assert s["held"] > RATE * 5, f"the backlog was to drain slowly: {s}"
    acked = steady.finish()
    s = agent.wait("all to be delivered", lambda s: s["held"] == 0 and s["accepted"] >= len(acked), 120)
    assert s["accepted"] == s["delivered"] + s["held"] + s["dropped"] and s["dropped"] == 0
    check(room, acked, 3)
