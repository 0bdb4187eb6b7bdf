"""A person at a pseudo terminal: what a program asks, and what is answered."""

import contextlib
import os
import pty
import select
import signal

from . import wait


class Person:
    """`said`: what was shown since the last question that was waited for."""

    def __init__(self, program, *args):
        self.said = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            wait.die_with_parent()
            for ends in (signal.SIGHUP, signal.SIGINT):  # nohup and shells that put us behind ignore them
                signal.signal(ends, signal.SIG_DFL)
            os.environ["NO_COLOR"] = "1"
            os.execvp(program, [program, *map(str, args)])

    def _read(self):
        if select.select([self.fd], [], [], 0.05)[0]:
            with contextlib.suppress(OSError):
                self.said += os.read(self.fd, 65536).decode("utf-8", "replace").replace("\r\n", "\n")

    def asked(self, question, seconds=60):
        """Waits for the question; what was said until then."""

        def look():
            self._read()
            return question in self.said

        wait.until(f"the question {question!r}", seconds, look, every=0, detail=lambda: self.said[-3000:])
        before, self.said = self.said.split(question, 1)
        return before

    def answers(self, text):
        os.write(self.fd, text.encode() + b"\n")

    def dialogue(self, *lines):
        for question, answer in lines:
            self.asked(question)
            self.answers(answer)

    def ends(self, seconds=120):
        state = {}

        def look():
            self._read()
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                state["code"] = os.waitstatus_to_exitcode(status)
            return pid

        wait.until("the end of setup", seconds, look, every=0, detail=lambda: self.said[-3000:])
        self._read()
        os.close(self.fd)
        return state["code"]
