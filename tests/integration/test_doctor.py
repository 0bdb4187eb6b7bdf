"""`millrace doctor`: what is wrong comes first, with what to do; a daemon that runs is asked, not disturbed."""

import json
import os

from rig import agent as agents
from rig import wait


def findings(*args, code):
    rows = [json.loads(line) for line in agents.tool("doctor", "--json", *args, code=code, seconds=90).stdout.splitlines()]
    levels = ["fault", "warning", "note", "ok"]
    assert [levels.index(r["level"]) for r in rows] == sorted(levels.index(r["level"]) for r in rows), "the worst first"
    return rows


def about(rows, area, level):
    return [r for r in rows if r["area"] == area and r["level"] == level]


def test_a_gateway_that_runs_is_asked_and_not_disturbed(room):
    agent = room.agent({"sim": [{"name": "s", "source": "a", "tags": [{"tag": "t"}]}]}).start()
    rows = findings("-c", agent.config, code=0)
    assert about(rows, "daemon", "ok") and about(rows, "mqtt", "ok") and about(rows, "disk", "ok"), rows
    assert {r["subject"] for r in about(rows, "source", "ok")} == {"plant", "s"}, rows
    assert all("says the daemon" in r["what"] for r in about(rows, "source", "ok"))
    s = agent.status()
    assert [d["errors"] for d in s["drivers"]] == [0, 0] and s["uplink"]["state"] == "up"


def test_what_the_daemon_knows_is_told_once_with_its_way_out(room):
    agent = room.agent({"modbus": [{"name": "line1", "port": f"tcp://127.0.0.1:{wait.free_port()}"}],
                        "profiles": [{"name": "p", "registers": [{"tag": "t", "at": "holding:0"}]}],
                        "devices": [{"bus": "line1", "source": "press-9", "unit": 1, "profile": "p"}]}).start(links=False)
    agent.wait("it to be told", lambda s: any("line1" in c["subject"] for c in s["conditions"]))
    rows = findings("-c", agent.config, code=1)
    told = [r for r in rows if r["level"] == "fault"]
    assert len(told) == 1 and told[0]["area"] == "daemon" and "line1" in told[0]["subject"] and told[0]["todo"], rows
    assert not [r for r in rows if r["area"] == "source" and r["subject"] in ("line1", "press-9")], rows


def test_what_is_wrong_comes_first_with_a_way_out(tmp_path):
    broker, slave = wait.free_port(), wait.free_port()
    path = tmp_path / "millrace.yaml"
    path.write_text(agents.yaml({
        "gateway": "gw-1", "spool": {"path": str(tmp_path / "no" / "spool.db")},
        "kafka": {"brokers": [f"127.0.0.1:{broker}"], "properties": ["sasl.password=geheim"]},
        "modbus": [{"name": "line1", "port": f"tcp://127.0.0.1:{slave}"}, {"name": "line2", "port": "/dev/ttyNone"}],
        "profiles": [{"name": "p", "registers": [{"tag": "t", "at": "holding:0"}]}],
        "devices": [{"bus": "line1", "source": "a", "unit": 1, "profile": "p"}, {"bus": "line2", "source": "b", "unit": 1, "profile": "p"}],
    }) + "\n")
    report = tmp_path / "report.txt"
    rows = findings("-c", path, "--report", report, code=1)
    wrong = {r["subject"]: r for r in rows if r["level"] == "fault"}
    assert f"127.0.0.1:{broker}" in wrong and "refused" in wrong[f"127.0.0.1:{broker}"]["what"], rows
    assert "nobody listens" in wrong["line1"]["todo"] and "by-id" in wrong["line2"]["todo"], rows
    assert str(tmp_path / "no") in wrong and all(r["todo"] for r in wrong.values()), rows
    assert "systemctl start" in about(rows, "daemon", "warning")[0]["todo"]
    text = report.read_text()
    assert "geheim" not in text and "sasl.password=<not shown>" in text and "line1" in text
    assert os.stat(report).st_mode & 0o777 == 0o600
    assert "exists" in agents.tool("doctor", "-c", path, "--report", report, code=1, seconds=90).stderr


def test_a_configuration_with_faults_is_78_and_all_are_told(tmp_path):
    path = tmp_path / "millrace.yaml"
    path.write_text("gateway: gw 1\nspool: {path: x}\nkafka: {brokers: [a:1]\nsim: []\n")
    rows = findings("-c", path, code=78)
    assert len(about(rows, "configuration", "fault")) == 3, rows
    assert agents.tool("doctor", "-c", path, code=78).stdout.startswith("3 faults, ")
