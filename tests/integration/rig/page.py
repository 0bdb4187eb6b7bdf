"""millrace-page beside an agent, and requests to it as any client could make them."""

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess

from . import agent as agents
from . import wait


def program():
    return os.path.join(agents.build_dir(), "agent", "page", "millrace-page")


class Page:
    def __init__(self, agent, listen=None, tls=False):
        self.agent, self.port = agent, wait.free_port()
        self.listen = listen or f"127.0.0.1:{self.port}"
        self.tls = tls
        self.host = f"127.0.0.1:{self.port}"
        self.process = wait.Process("millrace-page", os.path.join(agent.folder, "page.log"))

    def start(self):
        self.process.spawn([program(), "--config", self.agent.config, "--listen", self.listen])
        if not self.listen.startswith("unix:"):
            wait.until("the page", 20, lambda: self.process.must_live() and wait.port_answers(self.port),
                       detail=lambda: wait.tail(self.process.log))
        else:
            wait.until("the page's socket", 20, lambda: self.process.must_live() and os.path.exists(self.listen[5:]))
        return self

    def stop(self):
        if self.process.alive():
            assert self.process.end(signal.SIGTERM, 5) == 0

    def user(self, name, role, password):
        done = subprocess.run([program(), "--config", self.agent.config, "user", "add", name, "--role", role], input=password + "\n",
                              capture_output=True, text=True, timeout=20, check=False)
        assert done.returncode == 0, done.stderr
        return self

    def connection(self, seconds=20):
        if self.listen.startswith("unix:"):
            c = http.client.HTTPConnection("localhost", timeout=seconds)
            c.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            c.sock.connect(self.listen[5:])
            return c
        if self.tls:
            return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=seconds, context=ssl._create_unverified_context())
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds)

    def ask(self, path, body=None, method=None, headers=None):
        """(status, headers, what came: JSON where it is)."""
        c = self.connection()
        try:
            given = {"Content-Type": "application/json"} if body is not None else {}
            c.request(method or ("GET" if body is None else "POST"), path, body=json.dumps(body) if isinstance(body, dict) else body,
                      headers={**given, **(headers or {})})
            r = c.getresponse()
            data = r.read()
            return r.status, r.headers, json.loads(data) if "json" in r.headers.get("Content-Type", "") else data
        finally:
            c.close()

    def get(self, path, headers=None, code=200):
        status, _, data = self.ask(path, headers=headers)
        assert status == code, f"{path}: {status} {data!r}\n{wait.tail(self.process.log)}"
        return data

    def log_in(self, user, password):
        """Headers of a session that may do what the user may."""
        status, headers, data = self.ask("/api/login", {"user": user, "password": password})
        assert status == 200, data
        return {"Cookie": headers["Set-Cookie"].split(";")[0], "X-CSRF-Token": data["csrf"]}

    def frames(self, n, seconds=20, headers=None):
        """The first n events of the stream: [(event, data)]."""
        c = self.connection(seconds)
        c.request("GET", "/api/live", headers=headers or {})
        r = c.getresponse()
        assert r.status == 200 and r.headers["Content-Type"] == "text/event-stream"
        found = []
        while len(found) < n:
            event = r.readline().decode().removeprefix("event: ").strip()
            found.append((event, json.loads(r.readline().decode().removeprefix("data: "))))
            r.readline()
        c.close()
        return found
