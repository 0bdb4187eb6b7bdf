"""A disk that is slow or fails while the daemon runs: peers/bad_disk.c, preloaded into one agent."""

import os
import re
import subprocess

from . import agent as agents


def preload(name, **env):
    """For Agent.env: one of peers/ beneath the daemon; a sanitizer's library wants to be the first."""
    libraries = subprocess.run(["ldd", agents.program("millraced")], capture_output=True, text=True, check=True).stdout
    first = re.findall(r"=> (\S*lib[at]san\S*)", libraries)
    return {"LD_PRELOAD": " ".join(first + [os.path.join(agents.build_dir(), "tests", "integration", name)]), **env}


class BadDisk:
    """For files below `folder`. say("eio fdatasync") makes it ill, say("") heals it; bad_disk.c has the words."""

    def __init__(self, folder, rules):
        self.folder, self.rules = str(folder), str(rules)
        self.say("")

    def say(self, line):
        with open(self.rules + ".new", "w", encoding="ascii") as f:
            f.write(line + "\n")
        os.rename(self.rules + ".new", self.rules)

    def env(self):
        """For Agent.env."""
        return preload("bad_disk.so", BAD_DISK=self.rules, BAD_DISK_UNDER=self.folder)
