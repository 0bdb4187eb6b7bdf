"""A terminal that tmux plays: what is on its screen, and keys for the program in it."""

import subprocess

from . import wait


class Terminal:
    """A tmux server of its own, with one window of 80x24."""

    def __init__(self, folder, *argv, env=()):
        self.tmux = ["tmux", "-f", "/dev/null", "-S", str(folder / "tmux.sock")]
        self.screen = []
        command = " ".join(["env", *env, *map(str, argv)])
        subprocess.run([*self.tmux, "new-session", "-d", "-x", "80", "-y", "24", f"{command}; echo ended with $?; sleep 60"], check=True, timeout=20)

    def capture(self):
        text = subprocess.run([*self.tmux, "capture-pane", "-p"], check=True, timeout=20, capture_output=True, text=True).stdout
        self.screen = text.split("\n")[:24]
        return self.screen

    def keys(self, *names):
        subprocess.run([*self.tmux, "send-keys", *names], check=True, timeout=20)

    def until(self, what, true_of, seconds=20):
        wait.until(what, seconds, lambda: true_of(self.capture()), every=0.2, detail=lambda: "\n".join(self.screen))
        return self.screen

    def close(self):
        subprocess.run([*self.tmux, "kill-server"], check=False, timeout=20, capture_output=True)
