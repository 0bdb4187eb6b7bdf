"""What can be done to the files of a spool behind a daemon's back, at random; see test_file_under_us.py.

All paths are looked up as the daemon sees them: where mounting is allowed it has a mount namespace of its own, kept by a process
that sleeps, so that a mount outlives the daemon.
"""

import os
import shutil
import subprocess
import sys

from . import wait

MAIN, BESIDE = ("", "-wal", "-shm"), (".epoch", ".lock")


class Room:
    """The folder of one spool, `folder`/spool, and a folder for what was taken out of it."""

    def __init__(self, folder):
        self.folder = os.path.join(folder, "spool")
        self.spool = os.path.join(self.folder, "spool.db")
        self.elsewhere = os.path.join(folder, "elsewhere")
        self.n, self.root, self.under, self.keeper = 0, "", [], None
        self.covers = []  # (what lies beneath, what is mounted on it), the last one on top
        os.makedirs(self.folder)
        os.makedirs(self.elsewhere)
        if os.getuid() == 0:
            self.keep_namespace(folder)

    def keep_namespace(self, folder):
        keeper = wait.Process("a mount namespace", os.path.join(folder, "keeper.log"))
        keeper.spawn(["unshare", "-m", "--propagation", "private", "sleep", "1000000"])
        mine, its = os.readlink("/proc/self/ns/mnt"), f"/proc/{keeper.child.pid}/ns/mnt"
        wait.until("the mount namespace", 10, lambda: keeper.alive() and os.readlink(its) != mine or not keeper.alive(), every=0.01)
        if keeper.alive():  # else mounting is not allowed here
            self.keeper, self.root = keeper, f"/proc/{keeper.child.pid}/root"
            self.under = ["nsenter", "-m", "-r", "-w", "-t", str(keeper.child.pid), "--"]  # in a chroot, its root as well

    def close(self):
        if self.keeper:
            self.keeper.end(9, 10)

    def at(self, suffix, folder=None):
        return self.root + (self.spool if folder is None else os.path.join(folder, "spool.db")) + suffix

    def has(self, suffix):
        return os.path.exists(self.at(suffix))

    def away(self):
        """A new folder for what is taken."""
        self.n += 1
        made = os.path.join(self.elsewhere, str(self.n))
        os.makedirs(made)
        return made

    def inside(self, *args):
        """A command in the daemon's namespace; FileNotFoundError when there is nothing to mount, or to mount on."""
        done = subprocess.run([*self.under, *args], capture_output=True, text=True, timeout=20, check=False)
        if done.returncode:
            raise FileNotFoundError(done.stderr)

    # ---- what can be done; each returns what undoes it, or None ----

    def remove(self, names):
        for s in names:
            if self.has(s):
                os.unlink(self.at(s))

    def move(self, names):
        to, moved = self.away(), [s for s in names if self.has(s)]
        for s in moved:
            os.rename(self.at(s), self.at(s, to))

        def back():
            for s in moved:
                os.rename(self.at(s, to), self.at(s))
        return back

    def move_folder(self):
        to = self.away()
        os.rename(self.root + self.folder, self.root + os.path.join(to, "spool"))

        def back():
            if os.path.exists(self.root + self.folder):
                shutil.rmtree(self.root + self.folder)
            os.rename(self.root + os.path.join(to, "spool"), self.root + self.folder)
        return back

    def copy(self):
        """A backup, made as it is: file by file."""
        to = self.away()
        for s in MAIN + BESIDE:
            if self.has(s):
                shutil.copy(self.at(s), self.at(s, to))
        return to

    def restore(self, names, source, in_place):
        for s in names:
            if not os.path.exists(self.at(s, source)):
                continue
            if in_place:
                shutil.copyfile(self.at(s, source), self.at(s))
            else:
                shutil.copy(self.at(s, source), self.at(s) + ".put")
                os.rename(self.at(s) + ".put", self.at(s))

    def truncate(self, suffix, part):
        if self.has(suffix):
            os.truncate(self.at(suffix), int(os.path.getsize(self.at(suffix)) * part))

    def noise(self, suffix, part, chance):
        if not self.has(suffix):
            return
        with open(self.at(suffix), "r+b") as f:
            f.seek(int(os.path.getsize(self.at(suffix)) * part))
            f.write(chance.randbytes(chance.choice((1, 100, 5000, 40000))))

    def cover(self, path, source):
        """With an empty folder, or with what `source` names; it stays until uncover()."""
        if source:
            self.inside("mount", "--bind", source, path)
        else:
            self.inside("mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", path)
        self.covers.append((path, source))
        return self.uncover

    def uncover(self):
        if not self.covers:
            raise FileNotFoundError("nothing is mounted")
        path, _ = self.covers.pop()
        self.inside("umount", "-l", path)

    def shell_behind(self, *sql, hold_s=0.0):
        """Somebody with a sqlite3 shell, who keeps it open for that long: a process that goes on by itself."""
        program = ("import sqlite3, sys, time\nc = sqlite3.connect(sys.argv[1], timeout=5, isolation_level=None)\n"
                   "for sql in sys.argv[3:]: c.execute(sql).fetchall()\ntime.sleep(float(sys.argv[2]))\nc.close()")
        return subprocess.Popen([*self.under, sys.executable, "-c", program, self.spool, str(hold_s), *sql],
                                stderr=subprocess.PIPE, text=True, preexec_fn=wait.die_with_parent)

    def shell(self, *sql, hold_s=0.0):
        """Until it is closed; returns what it complains of."""
        return self.shell_behind(*sql, hold_s=hold_s).communicate(timeout=30)[1].strip().rpartition("\n")[2]

    def clean(self, keep):
        """Bounded room: what was taken long ago goes, and what a rescue set aside. Returns how many of those there were."""
        used, n = set(keep) | {os.path.dirname(s) for _, s in self.covers if s} | {s for _, s in self.covers}, 0
        for name in os.listdir(self.elsewhere):
            path = os.path.join(self.elsewhere, name)
            if path not in used and int(name) < self.n - 20:
                shutil.rmtree(path, ignore_errors=True)
        folder = self.root + self.folder
        for name in os.listdir(folder) if os.path.isdir(folder) else ():
            if ".corrupt-" in name:
                n += name.endswith("Z")
                os.unlink(os.path.join(folder, name))
        return n
