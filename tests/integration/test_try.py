"""`millrace try`: what the sources give, without spool and Kafka, and without taking anything from a daemon that runs."""

import json
import os
import subprocess
import threading
import time

import pytest

from rig import agent as agents
from rig import wait

SLAVE = os.path.join(agents.build_dir(), "tests", "integration", "modbus_slave")


@pytest.fixture
def configured(tmp_path):
    """Writes a configuration; Kafka and the spool's folder are not there, since they are not used."""
    path = tmp_path / "millrace.yaml"

    def write(**sections):
        path.write_text(agents.yaml({"gateway": "gw-1", "spool": {"path": "/nowhere/spool.db"},
                                     "kafka": {"brokers": ["127.0.0.1:9"]}, **sections}) + "\n")
        return path

    return write


def tried(path, *args, code=0):
    rows = [json.loads(line) for line in agents.tool("try", "-c", path, "--json", *args, code=code, seconds=40).stdout.splitlines()]
    return ({(r["source"], r["tag"]): r for r in rows if "tag" in r}, {r["item"]: r for r in rows if "kind" in r})


def test_what_a_slave_gives_is_shown_converted(configured):
    port = wait.free_port()
    slave = subprocess.Popen([SLAVE, "tcp", str(port), "1"], stdin=subprocess.PIPE, text=True)
    try:
        slave.stdin.write("holding 0 713\n")
        slave.stdin.close()
        wait.until("the slave", 20, lambda: wait.port_answers(port))
        path = configured(
            modbus=[{"name": "line1", "port": f"tcp://127.0.0.1:{port}"}],
            profiles=[{"name": "p", "registers": [{"tag": "temp", "at": "holding:0", "scale": 0.1, "unit": "degC"}]}],
            devices=[{"bus": "line1", "source": "press-1", "unit": 1, "profile": "p"}])
        tags, items = tried(path)
        assert tags[("press-1", "temp")]["value"] == pytest.approx(71.3) and tags[("press-1", "temp")]["unit"] == "degC"
        assert items["line1"]["state"] == "up" and items["line1"]["bad"] == 0
        assert set(tried(path, "press-1")[1]) == {"line1"}, "a source names its item"
        text = agents.tool("try", "-c", path, "line1").stdout
        assert "71.3" in text and "modbus line1: connected, 1 reading of 1 tag\n" in text
    finally:
        slave.kill()
        slave.wait()


def test_what_is_not_there_is_told_and_hides_nothing(configured):
    path = configured(sim=[{"name": "s", "source": "a", "tags": [{"tag": "t"}]}],
                      modbus=[{"name": "dead", "port": f"tcp://127.0.0.1:{wait.free_port()}"}],
                      profiles=[{"name": "p", "registers": [{"tag": "temp", "at": "holding:0"}]}],
                      devices=[{"bus": "dead", "source": "b", "unit": 1, "profile": "p"}])
    tags, items = tried(path, code=1)
    assert tags[("a", "t")]["quality"] == "good" and tags[("b", "temp")]["quality"] == "bad/not_connected"
    assert "refused" in items["dead"]["why"] and items["dead"]["state"] == "down" and items["s"]["state"] == "up"
    assert "did you mean dead?" in agents.tool("try", "-c", path, "deed", code=1).stderr


def test_a_daemon_that_runs_loses_nothing_to_it(room):
    agent = room.agent().start()
    done = {}
    trial = threading.Thread(target=lambda: done.update(agent.tool("try", "plant", "--for", "4s", "--json", code=0, seconds=40).__dict__))
    trial.start()
    publisher = room.publisher()
    sent = 0
    while trial.is_alive():
        publisher.one(room.topic("press-1", "temp"), b"%d" % sent)
        sent += 1
        time.sleep(0.05)
    trial.join()
    rows = [json.loads(line) for line in done["stdout"].splitlines()]
    heard = [r for r in rows if r.get("tag") == "temp"]
    assert heard and heard[0]["n"] > 1 and heard[0]["labels"], rows
    s = agent.wait("all of it", lambda s: s["accepted"] == sent)
    assert s["drivers"][0]["errors"] == 0, "its link was not broken"
    assert "the daemon runs" in done["stderr"]
