"""A disk that fails, blocks or is taken away under the running daemon: told, counted, nothing acknowledged lost, healed alone.

Each room has both kinds of sources: MQTT, which can be paused, and a polled one, whose readings must go to the ledger.
"""

import os
import signal
import subprocess

import pytest

from rig import records, wait
from rig.bad_disk import BadDisk
from test_kill9 import Steady

RATE = 200
SIM = [{"name": "floor", "source": "m", "count": 5, "period": "50ms", "tags": [{"tag": "v", "wave": "noise", "min": 0, "max": 1}]}]
SPOOL = {"batch_rows": 100, "commit_interval": "100ms"}


class Ext4:
    """A file system of its own that turns read-only on an error, as most roots do."""

    def __init__(self, folder):
        self.image, self.folder = folder / "image", folder / "disk"
        self.folder.mkdir()
        with open(self.image, "wb") as f:
            f.truncate(32 << 20)
        subprocess.run(["mkfs.ext4", "-q", self.image], check=True)
        self.mount()

    def mount(self):
        subprocess.run(["mount", "-o", "loop,errors=remount-ro", self.image, self.folder], check=True)

    def fail(self):
        device = subprocess.run(["findmnt", "-no", "SOURCE", self.folder], capture_output=True, text=True, check=True).stdout.strip()
        with open(f"/sys/fs/ext4/{os.path.basename(device)}/trigger_fs_error", "w", encoding="ascii") as f:
            f.write("a test")

    def repair(self):
        subprocess.run(["umount", self.folder], check=True)
        # a device that is still there has the blocks of before, and mount would take it again
        wait.until("the loop device to go", 20, lambda: not subprocess.run(["losetup", "-j", self.image], capture_output=True, check=True).stdout)
        assert subprocess.run(["e2fsck", "-fy", self.image], capture_output=True, check=False).returncode < 4
        self.mount()


@pytest.fixture
def ext4(tmp_path):
    made = Ext4(tmp_path)
    try:
        yield made
    finally:
        subprocess.run(["umount", "-l", made.folder], check=False)


class Plant:
    """An agent on `folder` with both sources at work, and what must hold of it at the end."""

    def __init__(self, room, folder, env=None, **spool):
        self.room = room
        self.agent = room.agent({"spool": {**SPOOL, "path": str(folder / "spool.db"), **spool}, "sim": SIM})
        self.agent.spool, self.agent.env = str(folder / "spool.db"), env or {}
        self.agent.start()
        self.steady = Steady(room, RATE)
        self.agent.wait("readings to be delivered", lambda s: s["delivered"] > 300)

    def ill(self, words):
        """Until health is red for the reason, MQTT waits and polled readings have no room; the daemon answers all the while."""
        def as_it_should_be(s):
            assert s["accepted"] == s["delivered"] + s["held"] + s["dropped"], s
            mqtt = next(d for d in s["drivers"] if d["name"] == "plant")
            return s["health"] == "failed" and s["fault"] and mqtt["paused"] and s["refused"] > 0

        s = self.agent.wait("health to be failed, MQTT paused, polled readings refused", as_it_should_be, 40)
        assert words in s["fault"], s["fault"]
        assert self.agent.spool in self.agent.log() and words in self.agent.log(), self.agent.log_tail()
        assert self.agent.tool("status", code=1).stdout
        return s

    def heals(self, dropped=True):
        """By itself, with a ledger that names what polled sources had no room for (`dropped`; None: if there was any), and MQTT all there."""
        def well(s):
            assert s["accepted"] == s["delivered"] + s["held"] + s["dropped"], s
            return s["fault"] == "" and dropped in (None, s["dropped"] > 0) and not any(d["paused"] for d in s["drivers"])

        self.agent.wait("it to go on by itself", well, 60)
        acked = self.steady.finish()
        self.settle(acked)
        return acked

    def settle(self, acked):
        """Stopped when all that MQTT acknowledged was delivered: what the broker still holds is not the agent's yet."""
        wanted = {float(v) for v in acked}

        def is_there():
            assert self.agent.answer()
            return wanted <= {r.data["value"] for r in self.room.samples() if r.data["tag"] == "temp"}

        wait.until("all that MQTT acknowledged to be delivered", 60, is_there, every=0.5, detail=self.agent.log_tail)
        self.agent.stop()

    def account(self, acked, twice=False):
        """Every seq is in Kafka, in the file or in the ledger and in one only; every acknowledged value is among them."""
        unique, again = records.by_id(self.room.samples())
        assert twice or again == 0, f"{again} records came twice though every watermark could be written"
        rows = [r.data for r in unique.values()] + self.agent.listing("spool", "export")
        seqs = [r["seq"] for r in rows]
        ledger = self.agent.listing("spool", "dropped")
        gone = [q for d in ledger if d["lane"] == "samples" for q in range(d["first_seq"], d["last_seq"] + 1)]
        assert sorted(seqs + gone) == list(range(1, len(seqs) + len(gone) + 1)), "a seq is missing, or in two places"
        there = {r["value"] for r in rows if r["tag"] == "temp"}
        lost = [v for v in acked if float(v) not in there]
        assert not lost, f"{len(lost)} of {len(acked)} acknowledged readings are lost: {lost[:10]}"
        self.agent.tool("spool", "verify")
        return {d["reason"] for d in ledger if d["lane"] == "samples"}


