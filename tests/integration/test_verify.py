"""A stranger checks the topics: after kill -9, an outage, a purge, drops and live_first all is there, and each alteration is named."""

import importlib.util
import json
import os
import random
import subprocess
import sys
import time

import pytest

from rig.kafka import BACKFILL, EVENTS, SAMPLES, STATUS
from test_kill9 import Steady

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PYTHON = os.path.join(ROOT, "packaging", "verify", "millrace-verify.py")
RATE = 1000


@pytest.fixture
def own_kafka(kafka):
    """The shared broker, up again for the others whatever happens here."""
    yield kafka
    if not kafka.process.alive():
        kafka.start()


@pytest.fixture
def status_since(room):
    return room.kafka.ends(STATUS)


def new_key(folder):
    private, public = folder / "gateway.key", folder / "gateway.pub"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", private], check=True)
    private.chmod(0o640)
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True)
    return str(private), str(public)


def recorded(room, status_since):
    """[(topic, value)] of the gateway: what a consumer would have written down."""
    out = []
    for topic, since in (*room.since.items(), (STATUS, status_since)):
        for r in room.kafka.read(topic, since):
            if json.loads(r.value)["gateway"] == room.gateway:
                out.append((topic, r.value))
    return out


def python_says(folder, lines, public=None):
    """(exit status, lines of findings as lists)."""
    dump = folder / "dump.jsonl"
    dump.write_text("".join(json.dumps({"topic": t, "value": v.decode()}) + "\n" for t, v in lines), encoding="utf-8")
    done = subprocess.run([sys.executable, PYTHON, *(["--public-key", public] if public else []), str(dump)],
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode in (0, 1), done.stderr
    return done.returncode, [line.split("\t") for line in done.stdout.splitlines()]


def books():
    spec = importlib.util.spec_from_file_location("millrace_verify", PYTHON)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def name_of(value):
    """(lane, seq) of a record."""
    seq = json.loads(value)["id"].rsplit(":", 1)[1]
    return ("events" if seq[0] == "e" else "samples"), int(seq.lstrip("ea"))


def alter(lines, chance):
    """One random alteration of a sealed record: (lines, what it is, lane, seq)."""
    i = chance.choice([i for i, (topic, _) in enumerate(lines) if topic != STATUS])
    topic, value = lines[i]
    what = chance.choice(["byte", "gone", "twice", "twice-otherwise"])
    lane, seq = name_of(value)
    at = value.index(b'"ts":"') + chance.randrange(6, 26)
    other = value[:at] + bytes([value[at] ^ 1]) + value[at + 1:]
    put = {"byte": [(topic, other)], "gone": [], "twice": [(topic, value)] * 2, "twice-otherwise": [(topic, value), (topic, other)]}[what]
    return lines[:i] + put + lines[i + 1:], what, lane, seq


EXPECTED = {"byte": {"altered"}, "gone": {"missing"}, "twice": {"duplicate"}, "twice-otherwise": {"copies-differ"}}


def check_each_alteration_is_named(lines, n):
    """Of a recording in which nothing is wrong, with each record once. Those behind the last seal are left out."""
    module, chance = books(), random.Random("alter")

    def findings(of):
        b = module.Books()
        for topic, value in of:
            b.take(value, b"", topic == STATUS)
        return b.check()

    behind = [f for f in findings(lines) if f[0] == "behind"]
    lines = [(t, v) for t, v in lines if t == STATUS or not any(f[3] == name_of(v)[0] and f[4] <= name_of(v)[1] for f in behind)]
    assert not findings(lines)
    for _ in range(n):
        altered, what, lane, seq = alter(lines, chance)
        found = findings(altered)
        assert any(f[0] in EXPECTED[what] and f[3] == lane and f[4] <= seq <= f[5] for f in found), (what, lane, seq, found)


def tool_says(agent, gateway, public=None):
    """Of the gateway: (kinds of findings, the verdicts of its lanes). Other tests' gateways are in the topics as well."""
    done = agent.tool("verify", "--json", "--gateway", gateway, *(["--public-key", public] if public else []), code=None, seconds=120)
    assert done.returncode in (0, 1), done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(r["gateway"] == gateway for r in rows), rows
    assert done.returncode == any(not r["complete"] for r in rows if "complete" in r), rows
    return {r["what"] for r in rows if "what" in r}, [r for r in rows if "complete" in r]


def both_agree(agent, gateway, found, public=None):
    """The tool says what the Python file says of the same topics."""
    kinds, verdicts = tool_says(agent, gateway, public)
    assert kinds == {f[0] for f in found[:-1]}, (kinds, found)
    assert len(verdicts) == 2 and all(v["complete"] for v in verdicts), verdicts
    assert all(v["sealed"] == v["found"] > 0 for v in verdicts), verdicts


def last_word(agent, folder, room, status_since):
    """The heartbeat of a new start seals what the run before delivered; a second later it is in Kafka."""
    agent.wait("all to be delivered", lambda s: s["held"] == 0 and s["heartbeat"]["state"] == "up", 60)
    agent.restart()
    agent.wait("a heartbeat", lambda s: s["heartbeat"]["state"] == "up", 20)
    return recorded(room, status_since)


def test_kills_purge_and_drops_are_complete_and_named(room, own_kafka, tmp_path, status_since):
    private, public = new_key(tmp_path)
    agent = room.agent({"kafka": {"window_records": 500, "sign_key": private},
                        "spool": {"max_size": "4MiB", "keep_delivered": "1s"}}).start()
    steady = Steady(room, RATE)
    chance = random.Random("verify")
    for _ in range(4):
        time.sleep(chance.uniform(0.3, 1.6))
        agent.kill()
        agent.start()
    own_kafka.stop()
    time.sleep(3)
    steady.finish()
    agent.tool("spool", "purge", "--yes", code=1)
    agent.wait("the purge", lambda s: s["dropped"] > 0, 20)
    own_kafka.start()
    publisher = room.publisher()
    publisher.publish(((room.topic("late", "temp"), b"%d" % i, i) for i in range(500)), rate=RATE)
    lines = last_word(agent, tmp_path, room, status_since)
    code, found = python_says(tmp_path, lines, public)
    kinds = {f[0] for f in found[:-1]}
    assert code == 0, found
    assert "gap" in kinds and kinds <= {"gap", "duplicate", "behind"}, found
    assert {f[6] for f in found if f[0] == "gap"} == {"purged"}, found
    both_agree(agent, room.gateway, found, public)

    other = tmp_path / "other"
    other.mkdir()
    code, found = python_says(tmp_path, lines, new_key(other)[1])
    assert code == 1 and found[0][0] == "bad-seal", found
    assert "bad-seal" in tool_says(agent, room.gateway, str(other / "gateway.pub"))[0]


def test_live_first_is_complete(room, own_kafka, tmp_path, status_since):
    agent = room.agent({"kafka": {"live_first": True, "backfill_after": "1s", "rate_limit": "256KiB/s",
                                  "backfill_rate_limit": "128KiB/s", "window_records": 500}}).start()
    steady = Steady(room, 200)
    agent.wait("readings to flow", lambda s: s["delivered"] > 100)
    own_kafka.stop()
    time.sleep(6)
    own_kafka.start()
    agent.wait("the backlog to be overtaken", lambda s: s["uplink"]["state"] == "up" and room.backfill(), 30, every=0.5)
    agent.kill()
    agent.start()
    steady.finish()
    lines = last_word(agent, tmp_path, room, status_since)
    assert any(t == BACKFILL for t, _ in lines) and any(t == SAMPLES for t, _ in lines) and any(t == EVENTS for t, _ in lines)
    code, found = python_says(tmp_path, lines)
    assert code == 0, found
    both_agree(agent, room.gateway, found)
    agent.tool("verify", "--gateway", "nobody", code=1, seconds=120)


def test_a_thousand_alterations_are_named(room, status_since):
    """Also a line of the ledger that is taken out of the seal that has it: its seqs are missing then."""
    agent = room.agent().start()
    publisher = room.publisher()
    for i in range(2):
        publisher.publish(((room.topic(f"p{n % 3}", "temp"), b"%d" % n, n) for n in range(60)), rate=RATE)
        agent.wait_delivered(60 * (i + 1))
        lines = last_word(agent, None, room, status_since)
    check_each_alteration_is_named(lines, 1000)


def test_a_signature_by_the_openssl_command_alone(tmp_path):
    """Where Python's cryptography is not installed."""
    private, public = new_key(tmp_path)
    (tmp_path / "text").write_bytes(b"{}")
    subprocess.run(["openssl", "pkeyutl", "-sign", "-inkey", private, "-rawin", "-in", tmp_path / "text", "-out", tmp_path / "sig"], check=True)
    signature = (tmp_path / "sig").read_bytes()
    for is_right in (books().open_key(public), lambda text, sig: books().openssl_says(public, text, sig)):
        assert is_right(b"{}", signature) and not is_right(b"{ }", signature)
