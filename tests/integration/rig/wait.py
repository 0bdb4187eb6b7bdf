"""Bounded waiting, free ports, processes that end: every wait here has an end and says what it waited for."""

import ctypes
import os
import signal
import socket
import subprocess
import time


PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


def die_with_parent():
    """In the child: no broker outlives a test run that was killed."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Gone(AssertionError):
    """A process that should run has ended."""


def until(what, seconds, probe, every=0.05, detail=None):
    """Calls probe() until it returns something true, and returns that. Fails with `what` and detail() otherwise."""
    end = time.monotonic() + seconds
    while True:
        got = probe()
        if got:
            return got
        if time.monotonic() > end:
            text = detail() if detail else ""
            raise AssertionError(f"waited {seconds} s in vain for: {what}\n{text}")
        time.sleep(every)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def port_answers(port):
    with socket.socket() as s:
        s.settimeout(0.5)
        return s.connect_ex(("127.0.0.1", port)) == 0


def tail(path, lines=40):
    try:
        with open(path, "rb") as f:
            f.seek(0, os.SEEK_END)
            f.seek(max(0, f.tell() - 16384))
            text = f.read().decode("utf-8", "replace")
    except OSError as e:
        return f"({e})"
    return f"--- the end of {path}\n" + "\n".join(text.splitlines()[-lines:])


class Process:
    """A child with its output in a file. `name` is for messages."""

    def __init__(self, name, log):
        self.name = name
        self.log = str(log)
        self.child = None

    def spawn(self, argv, env=None):
        assert not self.alive(), f"{self.name} runs already"
        with open(self.log, "ab") as out:
            self.child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env,
                                          start_new_session=True, preexec_fn=die_with_parent)

    def alive(self):
        return self.child is not None and self.child.poll() is None

    def must_live(self):
        if not self.alive():
            code = self.child.returncode if self.child else None
            raise Gone(f"{self.name} ended by itself with {code}\n{tail(self.log)}")
        return True

    def signal(self, number):
        self.must_live()
        self.child.send_signal(number)

    def end(self, number, seconds):
        """Sends the signal, waits, returns the exit code; a process that does not end is a failure."""
        if not self.alive():
            return self.child.returncode if self.child else 0
        self.child.send_signal(number)
        try:
            return self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            raise AssertionError(f"{self.name} did not end within {seconds} s of {signal.Signals(number).name}\n"
                                 f"{tail(self.log)}") from None
