"""A spool that loses a part of itself, or all: told, and no id is ever given to two readings."""

import os
import shutil

from rig import records

N = 500


def publish(room, n, first=0):
    room.publisher().publish((room.topic("press-1", "temp"), b"%d" % i, i) for i in range(first, first + n))


def check_ids(room, n):
    """All different; records.by_id fails on an id with two values."""
    unique, _ = records.by_id(room.samples())
    assert len(unique) == n, len(unique)


def told(room, kind):
    return [e.data for e in room.events() if e.data["kind"] == kind]


def test_a_new_card_has_other_ids(room):
    agent = room.agent().start()
    for i in range(3):
        publish(room, N, i * N)
        agent.wait_delivered(N)
        agent.stop()
        if i < 2:
            folder = os.path.dirname(agent.spool)
            for name in os.listdir(folder):
                if name.startswith(os.path.basename(agent.spool)):
                    os.unlink(os.path.join(folder, name))
            agent.start()
    check_ids(room, 3 * N)


def test_a_wal_that_is_gone_is_told_with_its_range(room):
    agent = room.agent(kafka="127.0.0.1:1").start(links=False)
    publish(room, 20000)
    before = agent.wait("all to be held", lambda s: s["held"] == 20000, 60)
    agent.kill()
    os.unlink(agent.spool + "-wal")
    agent.conf["kafka"]["brokers"] = [room.kafka.brokers]
    agent.write()
    agent.start()
    s = agent.wait("the rest to be delivered", lambda s: s["held"] == 0, 60)
    lost = 20000 - s["delivered"]
    assert s["epoch"] > before["epoch"] and lost > 0, s
    assert (s["accepted"], s["dropped"]) == (20000, lost), s
    rescue, dropped = told(room, "spool_rescue"), told(room, "dropped")
    assert len(rescue) == 1 and rescue[0]["lost"] == lost and rescue[0]["old_epoch"] == before["epoch"], rescue
    assert rescue[0]["lost_seq"] == f"{20000 - lost + 1}-20000", rescue
    assert [(d["reason"], d["n"]) for d in dropped] == [("lost", lost)], dropped
    assert [d["n"] for d in agent.listing("spool", "dropped") if d["reason"] == "lost" and d["lane"] == "samples"] == [lost]
    publish(room, N, 20000)
    agent.wait("new ones to be delivered", lambda s: s["delivered"] == 20000 - lost + N, 60)
    check_ids(room, 20000 - lost + N)


def test_an_older_copy_is_told(room, tmp_path):
    agent = room.agent().start()
    publish(room, N)
    epoch = agent.wait_delivered(N)["epoch"]
    agent.stop()
    shutil.copy(agent.spool, tmp_path / "backup")
    agent.start()
    publish(room, N, N)
    agent.wait_delivered(2 * N)
    agent.stop()
    shutil.copy(tmp_path / "backup", agent.spool)
    agent.start()
    assert agent.status()["epoch"] > epoch
    publish(room, N, 2 * N)
    agent.wait("new ones to be delivered", lambda s: s["delivered"] == N, 60)
    assert len(told(room, "spool_rescue")) == 1
    check_ids(room, 3 * N)
