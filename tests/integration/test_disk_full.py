"""A disk that is full, cannot be written, or brings back a damaged file: told, nothing lost, and it goes on by itself."""

import glob
import os
import sqlite3
import subprocess

import pytest

from rig import records
from rig.agent import tool
from test_pause import fill, numbers


@pytest.fixture
def disk(room, tmp_path):
    """8 MB of their own; mounted with `options` by the test when it wants others. Agents end before it goes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder], check=True)
    try:
        yield folder
        for agent in room.agents:
            if agent.process.alive():
                agent.stop()
    finally:
        subprocess.run(["umount", "-l", folder], check=False)


def fill_disk(disk, leave):
    """A file that leaves `leave` bytes free."""
    free = os.statvfs(disk)
    with open(disk / "ballast", "wb") as f:
        f.write(b"\0" * (free.f_bavail * free.f_bsize - leave))


def failing(s):
    return s["health"] == "failed" and s["fault"]


@pytest.mark.parametrize("leave", [0, 100_000])
def test_a_full_disk_holds_the_source_up_and_it_goes_on_when_there_is_room(room, disk, leave):
    n = 9000  # with the 1,000 before, well within the disk: the ballast is what fills it
    agent = room.agent({"spool": {"path": str(disk / "spool.db"), "max_size": "64MiB", "batch_rows": 1000}}).start()
    fill(room, agent, 1000).drain()
    agent.wait_delivered(1000)
    fill_disk(disk, leave)
    fill(room, agent, n)
    s = agent.wait("health to be failed", failing, 40)
    assert "full" in s["fault"] or "space" in s["fault"] or "I/O" in s["fault"], s["fault"]
    assert s["dropped"] == 0
    os.unlink(disk / "ballast")
    s = agent.wait_delivered(n + 1000, 90)
    assert (s["accepted"], s["dropped"], s["fault"]) == (n + 1000, 0, "")
    agent.wait("health to be ok again", lambda s: s["health"] == "ok", 90)
    mine = room.samples()
    records.check_gapless(mine)
    assert sorted(set(numbers(mine))) == list(range(n))
    agent.stop()
    agent.tool("spool", "verify")


def test_kill9_on_a_full_disk_loses_nothing(room, disk):
    n = 8000
    agent = room.agent({"spool": {"path": str(disk / "spool.db"), "max_size": "64MiB"}}).start()
    fill_disk(disk, 100_000)
    fill(room, agent, n)
    agent.wait("health to be failed", failing, 40)
    agent.kill()
    os.unlink(disk / "ballast")
    agent.start()
    agent.wait("all of it to be delivered", lambda s: s["held"] == 0 and s["accepted"] >= n, 90)
    assert sorted(set(numbers(room.samples()))) == list(range(n))


def refused(agent, words):
    agent.spawn()
    agent.process.child.wait(20)
    assert agent.process.child.returncode not in (0, None) and agent.process.child.returncode > 0
    assert words in agent.log(), agent.log_tail()


def test_a_missing_directory_is_told(room, tmp_path):
    refused(room.agent({"spool": {"path": str(tmp_path / "nowhere" / "spool.db")}}), "its directory does not exist")
    room.agents.clear()


def test_a_read_only_disk_is_told(room, disk):
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    refused(room.agent({"spool": {"path": str(disk / "spool.db")}}), "Read-only file system")
    room.agents.clear()


def test_another_programs_database_is_not_touched(room, tmp_path):
    path = tmp_path / "theirs.db"
    with sqlite3.connect(path) as c:
        c.execute("PRAGMA application_id=7")
        c.execute("CREATE TABLE t(x)")
    before = path.read_bytes()
    refused(room.agent({"spool": {"path": str(path)}}), "another program")
    assert path.read_bytes() == before
    room.agents.clear()


def test_a_damaged_file_is_moved_aside_and_its_rows_are_delivered(room, disk):
    n = 3000
    agent = room.agent({"spool": {"path": str(disk / "spool.db")}}, kafka="127.0.0.1:1").start(links=False)
    fill(room, agent, n)
    epoch = agent.wait("all to be held", lambda s: s["held"] == n)["epoch"]
    agent.stop()
    with open(disk / "spool.db", "r+b") as f:
        f.write(b"\xa5" * 512)
    agent.conf["kafka"]["brokers"] = [room.kafka.brokers]
    agent.write()
    agent.start()
    s = agent.wait_delivered(n)
    assert s["epoch"] > epoch and s["accepted"] == n
    assert numbers(room.samples()) != [] and sorted(numbers(room.samples())) == list(range(n))
    told = [e.data for e in room.events() if e.data["kind"] == "spool_rescue"]
    assert len(told) == 1 and told[0]["readings"] == n and told[0]["lost"] == 0, told
    aside = glob.glob(str(disk / "spool.db.corrupt-*Z"))
    assert len(aside) == 1 and os.path.basename(aside[0]) == told[0]["file"]
    assert f"{n} readings can still be found" in tool("spool", "verify", "--spool", aside[0], code=1).stdout
    agent.tool("spool", "verify")
