"""The spool's files are taken, put back, cut and covered at random under the running daemon, with kill -9 in between.

At every start: each message that was acknowledged is in Kafka, or no more are missing than the log names as lost; an id has one
content for ever; the daemon starts without an operator; what is taken away is told as `failed`.

The long form: MILLRACE_ACTS=1000 MILLRACE_SEED=7 python3 -m pytest -s tests/integration/test_file_under_us.py -k never_silent
(MILLRACE_SECONDS ends it earlier).
"""

import collections
import contextlib
import os
import random
import re
import shutil
import sqlite3
import tempfile
import time

import pytest

from rig import wait
from rig.agent import Agent
from rig.mock import MockKafka, ask
from rig.odd_broker import OddBroker
from rig.under import BESIDE, MAIN, Room

NOT_OPEN = "is not the open file any more"
LOST = (r"carried over, (\d+) lost", r"is gone, with (\d+) readings")
WITHOUT_MARK = "nothing beside it says how far it was"
FIRST_HERE = "(the first one here)"
HELD_IN_IT = r"is not the open file any more \((\d+) readings"


class Rig:
    def __init__(self, folder, seed):
        self.chance = random.Random(seed)
        self.room = Room(folder)
        self.kafka = MockKafka()
        self.broker = OddBroker(lambda v: f"g/l1/p{v % 5}/t", rate=400)
        self.control = os.path.join(folder, "control")
        self.agent = Agent(folder, self.kafka.brokers, self.broker.url, "g", {
            "control": {"socket": self.control},
            "spool": {"path": self.room.spool, "commit_interval": "50ms", "keep_delivered": "0s"}})
        self.agent.under = self.room.under
        open(self.agent.process.log, "w", encoding="utf-8").close()
        self.count, self.history = collections.Counter(), []
        self.slowest = 0
        self.log_at, self.excused, self.backups = 0, set(), []
        self.begin_life()

    def begin_life(self):
        self.touched = set()  # names that were changed since the last look
        self.whole = False    # all that knew was taken at once
        self.told_failed = False
        self.cut_shm = False

    # ---- the daemon ----

    def note(self, text):
        self.history.append(text)

    def died(self):
        """It ended by itself: only a damaged file may do that, or a -shm that was cut under its feet."""
        code = self.agent.process.child.returncode
        log = self.agent.log()[-3000:]
        self.note(f"ended by itself with {code}")
        self.count["ended by itself"] += 1
        assert (code == -6 and "beginning anew to rescue it" in log) or (code == -7 and self.cut_shm), (code, log)

    def spawn(self):
        for _ in range(5):
            at = len(self.agent.log())
            self.agent.spawn()
            wait.until("the daemon to answer, or to end", 60, lambda: ask(self.control) or not self.agent.process.alive(), every=0.01)
            if self.agent.process.alive():
                return
            code, log = self.agent.process.child.returncode, self.agent.log()[at:]
            self.note(f"did not start: {code}: {log[-200:]}")
            if code == 69 and "its directory does not exist" in log:  # a documented refusal
                self.count["refused: no directory"] += 1
                os.makedirs(self.room.root + self.room.folder)
            elif code == 69 and "a file system is mounted on it" in log:
                self.count["refused: something is mounted on the file"] += 1
                self.room.uncover()
            elif code == 69 and "move" in log and "away" in log and set(BESIDE) <= self.touched:
                self.count["refused: nothing says that it was ours"] += 1
                self.room.move(MAIN)
                self.whole = True
            else:
                self.died()
        raise AssertionError("it does not start: " + self.agent.log()[-3000:])

    def status(self):
        return ask(self.control) if self.agent.process.alive() else None

    def until(self, what, seconds, true_of):
        """Of a daemon that may end over a damaged file, and is started again; twice as long, for machines that do much else."""
        last = {}

        def probe():
            if not self.agent.process.alive():
                self.died()
                self.spawn()
            s = self.status()
            last.update(s or {})
            return s and true_of(s) and s

        return wait.until(what, 2 * seconds, probe, every=0.02, detail=lambda: f"{last}\n{self.agent.log()[-3000:]}")

    def end(self):
        if not self.agent.process.alive():
            self.died()
        elif self.chance.random() < 0.6:
            self.note("kill -9")
            self.agent.process.end(9, 10)
        else:
            self.note("SIGTERM")
            code = self.agent.process.end(15, 60)
            assert code in (0, 1) or self.touched, code
        self.count["ends"] += 1

    # ---- the books ----

    def named(self):
        """What the log has named as lost since the last look; None: it says that nobody can know."""
        log = self.agent.log()
        new, self.log_at = log[self.log_at:], len(log)
        if WITHOUT_MARK in new:
            self.count["told without a number"] += 1
            return None
        if self.whole and not self.told_failed and FIRST_HERE in new:
            self.count["nothing was left that knew"] += 1
            return None
        n = sum(int(m) for pattern in LOST for m in re.findall(pattern, new))
        if self.whole and not self.told_failed:
            self.count["taken whole, and killed before it was seen"] += 1
            return None
        return n + (sum(int(m) for m in re.findall(HELD_IN_IT, new)) if self.whole else 0)

    def look(self):
        self.broker.pause()
        self.kafka.thaw()
        self.until("all to be acknowledged", 60, lambda s: self.broker.idle() and s["drivers"][0]["state"] == "up")
        self.until("none to be held", 60, lambda s: s["held"] == 0 and s["events"]["held"] == 0 and s["health"] == "ok")
        self.kafka.read_all()
        missing = {v for v in self.broker.taken() if v not in self.kafka.ids_of} - self.excused
        said = self.agent.log()[self.log_at:]
        named = self.named()
        self.note(f"{len(missing)} missing, {named} named")
        assert named is None or len(missing) <= named, (f"{len(missing)} are missing and {named} are named: "
                                                         f"{sorted(missing)[:20]}\n{said}")
        self.count["missing"] += len(missing)
        self.count["named"] += named or 0
        self.excused |= missing
        self.compare_file()
        self.broker.pause(False)
        self.begin_life()

    def compare_file(self):
        """What the file holds has the ids that Kafka knows."""
        copy = self.room.copy()
        file = sqlite3.connect(os.path.join(copy, "spool.db"), timeout=10)
        epoch, = file.execute("SELECT value FROM meta WHERE key='epoch'").fetchone()
        rows = []
        with contextlib.suppress(sqlite3.DatabaseError):  # damage that nobody has read yet
            rows = file.execute("SELECT seq, value FROM reading ORDER BY seq DESC LIMIT 3000").fetchall()
        file.close()
        shutil.rmtree(copy)
        for seq, value in rows:
            known = self.kafka.by_id.get((False, f"g:{epoch}:{seq}"))
            assert known is None or known.data["value"] == value, (epoch, seq, value, known.value)

    def events(self, kind):
        self.kafka.read_all()
        return [e for e in self.kafka.events if e["kind"] == kind]

    # ---- acts ----

    def some(self, names, least=1):
        return self.chance.sample(names, self.chance.randint(least, len(names)))

    def choose(self, running):
        """(what, expects failed, run)"""
        c, room = self.chance, self.room
        kinds = ["remove", "move", "replace", "restore", "cut", "noise", "beside", "all", "folder", "restore lock", "shell"]
        if running and room.keeper and not room.covers:
            kinds += ["cover folder", "cover file"]
        if room.covers:
            kinds += ["uncover"] * 5
        kind = c.choice(kinds)
        backup = c.choice(self.backups) if self.backups else None
        old_lock = "old lock" in self.touched
        main = self.some(MAIN)
        beside = self.some(BESIDE, 0)
        if kind == "beside":
            names = self.some(BESIDE)
            return f"remove {names}", False, lambda: room.remove(names), names
        if kind == "all":
            return "remove all", True, lambda: room.remove(MAIN + BESIDE), ["whole"]
        if kind == "folder":
            return "move the folder", True, room.move_folder, ["whole"]
        if kind == "shell":
            sql = c.choice((["SELECT count(*) FROM reading"], ["BEGIN", "SELECT count(*) FROM reading"], ["BEGIN IMMEDIATE"],
                            ["PRAGMA wal_checkpoint(TRUNCATE)"], ["PRAGMA integrity_check"]))
            return f"shell {sql[-1]}", None, lambda: self.note(room.shell(*sql, hold_s=c.uniform(0, 0.5))), []
        if kind == "uncover":
            return "uncover", None, room.uncover, ["whole"]
        if kind == "restore lock" and backup and not self.touched:
            return "restore .lock", None, lambda: room.restore([".lock"], backup, c.random() < 0.3), ["old lock"]
        if old_lock:  # file and mark of an earlier time: nobody can tell
            return None
        if kind == "remove":
            return f"remove {main + beside}", True, lambda: room.remove(main + beside), main + beside
        if kind == "move":
            return f"move {main + beside}", True, lambda: room.move(main + beside), main + beside
        if kind == "replace":
            def replace():
                room.restore(main, room.copy(), False)
            return f"replace {main}", True, replace, main
        if kind == "restore" and backup:
            names, in_place = main + self.some((".epoch",), 0), c.random() < 0.3
            gone = self.some(BESIDE, 0) + (["-wal"] if "-wal" not in main and c.random() < 0.5 else [])

            def restore():
                room.restore(names, backup, in_place)
                room.remove(gone)
            return f"restore {names} {'in place' if in_place else ''}, remove {gone}", None if in_place else True, restore, names + gone
        if kind == "cut":
            suffix, part = c.choice(MAIN + BESIDE), c.choice((0, c.random()))
            self.cut_shm = self.cut_shm or suffix == "-shm"
            return f"cut {suffix} to {part:.3f}", None, lambda: room.truncate(suffix, part), [suffix]
        if kind == "noise":
            suffix, part = c.choice(("", "-wal", ".epoch")), c.random()
            return f"noise in {suffix} at {part:.3f}", None, lambda: room.noise(suffix, part, c), [suffix]
        if kind == "cover folder":
            if backup and c.random() < 0.5:
                source = room.away()
                for s in self.some(("", "-wal", "-shm", ".epoch")):
                    with contextlib.suppress(OSError):
                        shutil.copy(room.at(s, backup), room.at(s, source))
            else:
                source = None
            what = f"cover the folder with {'an old one' if source else 'an empty one'}"
            return what, True, lambda: room.cover(room.folder, source), ["whole"]
        if kind == "cover file" and backup:
            return "cover the file", True, lambda: room.cover(room.spool, os.path.join(backup, "spool.db")), [""]
        return None

    def act(self, running):
        """Returns what undoes it."""
        chosen = self.choose(running)
        if not chosen:
            return None
        what, fails, run, names = chosen
        self.note(("" if running else "(down) ") + what)
        self.act_at = len(self.agent.log())
        try:
            back = run()
        except FileNotFoundError as e:
            self.note(f"could not: {e}")
            return None
        except OSError as e:
            if e.errno not in (16, 18):  # of a mount point
                raise
            self.note(f"could not: {e}")
            return None
        self.count["acts"] += 1
        self.count[("running: " if running else "down: ") + what.split(" ")[0]] += 1
        self.touched.update(names)
        self.told_failed = self.told_failed and what != "uncover"
        self.whole = self.whole or "whole" in names or (set(BESIDE) <= self.touched and bool({"", "-wal"} & self.touched))
        if running and fails:
            self.see_failed()
        elif running and fails is None:
            time.sleep(self.chance.uniform(0, 1.5))
        return back

    def see_failed(self):
        if self.chance.random() < 0.25:  # killed before anybody can see it
            return
        at = time.monotonic()
        def begun_anew():
            """It has met damage of an act before, and rescues what it finds at its path now, or makes what is not there."""
            return any(words in self.agent.log()[self.act_at:] for words in ("beginning anew", "spool: new spool"))

        wait.until("the fault to be told", 30, lambda: not self.agent.process.alive() or begun_anew() or (
            (s := self.status()) and s["health"] == "failed"), every=0.01, detail=lambda: self.agent.log()[-3000:])
        if self.agent.process.alive() and not begun_anew():
            took = time.monotonic() - at
            self.slowest = max(self.slowest, took)
            self.count["seen as failed"] += 1
            self.told_failed = True

    def undo(self, back):
        self.note("put back")
        self.told_failed = False
        try:
            back()
        except OSError as e:
            self.note(f"could not: {e}")
            return
        self.count["acts"] += 1
        self.count["running: put back" if self.agent.process.alive() else "down: put back"] += 1

    # ---- a life ----

    def live(self):
        c = self.chance
        self.spawn()
        self.look()
        if c.random() < 0.4:
            self.backups = self.backups[-3:] + [self.room.copy()]
        if c.random() < 0.6:
            self.kafka.freeze()
        time.sleep(c.uniform(0.05, 0.4))
        for _ in range(c.randint(1, 3)):
            if c.random() < 0.2:
                self.broker.pause(c.random() < 0.5)
            back = self.act(True)
            if back and self.agent.process.alive() and c.random() < 0.5:
                self.undo(back)
                back = None
                time.sleep(c.uniform(0, 0.5))
            if not self.agent.process.alive():
                break
        self.end()
        while c.random() < 0.35:
            self.act(False)
        if back and c.random() < 0.5:
            self.undo(back)

    def close(self):
        if self.agent.process.alive():
            self.agent.process.end(9, 10)
        self.broker.over = True
        self.kafka.close()
        self.room.close()
        self.broker.stop()


