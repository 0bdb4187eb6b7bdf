"""A machine with the user `millrace` in it: /etc is a copy, /run an empty one, seen by what runs in here alone.

Needs root, which the tests of the package have as well.
"""

import os
import shutil
import subprocess
import tempfile

from . import agent as agents

USER, OTHER, DIALOUT = 64001, 64002, 64003


class House:
    """`folder`: may be passed by everybody, unlike pytest's."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="millrace-house-")
        os.chmod(self.folder, 0o755)
        self.etc = os.path.join(self.folder, "etc")
        shutil.copytree("/etc", self.etc, symlinks=True, ignore_dangling_symlinks=True, ignore=lambda _, names: {"millrace"} & set(names))
        self.name("passwd", f"millrace:x:{USER}:{USER}::/nonexistent:/usr/sbin/nologin")
        self.name("group", f"millrace:x:{USER}:", f"dialout:x:{DIALOUT}:")
        os.makedirs(os.path.join(self.etc, "millrace"))
        self.program = shutil.copy(agents.program("millrace"), self.folder)

    def name(self, table, *lines):
        path = os.path.join(self.etc, table)
        names = {line.split(":")[0] for line in lines}
        with open(path, encoding="utf-8") as f:
            rest = [line for line in f.read().splitlines() if line.split(":")[0] not in names]
        with open(path, "w", encoding="utf-8") as f:
            f.write("\n".join([*rest, *lines]) + "\n")

    def close(self):
        shutil.rmtree(self.folder)

    def path(self, name):
        return os.path.join(self.folder, name)

    def file(self, name, text="x\n", group=0, mode=0o600):
        with open(self.path(name), "w", encoding="utf-8") as f:
            f.write(text)
        os.chown(self.path(name), 0, group)
        os.chmod(self.path(name), mode)
        return self.path(name)

    def millrace(self, *args, uid=0, systemd=False, seconds=60):
        """`millrace args…` in there; the finished process."""
        prepare = ["mount --bind \"$ETC\" /etc", "mount -t tmpfs tmpfs /run", *(["mkdir -p /run/systemd/system"] if systemd else [])]
        become = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"] if uid else []
        return subprocess.run(["unshare", "-m", "sh", "-ec", "; ".join([*prepare, "exec \"$@\""]), "sh", *become, self.program, *map(str, args)],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds, check=False,
                              env={**os.environ, "ETC": self.etc})
