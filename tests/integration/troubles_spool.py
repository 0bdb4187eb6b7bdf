"""What can be wrong with the spool, its disk, and the host: Kafka is there in each."""

import os
import subprocess

from rig.bad_disk import BadDisk, preload
from rig.trouble import trouble
from test_disk_full import fill_disk
from test_pause import fill
from test_reload import reload
from test_spool_faults import Ext4

SMALL = {"max_size": "4MiB"}
SLOWLY = {"rate_limit": "1KiB/s"}
SIM = [{"name": "floor", "source": "m", "count": 5, "period": "50ms", "tags": [{"tag": "v", "wave": "noise", "min": 0, "max": 1}]}]


def full(place, when_full):
    """Kafka is slower than the plant, and the spool is full for it."""
    agent = place.agent({"spool": {**SMALL, "when_full": when_full}, "kafka": SLOWLY}).start()
    publisher = place.room.publisher()
    place.begins()
    text = b'"%s"' % (b"x" * 2000)
    publisher.publish((place.room.topic(f"p{i % 5}", "text"), text, i) for i in range(2500))
    return agent


def room_again(agent):
    del agent.conf["kafka"]["rate_limit"]
    reload(agent)


@trouble("the spool is full (`drop_oldest`)", "spool_full", "spool")
def spool_full(place):
    agent = full(place, "drop_oldest")
    yield agent
    room_again(agent)


@trouble("the spool is full (`block`)", "spool_full", "spool")
def spool_full_blocks(place):
    agent = full(place, "block")
    yield agent
    room_again(agent)


def mounted(place):
    folder = place.folder / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder], check=True)
    place.end(lambda: subprocess.run(["umount", "-l", folder], check=False))
    place.call(folder, "/var/lib/millrace")
    return folder


def with_spool(place, folder, settings=None, env=None, **spool):
    agent = place.agent({"spool": {"path": str(folder / "spool.db"), "batch_rows": 100, "commit_interval": "100ms", **spool},
                         **(settings or {})})
    agent.spool, agent.env = str(folder / "spool.db"), env or {}
    agent.start()
    place.reading()
    agent.wait("a reading to be delivered", lambda s: s["delivered"] > 0)
    return agent


@trouble("the disk is full", "spool_failing", "spool")
def disk_full(place):
    folder = mounted(place)
    agent = with_spool(place, folder, max_size="4MiB", batch_rows=1000)
    place.begins()
    fill_disk(folder, 0)
    fill(place.room, agent, 2000)
    yield agent
    os.unlink(folder / "ballast")


def ill(place, settings=None, **spool):
    folder = place.folder / "spool"
    folder.mkdir()
    disk = BadDisk(folder, place.folder / "disk.rules")
    place.end(lambda: disk.say(""))
    place.call(folder, "/var/lib/millrace")
    return disk, with_spool(place, folder, settings, disk.env(), **spool)


@trouble("the disk is slow", "disk_slow", "spool")
def disk_slow(place):
    disk, agent = ill(place, {"sim": SIM})
    place.begins()
    disk.say("slow 2500 fdatasync")
    yield agent
    disk.say("")


@trouble("the disk fails", "spool_failing", "spool")
def disk_fails(place):
    disk, agent = ill(place, {"sim": SIM})
    place.begins()
    disk.say("eio fdatasync pwrite64")
    yield agent
    disk.say("")


@trouble("the disk is read-only", "spool_failing", "spool")
def disk_read_only(place):
    disk = Ext4(place.folder)
    place.end(lambda: subprocess.run(["umount", "-l", disk.folder], check=False))
    place.call(disk.folder, "/var/lib/millrace")
    agent = with_spool(place, disk.folder, {"sim": SIM}, max_size="8MiB")
    place.begins()
    disk.fail()
    yield agent  # the kernel refuses to mount it for writing before fsck; a disk that is writable again: test_spool_faults.py
    agent.kill()
    disk.repair()
    agent.start()


@trouble("the spool's file is taken away", "spool_failing", "spool")
def file_taken(place):
    folder = place.folder / "spool"
    folder.mkdir()
    place.call(folder, "/var/lib/millrace")
    agent = with_spool(place, folder, {"sim": SIM})
    place.begins()
    os.rename(folder / "spool.db", place.folder / "elsewhere")
    yield agent
    os.rename(place.folder / "elsewhere", folder / "spool.db")


@trouble("memory is full of what the disk does not take", "readings_dropped", "spool")
def memory_full(place):
    """Readings come faster than a slow disk takes them."""
    disk, agent = ill(place, {"sim": [{**SIM[0], "count": 100}]}, batch_rows=1000)
    place.begins()
    disk.say("slow 900 fdatasync")
    yield agent
    disk.say("")


# ---- the host ----

@trouble("nobody sets the clock", "clock_unsynced", "clock")
def clock_unsynced(place):
    agent = place.agent()
    unset = place.folder / "unset"
    unset.touch()
    agent.env = preload("unset_clock.so", UNSET_CLOCK=str(unset))
    place.begins()
    agent.start()
    yield agent
    unset.unlink()


@trouble("more is written than the flash may take", "flash_over", "flash")
def flash_over(place):
    agent = place.agent({"sim": SIM, "flash": {"max_per_day": "1MiB"}, "spool": {"commit_interval": "100ms"}})
    place.begins()
    agent.start()
    yield agent
    del agent.conf["flash"]
    reload(agent)


@trouble("the configuration is broken", "config_refused", "configuration")
def configuration_broken(place):
    agent = place.agent().start()
    good = dict(agent.conf)
    agent.conf["kafka"] = {**good["kafka"], "window_records": "many"}
    place.begins()
    reload(agent, "refused")
    yield agent
    agent.conf = good
    reload(agent)


@trouble("a changed key wants a restart", "restart_needed", "configuration")
def restart_needed(place):
    agent = place.agent().start()
    agent.conf["spool"]["path"] = str(place.folder / "other.db")
    place.begins()
    reload(agent, agent.status()["config"]["state"])
    yield agent
    agent.restart()
