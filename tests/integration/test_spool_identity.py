"""A spool that loses a part of itself, or all: told, and no id is ever given to two readings."""

import glob
import os
import shutil
import time

import pytest

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


NOT_OPEN = "is not the open file any more"


def beside(agent):
    return [p for p in glob.glob(agent.spool + "*") if ".corrupt-" not in p]


def remove_all(agent):
    for path in beside(agent):
        os.unlink(path)


def remove_database(agent):
    os.unlink(agent.spool)


def remove_wal(agent):
    os.unlink(agent.spool + "-wal")


def move_database(agent):
    os.rename(agent.spool, agent.spool + "-elsewhere")


def replace_by_copy(agent):
    shutil.copy(agent.spool, agent.spool + "-copy")
    os.rename(agent.spool + "-copy", agent.spool)


def replace_all_by_copies(agent):
    for path in beside(agent):
        shutil.copy(path, path + ".new")
        os.rename(path + ".new", path)


@pytest.mark.parametrize("harm", [remove_all, remove_database, remove_wal, move_database, replace_by_copy, replace_all_by_copies],
                         ids=lambda f: f.__name__)
def test_a_spool_that_is_taken_away_is_told_and_nothing_is_acknowledged(room, harm):
    agent = room.agent(kafka="127.0.0.1:1").start(links=False)
    publish(room, 2000)
    before = agent.wait("all to be held", lambda s: s["held"] == 2000, 60)
    harm(agent)
    at = time.monotonic()
    s = agent.wait("the fault to be told", lambda s: s["health"] == "failed", 10)
    assert time.monotonic() - at < 3 and NOT_OPEN in s["fault"], s
    publish(room, 100, 2000)  # the broker keeps them
    time.sleep(1)
    assert agent.status()["accepted"] == 2000
    agent.process.end(15, 8)
    agent.conf["kafka"]["brokers"] = [room.kafka.brokers]
    agent.write()
    agent.start()
    s = agent.wait("what is there to be delivered", lambda s: s["held"] == 0 and s["delivered"] >= 100, 60)
    values = {int(r.data["value"]) for r in room.samples()}
    assert values >= set(range(2000, 2100))
    lost = 2100 - len(values)
    rescue = told(room, "spool_rescue")
    assert (s["dropped"], len(rescue)) == (lost, lost > 0 or s["epoch"] != before["epoch"]), (s, rescue)
    if lost:
        assert s["epoch"] > before["epoch"] and rescue[0]["old_epoch"] == before["epoch"] and rescue[0]["lost"] == lost, rescue
    if harm in (remove_all, remove_database):
        assert lost == 2000 if harm is remove_all else lost <= 2000
    if harm in (remove_wal, replace_by_copy, replace_all_by_copies):
        assert lost == 0
    records.by_id(room.samples())


def test_a_file_that_is_put_back_is_taken_again(room):
    agent = room.agent().start()
    publish(room, N)
    agent.wait_delivered(N)
    move_database(agent)
    agent.wait("the fault to be told", lambda s: s["health"] == "failed" and NOT_OPEN in s["fault"], 10)
    os.rename(agent.spool + "-elsewhere", agent.spool)
    agent.wait("it to go on", lambda s: s["health"] == "ok", 60)
    publish(room, N, N)
    epoch = agent.wait_delivered(2 * N)["epoch"]
    agent.restart()
    assert agent.status()["epoch"] == epoch
    check_ids(room, 2 * N)


def test_what_lies_beside_is_put_there_again(room):
    agent = room.agent().start()
    publish(room, N)
    epoch = agent.wait_delivered(N)["epoch"]
    os.unlink(agent.spool + ".epoch")
    os.unlink(agent.spool + ".lock")
    publish(room, N, N)
    agent.wait_delivered(2 * N)
    assert agent.status()["health"] == "ok"
    assert int(open(agent.spool + ".epoch", encoding="ascii").read()) == epoch
    second = room.agent({"spool": {"path": agent.spool}, "control": {"socket": agent.spool + "-ctl"}, "mqtt": {"client_id": "another"}})
    second.process.log = agent.spool + "-log"
    second.spawn()
    assert second.process.child.wait(10) == 69 and "in use by process" in second.log()
    room.agents.remove(second)
    agent.stop()


def test_noise_in_the_middle_is_noticed_when_it_is_read(room):
    agent = room.agent(kafka="127.0.0.1:1").start(links=False)
    publish(room, 20000)
    agent.wait("all to be held", lambda s: s["held"] == 20000, 60)
    agent.stop()
    with open(agent.spool, "r+b") as f:
        f.seek(os.path.getsize(agent.spool) // 2)
        f.write(os.urandom(40000))
    agent.conf["kafka"]["brokers"] = [room.kafka.brokers]
    agent.write()
    agent.start()
    s = agent.wait("the rest to be delivered, without a hand", lambda s: s["dropped"] and s["held"] == 0, 90)
    values = {int(r.data["value"]) for r in room.samples()}
    rescue = told(room, "spool_rescue")
    assert len(rescue) == 1 and rescue[0]["lost"] == s["dropped"] > 0 and rescue[0]["lost_seq"], rescue
    assert len(values) == 20000 - s["dropped"]
    records.by_id(room.samples())


def test_noise_is_found_after_a_kill_though_nobody_reads(room):
    agent = room.agent({"spool": {"commit_interval": "200ms"}}, kafka="127.0.0.1:1").start(links=False)
    publish(room, 20000)
    agent.wait("all to be held", lambda s: s["held"] == 20000, 60)
    agent.stop()  # the tags' times are saved: the next start does not look at these rows
    agent.start(links=False)
    publish(room, 10)
    epoch = agent.wait("some more", lambda s: s["held"] == 20010, 60)["epoch"]
    agent.kill()
    with open(agent.spool, "r+b") as f:
        f.seek(os.path.getsize(agent.spool) // 2)
        f.write(os.urandom(40000))
    agent.start(links=False)
    s = agent.wait("a file of its own again", lambda s: s["epoch"] > epoch and s["dropped"], 90)
    assert s["accepted"] == s["held"] + s["dropped"] and s["held"] > 10000, s
    assert "beginning anew to rescue it" in agent.log()
