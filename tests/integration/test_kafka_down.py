"""Kafka goes away and comes back: the spool holds, nothing is lost, nothing comes twice."""

import time

import pytest

from rig import records
from rig.bad_disk import preload
from test_kill9 import Steady

RATE = 5000


@pytest.fixture
def own_kafka(kafka):
    """The shared broker, up again for the others whatever happens here."""
    yield kafka
    if kafka.process.alive():
        kafka.thaw()
    else:
        kafka.start()


def check_all_once(room, agent, acked):
    status = agent.wait("all to be delivered", lambda s: s["held"] == 0 and s["accepted"] >= len(acked), 120)
    assert (status["accepted"], status["delivered"], status["dropped"]) == (len(acked), len(acked), 0)
    mine = room.samples()
    records.check_gapless(mine)
    records.check_order(mine)
    assert sorted(r.data["value"] for r in mine) == sorted(float(v) for v in acked)
    return status


def test_kafka_stopped_for_30_s(room, own_kafka):
    agent = room.agent().start()
    steady = Steady(room, RATE)
    agent.wait("readings to flow", lambda s: s["delivered"] > RATE)
    own_kafka.stop()
    stopped = time.monotonic()
    held = []
    while time.monotonic() - stopped < 30:
        time.sleep(3)
        s = agent.status()
        held.append(s["held"])
        assert s["accepted"] == s["delivered"] + s["held"] + s["dropped"]
        assert s["dropped"] == 0
    assert held == sorted(held) and held[-1] > 20 * RATE, f"held: {held}"
    assert s["health"] == "degraded", s
    assert s["uplink"]["state"] != "up" and s["uplink"]["last_error"], s["uplink"]
    assert s["oldest_held_age_s"] > 20, s
    own_kafka.start()
    back = time.monotonic()
    agent.wait("the backlog to be gone", lambda s: s["held"] < RATE, 60)
    print(f"drained {time.monotonic() - back:.1f} s after Kafka was ready")
    acked = steady.finish()
    status = check_all_once(room, agent, acked)
    assert status["drain_eta_s"] is None
    agent.wait("good health again", lambda s: s["health"] == "ok", 30)
    kinds = {e.data["kind"] for e in room.events()}
    assert "uplink" in kinds, f"the outage is told as an event: {kinds}"


def test_kafka_frozen(room, own_kafka):
    """A broker that hangs with its connections open."""
    agent = room.agent().start()
    steady = Steady(room, 2000)
    agent.wait("readings to flow", lambda s: s["delivered"] > 2000)
    own_kafka.freeze()
    time.sleep(8)
    s = agent.status()
    assert s["held"] > 5000 and s["dropped"] == 0, s
    own_kafka.thaw()
    agent.wait("the backlog to be gone", lambda s: s["held"] < 2000, 60)
    check_all_once(room, agent, steady.finish())


def test_kafka_killed(room, own_kafka):
    """kill -9 of the broker during steady traffic, twice."""
    agent = room.agent().start()
    steady = Steady(room, 2000)
    for _ in range(2):
        agent.wait("readings to flow", lambda s: s["held"] < 2000 and s["delivered"] > 2000)
        own_kafka.kill()
        time.sleep(2)
        own_kafka.start()
    agent.wait("the backlog to be gone", lambda s: s["held"] < 2000, 60)
    check_all_once(room, agent, steady.finish())


def test_the_agent_starts_without_kafka_and_keeps_what_it_holds(room, own_kafka):
    """Held readings live through restarts of the agent, orderly and not, while Kafka is away."""
    own_kafka.stop()
    agent = room.agent().start(links=False)
    publisher = room.publisher()
    agent.wait("MQTT", lambda s: s["drivers"][0]["state"] == "up")
    for i in range(4):
        publisher.publish((room.topic("p0", "temp"), b"%d" % j, j) for j in range(i * 500, i * 500 + 500))
        agent.wait("them to be held", lambda s: s["held"] == (i + 1) * 500)
        agent.stop() if i % 2 else agent.kill()
        agent.start(links=False)
        assert agent.wait("an answer", lambda s: True)["held"] == (i + 1) * 500
    own_kafka.start()
    check_all_once(room, agent, publisher.acked)


def test_rows_leave_the_spool_only_after_kafka_has_them(room, own_kafka):
    """At any instant: what is neither in Kafka nor held by the spool is lost. There is none."""
    agent = room.agent().start()
    steady = Steady(room, 2000)
    for _ in range(5):
        time.sleep(0.5)
        agent.kill()
        there = {r.data["seq"] for r in room.samples()}
        held = {row["seq"] for row in agent.listing("spool", "export")}
        highest = max(there | held)
        missing = set(range(1, highest + 1)) - there - held
        assert not missing, f"{len(missing)} readings are in neither: {sorted(missing)[:10]}"
        agent.start(links=False)
    acked = steady.finish()
    agent.wait("all to be delivered", lambda s: s["held"] == 0 and s["accepted"] >= len(acked), 60)


def test_kafka_comes_back_after_the_clock_was_set_back(room, own_kafka):
    """By an hour, while it was away. librdkafka's threads wait for times of the wall clock."""
    agent = room.agent()
    agent.env = preload("set_back.so", SET_BACK=str(room.folder / "set-back"))
    agent.start()
    publisher = room.publisher()
    publisher.publish((room.topic("press-1", "temp"), b"%d.5" % i, i) for i in range(100))
    agent.wait_delivered(100)
    own_kafka.stop()
    publisher.publish((room.topic("press-1", "temp"), b"%d.5" % i, i) for i in range(100, 200))
    agent.wait("the outage", lambda s: s["held"] == 100 and s["uplink"]["state"] != "up")
    (room.folder / "set-back").touch()
    own_kafka.start()
    agent.wait_delivered(200, 30)
    records.check_gapless(room.samples())


def test_a_boot_in_1970_leaves_no_record_that_kafka_deletes_for_its_age(room):
    """Kafka's retention goes by the record's time: none at all while the clock is not set, and that of sending for what came before."""
    agent = room.agent()
    agent.env = preload("set_back.so", SET_BACK=str(room.folder / "set-right"), AHEAD_S=str(600 - int(time.time())))
    agent.start()
    publisher = room.publisher()
    publisher.publish((room.topic("press-1", "temp"), b"%d.5" % i, i) for i in range(10))
    agent.wait_delivered(10)
    assert {r.ts_ms for r in room.samples()} == {-1}, "without a time"
    assert all(r.data["ts"].startswith("1970-01-01") for r in room.samples())
    (room.folder / "set-right").touch()
    publisher.publish((room.topic("press-1", "temp"), b"%d.5" % i, i) for i in range(10, 20))
    agent.wait_delivered(20)
    late = [r for r in room.samples() if r.data["value"] > 10]
    assert len(late) == 10 and all(r.ts_ms > 1577836800000 for r in late)
