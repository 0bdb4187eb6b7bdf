"""syslog: real senders, the real daemon, and the rows of its spool."""

import collections
import contextlib
import os
import socket
import subprocess
import sys
import threading

import pytest

from rig import agent as agents
from rig import wait


def start_agent(folder, spool=None, **conf):
    port = wait.free_port()
    agent = agents.Agent(folder, "127.0.0.1:1", "mqtt://127.0.0.1:1", "gw-syslog", {
        "syslog": [{"name": "servers", "listen": f"127.0.0.1:{port}", **conf}], "spool": spool or {}})
    del agent.conf["mqtt"]
    agent.write()
    agent.start(links=False)
    agent.wait("the port to be open", lambda s: s["drivers"][0]["state"] == "up", 10)
    return agent, port


def tcp(port):
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def rows(agent):
    return agent.listing("spool", "export")


@pytest.mark.parametrize("how", [["-d"], ["-T"], ["-T", "--octet-count"], ["-d", "--rfc3164"], ["-T", "--rfc3164"]],
                         ids=lambda how: " ".join(how))
def test_logger(tmp_path, how):
    """The system's own sender, in each of its dialects."""
    agent, port = start_agent(tmp_path)
    for i in range(3):
        subprocess.run(["logger", "-n", "127.0.0.1", "-P", str(port), *how, "-p", "auth.warning", "-t", "press", "--id=77",
                        f"door {i} open"], check=True, timeout=10)
    agent.wait("three messages", lambda s: s["accepted"] == 3)
    agent.stop()
    for i, r in enumerate(rows(agent)):
        assert (r["tag"], r["value_str"], r["facility"], r["severity"]) == ("press", f"door {i} open", "auth", "warning"), r
        assert r["source"] == socket.gethostname().split(".")[0] or r["source"] == socket.gethostname(), r
        if "--rfc3164" in how:
            assert (r["quality"], r["time"]) == ("uncertain", "untrusted"), r
        else:
            assert r["quality"] == "good" and r["arrival_us"] >= r["ts_us"], r


def test_many_tcp_senders_at_full_speed(tmp_path):
    n, senders = 10000, 4
    agent, port = start_agent(tmp_path)

    def send(k):
        framed = (b"<13>1 - h%d app - - - message %d" % (k, i) for i in range(n))
        lines = [b"%d %s" % (len(m), m) if k % 2 else m + b"\n" for m in framed]
        with tcp(port) as s:
            s.sendall(b"".join(lines))

    threads = [threading.Thread(target=send, args=(k,)) for k in range(senders)]
    for t in threads:
        t.start()
    s = agent.wait("all messages", lambda s: s["accepted"] >= n * senders, 30)
    for t in threads:
        t.join()
    assert (s["accepted"], s["dropped"], s["drivers"][0]["malformed"]) == (n * senders, 0, 0)
    agent.stop()
    of_host = collections.defaultdict(list)
    for r in rows(agent):
        of_host[r["source"]].append(r["value_str"])
    assert of_host == {f"h{k}": [f"message {i}" for i in range(n)] for k in range(senders)}


def test_udp_of_every_kind(tmp_path):
    agent, port = start_agent(tmp_path)
    messages = [b"<86>Nov 23 05:37:26 plc sshd[3]: in", b"no header", b"\xff\xfe\x00bytes", b"<13>1 - h a - - - " + b"x" * 20000,
                b"<13>1 - bad:name a/b - - - y"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        for i, m in enumerate(messages):
            s.sendto(m, ("127.0.0.1", port))
            agent.wait("a message", lambda st, i=i: st["accepted"] == i + 1)
    agent.stop()
    seen = rows(agent)
    assert [(r["source"], r["tag"], r["value_str"][:20]) for r in seen] == [
        ("plc", "sshd", "in"), ("127.0.0.1", "message", "no header"), ("127.0.0.1", "message", "???bytes"),
        ("h", "a", "x" * 20), ("bad_name._3a", "a_b._2f", "y")]
    assert 8000 < len(seen[3]["value_str"]) <= 8192


def test_tcp_waits_for_a_full_spool(tmp_path):
    """block: the sender is held by TCP, nothing is dropped, and UDP's loss is told."""
    agent, port = start_agent(tmp_path, spool={"max_size": "4MiB", "when_full": "block"})
    sent, text = 0, b"<13>1 - h app - - - " + b"x" * 1000 + b"\n"
    with tcp(port) as s:
        s.settimeout(2)
        with pytest.raises(TimeoutError):
            while sent < 100000:
                s.sendall(text)
                sent += 1
        status = agent.wait("the driver to be paused", lambda st: st["drivers"][0]["paused"])
        assert status["dropped"] == 0 and status["spool_bytes"] <= status["spool_max_bytes"], status
        assert 0 < status["accepted"] <= sent + 1
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as u:
            u.sendto(b"<13>1 - h udp - - - can not wait", ("127.0.0.1", port))
        agent.wait("the datagram to be refused and told", lambda st: st["dropped"] == 1)
        agent.stop()


def open_ports(pid):
    """(protocol, address:port as the kernel writes it) of every unconnected socket of the process."""
    inodes = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            inodes.add(os.readlink(f"/proc/{pid}/fd/{fd}"))
    found = set()
    for protocol in ("tcp", "tcp6", "udp", "udp6"):
        with open(f"/proc/{pid}/net/{protocol}", encoding="ascii") as f:
            for row in (line.split() for line in f.readlines()[1:]):
                if f"socket:[{row[9]}]" in inodes and row[2].endswith(":0000"):
                    found.add((protocol, row[1]))
    return found


def test_it_listens_on_loopback_only_and_only_when_asked(tmp_path):
    agent, port = start_agent(tmp_path)
    loopback = f"{int.from_bytes(socket.inet_aton('127.0.0.1'), sys.byteorder):08X}:{port:04X}"
    assert open_ports(agent.process.child.pid) == {("tcp", loopback), ("udp", loopback)}
    agent.stop()
    del agent.conf["syslog"]
    agent.write()
    agent.start(links=False)
    assert open_ports(agent.process.child.pid) == set()


def test_a_port_in_use_is_told(tmp_path):
    agent, port = start_agent(tmp_path)
    agent.stop()
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port))
        taken.listen()
        agent.start(links=False)
        agent.wait("the fault", lambda s: "in use" in (s["drivers"][0].get("last_error") or ""))
    agent.wait("the port to be had", lambda s: s["drivers"][0]["state"] == "up", 20)
