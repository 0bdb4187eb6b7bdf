"""A real mosquitto on a free loopback port, and the certificates for its TLS."""

import os
import shutil
import signal
import subprocess

from . import wait


class Mosquitto:
    def __init__(self, folder, persistent=False, lines=(), anonymous=True):
        self.folder = str(folder)
        self.port = wait.free_port()
        self.program = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin")
        assert self.program, "mosquitto is not installed"
        self.process = wait.Process("mosquitto", os.path.join(self.folder, "mosquitto.log"))
        self.conf = os.path.join(self.folder, "mosquitto.conf")
        conf = [
            f"listener {self.port} 127.0.0.1",
            f"allow_anonymous {'true' if anonymous else 'false'}",
            "max_inflight_messages 1000",
            "max_queued_messages 0",
            "log_type error",
            "log_type warning",
            "log_type notice",
        ]
        if os.getuid() == 0:
            conf.append("user root")  # else it gives up the rights to the test's folder
        if persistent:
            conf += ["persistence true", f"persistence_location {self.folder}/", "autosave_interval 3600"]
        with open(self.conf, "w", encoding="ascii") as f:
            f.write("\n".join(conf + list(lines)) + "\n")

    @property
    def url(self):
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self):
        self.process.spawn([self.program, "-c", self.conf])
        wait.until("mosquitto's port", 10, lambda: self.process.must_live() and wait.port_answers(self.port),
                   detail=lambda: wait.tail(self.process.log))
        return self

    def stop(self):
        """A clean end: with persistence, sessions and queued messages are on disk after it."""
        self.process.end(signal.SIGTERM, 30)

    def kill(self):
        self.process.end(signal.SIGKILL, 10)


def make_certificates(folder):
    """ca, server and client certificate as PEM files in `folder`; also another, unrelated ca (`stranger.pem`)."""
    folder = str(folder)

    def openssl(*words):
        done = subprocess.run(["openssl", *words], cwd=folder, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, f"openssl {' '.join(words)}:\n{done.stderr}"

    def authority(name):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                "-subj", f"/CN=millrace test {name}", "-keyout", f"{name}.key", "-out", f"{name}.pem")

    authority("ca")
    authority("stranger")
    for name, common in (("server", "localhost"), ("client", "gw-7")):
        with open(os.path.join(folder, name + ".ext"), "w", encoding="ascii") as f:
            f.write("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={common}",
                "-keyout", f"{name}.key", "-out", f"{name}.csr")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
                "-extfile", f"{name}.ext", "-out", f"{name}.pem")
    return folder
