"""A full spool: block pauses the sources and loses nothing, the drop policies name what they dropped."""

import pytest

from rig import records
from rig.bad_disk import preload
from test_kafka_down import own_kafka  # noqa: F401 (a fixture)

SMALL = "4MiB"


def fill(room, agent, n, size=200):
    """n text readings, so that a few thousand fill a small spool; returns the publisher."""
    publisher = room.publisher()
    publisher.publish((room.topic(f"p{i % 5}", "text"), b'"%08d%s"' % (i, b"x" * size), i) for i in range(n))
    return publisher


def numbers(mine):
    return [int(r.data["value_str"][:8]) for r in mine]


def test_block_pauses_the_source_and_loses_nothing(room, own_kafka):  # noqa: F811
    n = 60000
    agent = room.agent({"spool": {"max_size": SMALL, "when_full": "block"}}).start()
    own_kafka.stop()
    fill(room, agent, n)
    s = agent.wait("the source to be paused", lambda s: s["drivers"][0]["paused"] or s["drivers"][0]["state"] == "paused", 60)
    assert s["spool_bytes"] <= s["spool_max_bytes"] and s["dropped"] == 0, s
    assert 0 < s["held"] < n, s
    own_kafka.start()
    s = agent.wait_delivered(n, 45)
    assert (s["accepted"], s["dropped"]) == (n, 0)
    mine = room.samples()
    records.check_gapless(mine)
    assert sorted(numbers(mine)) == list(range(n))
    assert not s["drivers"][0]["paused"]


def test_block_survives_kill9_while_paused(room, own_kafka):  # noqa: F811
    n = 40000
    agent = room.agent({"spool": {"max_size": SMALL, "when_full": "block"}}).start()
    own_kafka.stop()
    fill(room, agent, n)
    agent.wait("the source to be paused", lambda s: s["drivers"][0]["paused"] or s["drivers"][0]["state"] == "paused", 60)
    agent.kill()
    agent.start(links=False)
    agent.wait("the source to be paused again", lambda s: s["drivers"][0]["paused"] or s["drivers"][0]["state"] == "paused", 60)
    own_kafka.start()
    s = agent.wait_delivered(n, 45)
    unique, _ = records.by_id(room.samples())
    assert sorted(numbers(unique.values())) == list(range(n))
    assert s["accepted"] == n


def ledger_of(agent):
    gone = set()
    for d in agent.listing("spool", "dropped"):
        span = set(range(d["first_seq"], d["last_seq"] + 1))
        assert d["n"] == len(span), f"a range that is not dropped whole: {d}"
        assert not gone & span, f"a range told twice: {d}"
        gone |= span
    return gone


@pytest.mark.parametrize("policy", ["drop_oldest", "drop_newest"])
def test_dropped_ranges_are_the_gaps_the_consumer_sees(room, own_kafka, policy):  # noqa: F811
    n = 60000
    agent = room.agent({"spool": {"max_size": SMALL, "when_full": policy}}).start()
    own_kafka.stop()
    fill(room, agent, n)
    s = agent.wait("all to be accepted", lambda s: s["accepted"] >= n, 45)
    assert s["accepted"] == n, "redelivered readings were taken again"
    assert s["accepted"] == s["delivered"] + s["held"] + s["dropped"]
    assert s["dropped"] > 0 and s["held"] > 1000, s
    assert s["spool_bytes"] <= s["spool_max_bytes"], s
    assert s["health"] == "degraded"
    own_kafka.start()
    s = agent.wait("all that is held to be delivered", lambda s: s["held"] == 0, 60)
    assert s["delivered"] + s["dropped"] == n
    mine = room.samples()
    got = {r.data["seq"] for r in mine}
    assert len(got) == len(mine) == s["delivered"]
    gone = ledger_of(agent)
    assert gone == set(range(1, n + 1)) - got, "the ledger and the gaps differ"
    assert len(gone) == s["dropped"]
    # a small batch may still find the room that a large one did not: so by their means, and by the end that must be there
    there = set(numbers(mine))
    kept, lost = sum(got) / len(got), sum(gone) / len(gone)
    assert (n - 1 in there and lost < kept) if policy == "drop_oldest" else (0 in there and lost > kept), (
        f"the wrong end was dropped: seq {lost:.0f} in the mean, {kept:.0f} was kept")
    assert "dropped" in {e.data["kind"] for e in room.events()}, "a drop is told as an event"


def test_thin_leaves_one_a_minute_and_says_what_it_stands_for(room, own_kafka):  # noqa: F811
    """On a clock that runs a hundred times as fast, so that a minute is over soon."""
    n = 60000
    agent = room.agent({"spool": {"max_size": SMALL, "when_full": "thin"}})
    agent.env = preload("fast_clock.so", FAST_CLOCK="100")
    agent.start()
    own_kafka.stop()
    fill(room, agent, n)
    s = agent.wait("all to be accepted", lambda s: s["accepted"] >= n, 45)
    assert s["accepted"] == n == s["delivered"] + s["held"] + s["dropped"], s
    assert s["spool_bytes"] <= s["spool_max_bytes"], s
    own_kafka.start()
    agent.wait("all that is held to be delivered", lambda s: s["held"] == 0, 60)
    mine = room.samples()
    reasons = {d["reason"]: 0 for d in agent.listing("spool", "dropped")}
    for d in agent.listing("spool", "dropped"):
        reasons[d["reason"]] += d["n"]
    assert reasons["thinned"] > n / 2, reasons
    assert {r.data["seq"] for r in mine} == set(range(1, n + 1)) - ledger_of(agent), "the ledger and the gaps differ"
    whole, many = [r.data for r in mine if "agg" not in r.data], [r.data for r in mine if "agg" in r.data]
    assert all(d["id"] == f"{room.gateway}:{d['epoch']}:a{d['seq']}" and d["agg"] == "last" and d["n"] >= 1 for d in many) and many
    assert len(whole) + sum(d["n"] for d in many) + reasons.get("full", 0) <= n
    assert reasons.get("full", 0) or len(whole) + sum(d["n"] for d in many) == n, "every reading is in one record"
    agent.tool("spool", "verify")