def events(room, kind):
    return [e.data.get("state") for e in room.events() if e.data["kind"] == kind]


@pytest.mark.parametrize("rule,words", [
    ("eio fdatasync", "Input/output error"), ("eio pwrite64", "Input/output error"), ("enospc pwrite64", "No space left"),
    ("rofs pwrite64", "Read-only file system"), ("eio fdatasync pwrite64 ftruncate64 fsync", "Input/output error")])
def test_a_failing_disk(room, tmp_path, rule, words):
    bad = BadDisk(tmp_path, tmp_path / "rules")
    plant = Plant(room, tmp_path, bad.env())
    bad.say(rule)
    plant.ill(words)
    bad.say("")
    assert plant.account(plant.heals()) == {"memory_full"}
    assert events(room, "spool_fault") == ["failing", "normal"]


def test_a_failing_truncate_holds_up_nothing(room, tmp_path):
    """SQLite cuts files only when it tidies up."""
    bad = BadDisk(tmp_path, tmp_path / "rules")
    plant = Plant(room, tmp_path, bad.env())
    bad.say("eio ftruncate64")
    before = plant.agent.status()["delivered"]
    plant.agent.wait("readings to go on", lambda s: s["delivered"] > before + 500 and s["health"] == "ok")
    bad.say("")
    plant.account(plant.heals(dropped=None))


def test_a_disk_that_the_kernel_remounts_read_only(room, ext4):
    """What ext4 does on an error of its own. Only fsck heals that, so it goes on with the next start."""
    plant = Plant(room, ext4.folder)
    ext4.fail()
    plant.ill("Read-only file system")
    assert plant.agent.process.end(signal.SIGTERM, 15) == 1
    refused(plant.agent, plant.agent.spool, "Read-only file system", "mount it for writing")
    ext4.repair()
    plant.agent.start()
    assert plant.account(plant.heals(dropped=None), twice=True) <= {"memory_full"}


def test_kill9_on_a_failing_disk_loses_nothing_acknowledged(room, tmp_path):
    bad = BadDisk(tmp_path, tmp_path / "rules")
    plant = Plant(room, tmp_path, bad.env())
    bad.say("eio fdatasync")
    plant.ill("Input/output error")
    plant.agent.kill()
    bad.say("")
    plant.agent.start()
    plant.settle(plant.steady.finish())
    plant.agent.tool("spool", "verify")


def test_sigterm_on_a_failing_disk_ends_in_time_and_says_so(room, tmp_path):
    bad = BadDisk(tmp_path, tmp_path / "rules")
    plant = Plant(room, tmp_path, bad.env())
    bad.say("eio fdatasync")
    plant.ill("Input/output error")
    assert plant.agent.process.end(signal.SIGTERM, 15) == 1
    assert "could not be committed" in plant.agent.log() and plant.agent.spool in plant.agent.log()
    bad.say("")
    plant.agent.start()
    plant.settle(plant.steady.finish())
    plant.agent.tool("spool", "verify")


# ---- a slow disk ----

