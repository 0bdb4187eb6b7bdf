"""millraced as a child process with a configuration of its own, and `millrace` beside it."""

import json
import os
import re
import signal
import subprocess

from . import wait

PLAIN = re.compile(r"[A-Za-z0-9/_.+~-][A-Za-z0-9/_.+~:= -]*\Z")


def build_dir():
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    return os.path.abspath(os.environ.get("MILLRACE_BUILD", os.path.join(root, "build")))


def program(name):
    path = os.path.join(build_dir(), "agent", name)
    assert os.access(path, os.X_OK), f"{path} is not there: build first, or set MILLRACE_BUILD"
    return path


def yaml(value, indent=0):
    """Block YAML of dicts, lists, texts, numbers and booleans, as a person would write it."""
    pad = "  " * indent
    if isinstance(value, dict):
        lines = []
        for k, v in value.items():
            nested = isinstance(v, (dict, list)) and v
            lines.append(f"{pad}{k}:\n{yaml(v, indent + 1)}" if nested else f"{pad}{k}: {yaml(v)}")
        return "\n".join(lines)
    if isinstance(value, list):
        lines = []
        for v in value:
            text = yaml(v, indent + 1)
            lines.append(f"{pad}- {text.lstrip()}")
        return "\n".join(lines) or "[]"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    return text if PLAIN.match(text) and ": " not in text else json.dumps(text)


def tool(*args, code=0, seconds=20, stdin=None):
    """Runs `millrace args…`; `code` is what it must exit with (None: anything). Returns the finished process."""
    done = subprocess.run([program("millrace"), *map(str, args)], stdin=subprocess.DEVNULL if stdin is None else None,
                          input=stdin, capture_output=True, text=True, timeout=seconds, check=False)
    assert code is None or done.returncode == code, (
        f"millrace {' '.join(map(str, args))}: exit {done.returncode}, expected {code}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done


class Agent:
    """`settings` is merged into the smallest useful configuration, section by section.

    Topics begin with the gateway's name: sessions of earlier tests stay in the broker and must not gather what others send.
    """

    def __init__(self, folder, kafka, mqtt_url, gateway, settings=None):
        self.folder = str(folder)
        self.gateway = gateway
        self.spool = os.path.join(self.folder, "spool.db")
        self.config = os.path.join(self.folder, "millrace.yaml")
        self.process = wait.Process("millraced", os.path.join(self.folder, "millraced.log"))
        self.env, self.under = {}, []  # for spawn: what it finds in its environment, the command it runs under
        self.conf = {
            "gateway": gateway,
            "spool": {"path": self.spool},
            "kafka": {"brokers": [kafka]},
            "mqtt": [{
                "name": "plant",
                "url": mqtt_url,
                "subscriptions": [
                    {"topic": gateway + "/{line}/{source}/{tag}", "payload": "number"},
                    {"topic": "state-" + gateway + "/{source}", "payload": "json", "time": "/ts", "time_format": "unix_ms",
                     "readings": [{"tag": "temp", "value": "/temp", "unit": "degC"},
                                  {"tag": "vib", "value": "/vibration/rms", "unit": "mm/s"}]},
                ],
            }],
        }
        for section, value in (settings or {}).items():
            if section == "mqtt":
                self.conf["mqtt"][0].update(value)
            elif isinstance(value, dict):
                self.conf.setdefault(section, {}).update(value)
            else:
                self.conf[section] = value
        self.write()

    def write(self):
        with open(self.config, "w", encoding="utf-8") as f:
            f.write(yaml(self.conf) + "\n")

    # ---- the process ----

    def spawn(self):
        # Stalls and crashes are told in the log that every failure message quotes.
        env = {**os.environ, "ASAN_OPTIONS": "abort_on_error=1:detect_leaks=0", "UBSAN_OPTIONS": "halt_on_error=1:abort_on_error=1:print_stacktrace=1", **self.env}
        env.pop("JOURNAL_STREAM", None)
        self.process.spawn([*self.under, program("millraced"), "--config", self.config], env=env)
        return self

    def start(self, seconds=20, links=True, kafka=True):
        """Starts it and waits until it answers; with `links` until MQTT and Kafka are connected as well, without
        `kafka` MQTT only (a topic that is refused is told before anything is sent, and the uplink is not up then)."""
        self.spawn()
        self.wait("the daemon to answer" + (" with its links up" if links else ""),
                  lambda s: not links or self.linked(s, kafka), seconds)
        return self

    @staticmethod
    def linked(status, kafka=True):
        return (not kafka or status["uplink"]["state"] == "up") and all(d["state"] == "up" for d in status["drivers"])

    def stop(self):
        """SIGTERM ends it within 5 s, with 0 and everything committed."""
        if self.process.child is None:
            return
        self.process.must_live()
        code = self.process.end(signal.SIGTERM, 6)
        assert code == 0, f"SIGTERM: millraced ended with {code}\n{self.log_tail()}"

    def kill(self):
        self.process.must_live()
        self.process.end(signal.SIGKILL, 10)

    def restart(self):
        self.stop()
        return self.start()

    def rss_kib(self):
        """What it takes; 0 for a sanitizer's build, which says nothing about it."""
        with open(program("millraced"), "rb") as f:
            if b"__asan_init" in f.read():
                return 0
        with open(f"/proc/{self.process.child.pid}/status", encoding="ascii") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmRSS:"))

    def log(self):
        with open(self.process.log, encoding="utf-8", errors="replace") as f:
            return f.read()

    def log_tail(self):
        return wait.tail(self.process.log)

    # ---- what it says ----

    def tool(self, *args, **how):
        return tool("--config", self.config, *args, **how)

    def status(self):
        done = self.tool("status", "--json", code=None)
        assert done.returncode in (0, 1), f"status: exit {done.returncode}\n{done.stderr}\n{self.log_tail()}"
        return json.loads(done.stdout)

    def answer(self):
        """The daemon's status; None while only the file answers, or nothing."""
        self.process.must_live()
        done = self.tool("status", "--json", code=None)
        if done.returncode not in (0, 1):
            return None
        try:
            status = json.loads(done.stdout)
        except ValueError:
            raise AssertionError(f"status --json is not JSON: {done.stdout[:500]!r}") from None
        return status if status["uptime_s"] is not None else None

    def wait(self, what, true_of, seconds=30, every=0.1):
        """Waits until true_of(status); returns that status."""
        seen = {}

        def probe():
            status = self.answer()
            if status is None:
                return None
            seen.update(status)
            return status if true_of(status) else None

        return wait.until(what, seconds, probe, every=every,
                          detail=lambda: f"last status: {json.dumps(seen)}\n{self.log_tail()}")

    def wait_delivered(self, accepted, seconds=60):
        """Until `accepted` readings were taken and none is held."""
        return self.wait(f"{accepted} readings accepted and none held",
                         lambda s: s["accepted"] >= accepted and s["held"] == 0, seconds)

    def listing(self, *args):
        """A listing with --json: one object per line."""
        return [json.loads(line) for line in self.tool(*args, "--json").stdout.splitlines()]