@pytest.fixture
def rig():
    folder = tempfile.mkdtemp(prefix="millrace-under-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
    made = Rig(folder, os.environ.get("MILLRACE_SEED", "millrace"))
    try:
        yield made
    except BaseException:
        raise
    finally:
        made.close()
        shutil.rmtree(folder, ignore_errors=True)


def test_what_is_done_to_the_files_is_never_silent(rig):
    n, at = int(os.environ.get("MILLRACE_ACTS", "40")), time.monotonic()
    end = at + float(os.environ.get("MILLRACE_SECONDS", "3600"))
    try:
        while rig.count["acts"] < n and time.monotonic() < end:
            rig.live()
            rig.count["set aside"] += rig.room.clean(rig.backups)
        rig.spawn()
        rig.look()
    except BaseException:
        print("\n".join(rig.history[-40:]))
        raise
    twice = sum(1 for ids in list(rig.kafka.ids_of.values()) if len(ids) > 1)
    print(f"{rig.count['acts']} acts, {rig.count['ends']} ends, {len(rig.broker.taken())} acknowledged, {rig.count['missing']} missing, "
          f"{rig.count['named']} named, {twice} under two ids, failed within {rig.slowest:.2f} s, {time.monotonic() - at:.0f} s")
    print("\n".join(f"  {k}: {v}" for k, v in sorted(rig.count.items())))


# ---- by hand ----

def of_fault(text):
    return lambda s: s["health"] == "failed" and text in s["fault"]


def settle(rig):
    """All that was sent is acknowledged and in Kafka; returns the status."""
    rig.broker.pause()
    rig.until("all to be acknowledged", 60, lambda s: rig.broker.idle())
    s = rig.until("none to be held", 60, lambda s: s["held"] == 0)
    rig.kafka.read_all()
    assert {v for v in rig.broker.taken() if v not in rig.kafka.ids_of} <= rig.excused
    rig.broker.pause(False)
    return s


def wait_for(rig, n):
    at = len(rig.broker.taken())
    rig.until("messages to be acknowledged", 30, lambda s: len(rig.broker.taken()) >= at + n)


@pytest.mark.parametrize("what", ("the folder", "the file"))
def test_a_mount_over_the_spool_is_told_and_goes_on_when_it_is_gone(rig, what):
    if not rig.room.keeper:
        pytest.skip("nobody may mount here")
    rig.spawn()
    wait_for(rig, 100)
    epoch, source = settle(rig)["epoch"], os.path.join(rig.room.copy(), "spool.db")
    rig.room.cover(rig.room.folder, None) if what == "the folder" else rig.room.cover(rig.room.spool, source)
    rig.until("the fault to be told", 15, of_fault(NOT_OPEN))
    n = len(rig.broker.taken())
    time.sleep(1)
    assert len(rig.broker.taken()) == n, "acknowledged under a mount"
    rig.room.uncover()
    rig.until("it to go on", 60, lambda s: s["health"] == "ok" and len(rig.broker.taken()) > n)
    assert settle(rig)["epoch"] == epoch
    rig.agent.stop()


def test_a_mount_over_the_spool_at_a_start(rig):
    """What is under it is told as gone, from the mark that the running daemon left on top; without the mount it is there again."""
    if not rig.room.keeper:
        pytest.skip("nobody may mount here")
    rig.kafka.freeze()
    rig.spawn()
    wait_for(rig, 200)
    epoch = rig.status()["epoch"]
    rig.room.cover(rig.room.folder, None)
    rig.until("the fault to be told", 15, of_fault(NOT_OPEN))
    held = rig.status()["held"]
    beneath = set(rig.broker.taken())
    rig.agent.process.end(9, 10)
    rig.spawn()
    wait_for(rig, 200)
    s = rig.status()
    assert s["epoch"] > epoch and len(beneath) <= s["dropped"] <= held, (s, held, len(beneath))
    rig.kafka.thaw()
    rig.until("what is on top to be delivered", 60, lambda s: s["held"] == 0)
    rescue = next(e for e in rig.events("spool_rescue") if e["old_epoch"] == epoch)
    assert rescue["lost"] == s["dropped"] and rescue["stopped"] == "the file was not there any more", rescue
    rig.broker.pause()
    rig.until("all to be acknowledged", 60, lambda s: rig.broker.idle())
    assert rig.agent.process.end(15, 10) == 0
    rig.room.uncover()
    rig.spawn()
    assert settle(rig)["epoch"] == epoch
    assert beneath <= set(rig.kafka.ids_of)
    rig.agent.stop()


def test_a_file_is_written_over_in_place(rig):
    """By an older copy: device and inode are the same, so it is seen by what is in it; nothing is lost without a word."""
    rig.spawn()
    wait_for(rig, 300)
    settle(rig)
    backup = rig.room.copy()
    wait_for(rig, 300)
    rig.room.restore(MAIN[:2], backup, in_place=True)
    wait_for(rig, 1) if rig.agent.process.alive() else None
    rig.agent.process.end(9, 10)
    rig.spawn()
    rig.look()
    rig.agent.process.end(9, 10)


def test_a_shell_beside_us(rig):
    """It may read, for as long as it likes, and write the -wal back; who keeps it locked for writing is told of."""
    rig.spawn()
    wait_for(rig, 100)
    for sql in (["SELECT count(*) FROM reading"], ["PRAGMA wal_checkpoint(TRUNCATE)"], ["PRAGMA integrity_check"]):
        assert rig.room.shell(*sql, hold_s=0.3) == ""
        wait_for(rig, 50)
        assert rig.status()["health"] == "ok"
    epoch = settle(rig)["epoch"]
    rig.room.shell_behind("BEGIN IMMEDIATE", hold_s=5)
    rig.until("the lock to be told", 20, of_fault("another program has it open for writing: end that"))
    rig.until("it to go on", 60, lambda s: s["health"] == "ok")
    assert settle(rig)["epoch"] == epoch
    rig.agent.process.end(9, 10)
    assert rig.room.shell("SELECT count(*) FROM reading") == ""  # the last one to close it: the -wal is gone, and nothing with it
    assert not rig.room.has("-wal")
    rig.spawn()
    assert settle(rig)["epoch"] == epoch
    rig.agent.stop()


def test_a_mark_that_is_gone(rig):
    """Nobody knows how far the file was: what it holds goes on under a new epoch, and an event says so."""
    rig.kafka.freeze()
    rig.spawn()
    wait_for(rig, 100)
    s = rig.status()
    rig.agent.process.end(9, 10)
    os.unlink(rig.room.at(".lock"))
    rig.spawn()
    rig.kafka.thaw()
    now = settle(rig)
    assert now["epoch"] > s["epoch"] and now["dropped"] == 0, now
    (rescue,) = rig.events("spool_rescue")
    assert rescue["lost"] == 0 and rescue["stopped"] == WITHOUT_MARK, rescue
    rig.agent.stop()


def test_a_file_that_is_gone_with_its_mark(rig):
    rig.spawn()
    wait_for(rig, 100)
    epoch = settle(rig)["epoch"]
    rig.agent.process.end(9, 10)
    rig.room.remove((*MAIN, ".lock"))
    rig.spawn()
    assert settle(rig)["epoch"] > epoch
    (rescue,) = rig.events("spool_rescue")
    assert rescue["old_epoch"] == epoch and WITHOUT_MARK in rescue["stopped"], rescue
    rig.agent.stop()


def test_a_mount_over_the_file_at_a_start(rig):
    """Older, and it can't be moved aside: refused with what to do; nothing was touched."""
    if not rig.room.keeper:
        pytest.skip("nobody may mount here")
    rig.spawn()
    wait_for(rig, 100)
    rig.agent.stop()
    source = os.path.join(rig.room.copy(), "spool.db")
    rig.spawn()
    wait_for(rig, 100)
    epoch = settle(rig)["epoch"]
    rig.agent.stop()
    rig.room.cover(rig.room.spool, source)
    rig.agent.spawn()
    assert rig.agent.process.child.wait(20) == 69
    assert "a file system is mounted on it; unmount that" in rig.agent.log()
    rig.room.uncover()
    rig.spawn()
    assert settle(rig)["epoch"] >= epoch
    rig.agent.stop()


def test_a_shm_that_is_cut(rig):
    """The kernel ends the daemon, as any program whose memory was taken away; the next start makes it anew."""
    rig.spawn()
    wait_for(rig, 100)
    epoch = rig.status()["epoch"]
    rig.room.truncate("-shm", 0)
    wait.until("the end", 20, lambda: not rig.agent.process.alive())
    assert rig.agent.process.child.returncode == -7
    rig.spawn()
    assert settle(rig)["epoch"] == epoch
    rig.agent.stop()