def test_the_loop_is_not_held_up_by_a_sync_that_does_not_end(room, tmp_path):
    """`hold`: no fdatasync ends before the test says so; whatever answers meanwhile does not wait for the disk."""
    bad = BadDisk(tmp_path, tmp_path / "rules")
    plant = Plant(room, tmp_path, bad.env())
    bad.say("hold fdatasync fsync")
    frozen = plant.agent.status()["accepted"]
    plant.agent.wait("polled readings to find no room", lambda s: s["refused"] > 0)
    for _ in range(20):
        s = plant.agent.answer()
        assert s and s["accepted"] == s["delivered"] + s["held"] + s["dropped"], s
    assert s["accepted"] <= frozen + 400, "a commit ended that could not"
    assert plant.agent.listing("spool", "tail"), "the file can be read meanwhile"
    bad.say("")
    plant.account(plant.heals())


def test_a_sync_of_3_seconds(room, tmp_path):
    bad = BadDisk(tmp_path, tmp_path / "rules")
    plant = Plant(room, tmp_path, bad.env(), batch_rows=2000)
    bad.say("slow 3000 fdatasync fsync")
    before = plant.agent.status()["delivered"]
    s = plant.agent.wait("readings to go on", lambda s: s["delivered"] > before + 2000, 60)
    assert (s["fault"], s["dropped"]) == ("", 0) and s["health"] != "failed", s
    assert {c["name"] for c in s["conditions"] if c["severity"] != "notice"} <= {"disk_slow"}, s["conditions"]
    assert plant.agent.process.end(signal.SIGTERM, 15) == 0, plant.agent.log_tail()
    assert "everything committed" in plant.agent.log()
    bad.say("")
    plant.agent.start()
    plant.account(plant.heals(dropped=None))


# ---- what is wrong at the start ----

def refused(agent, *words):
    """Ends by itself, with a sentence and without a crash."""
    agent.spawn()
    code = agent.process.child.wait(20)
    assert code == 69, (code, agent.log_tail())
    for word in words:
        assert word in agent.log(), f"{word!r} is not in\n{agent.log_tail()}"


UNPRIVILEGED = ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all"]
OTHER = 12345


def held(room, folder, n=100):
    """A stopped agent whose spool holds n readings."""
    agent = room.agent({"spool": {"path": str(folder / "spool.db")}}, kafka="127.0.0.1:9").start(links=False)
    agent.wait("MQTT", lambda s: s["drivers"][0]["state"] == "up")
    room.publisher().publish((room.topic("p", "temp"), b"%d" % i, i) for i in range(n))
    agent.wait("them to be held", lambda s: s["held"] == n)
    agent.stop()
    return agent


@pytest.mark.parametrize("what", ["", "spool.db", "spool.db-wal", "spool.db-shm", "spool.db.lock"])
def test_permission_denied_is_told_and_heals(room, tmp_path, what):
    """As after somebody looked into the spool as root, or restored it from a backup."""
    folder = tmp_path / "store"
    folder.mkdir()
    agent = held(room, folder)
    path = folder / what
    if not path.exists():
        path.touch()
    os.chown(path, OTHER, OTHER)
    os.chmod(path, 0o755 if path.is_dir() else 0o600)
    if not what:
        os.unlink(folder / "spool.db.lock")
    agent.under = UNPRIVILEGED
    refused(agent, str(path) if what else str(folder), "Permission denied", "the user millraced runs as")
    os.chown(path, 0, 0)
    agent.start(links=False)
    assert agent.status()["held"] == 100
    agent.stop()


def test_a_missing_directory_is_told_and_made(room, tmp_path):
    agent = room.agent({"spool": {"path": str(tmp_path / "nowhere" / "spool.db")}, "control": {"socket": str(tmp_path / "ctl")}})
    refused(agent, str(tmp_path / "nowhere"), "does not exist", "create it")
    (tmp_path / "nowhere").mkdir()
    agent.start()


def test_a_second_daemon_is_refused_and_harms_nothing(room, tmp_path):
    first = room.agent({"control": {"socket": str(tmp_path / "first")}}).start()
    steady = Steady(room, RATE)
    second = room.agent({"control": {"socket": str(tmp_path / "second")}, "mqtt": {"client_id": "another"}})
    second.process.log = str(tmp_path / "second.log")
    refused(second, second.spool, f"in use by process {first.process.child.pid}", "stop it")
    first.write()
    acked = steady.finish()
    first.wait_delivered(len(acked))
    assert sorted(r.data["value"] for r in room.samples()) == sorted(map(float, acked))
