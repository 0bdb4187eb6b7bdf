"""What happened and what a time was like: `millrace events` and `millrace report`, with the daemon, without, and after kill -9."""

import csv
import html.parser
import io
import json
import os
import signal
import subprocess

import pytest

from rig import wait
from rig.agent import program
from rig.mock import MockKafka
from rig.room import open_room

SIM = {"sim": [{"name": "hall", "source": "press-1", "period": "50ms", "tags": [{"tag": "temp", "wave": "sine", "min": 60, "max": 80}]}],
       "spool": {"commit_interval": "100ms", "keep_delivered": "0s"}}


@pytest.fixture
def agent(tmp_path):
    """Its Kafka is well, its MQTT broker is not there."""
    mock = MockKafka()
    try:
        with open_room(tmp_path, None, None) as room:
            a = room.agent(SIM, mqtt_url="mqtt://127.0.0.1:9", kafka=mock.brokers).start(links=False)
            a.wait("readings, and the link to be told", lambda s: s["delivered"] > 20 and s["events"]["delivered"] >= 2)
            yield a
    finally:
        mock.close()


def events(agent, *args):
    return agent.listing("events", *args)


def test_events_are_shown_after_kafka_has_them_with_how_long_things_lasted(agent):
    first = events(agent, "--since", "1h")
    link = next(e for e in first if e["kind"] == "link")
    assert (link["subject"], link["state"]) == ("plant", "down") and "not connected" in link["words"], link
    agent.wait("status to have said so", lambda s: any(c["name"] == "source_down" for c in s["conditions"]))
    assert [e["subject"] for e in events(agent, "--kind", "condition") if e["name"] == "source_down"] == ["mqtt plant"]
    assert not [e for e in events(agent, "--since", "1h") if e["kind"] == "condition" and e["name"] == "source_down"], "one line for one thing"
    assert len(events(agent, "--since", "1h", "-n2")) == 2
    first = events(agent, "--since", "1h")
    assert link["delivered"] and first[0]["kind"] == "agent" and first[0]["accepted"] == 0, first
    assert all(e["kind"] == "link" for e in events(agent, "--kind", "link"))
    agent.kill()
    assert events(agent, "--since", "1h")[: len(first)] == first, "without the daemon"
    agent.start(links=False)
    agent.wait("the start to be told", lambda s: len([e for e in events(agent, "--kind", "agent")]) == 2)
    again = events(agent, "--kind", "agent")[-1]
    assert again["state"] == "started" and again["duration_s"] >= 0, again
    lines = agent.tool("events", "--kind", "link", "-n1").stdout.splitlines()
    assert lines[0].split("\t") == ["TIME", "SEVERITY", "KIND", "ABOUT", "LASTED", "WHAT", "TO DO"], lines
    assert lines[1].split("\t")[2:5] == ["link", "plant", "-"], lines


def test_following_shows_what_happens(agent, tmp_path):
    said = tmp_path / "said"
    with open(said, "w", encoding="utf-8") as f:
        child = subprocess.Popen([program("millrace"), "--config", agent.config, "events", "-f", "--json", "--kind", "config"],
                                 stdout=f, preexec_fn=wait.die_with_parent)
    try:
        os.kill(agent.process.child.pid, signal.SIGHUP)
        wait.until("the reload to be shown", 20, said.read_text)
        assert json.loads(said.read_text().splitlines()[0])["state"] == "reloaded"
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(10)


def test_wrong_words(agent):
    assert "did you mean link?" in agent.tool("events", "--kind", "lnk", code=2).stderr
    assert "text, html, csv or json" in agent.tool("report", "--format", "pdf", code=2).stderr
    assert "--until" in agent.tool("report", "--since", "1h", "--until", "2h", code=2).stderr


class Cells(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.cells, self.open, self.urls = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.urls += [v for k, v in attrs if k in ("src", "href")]

    def handle_data(self, data):
        if self.open and self.open[-1] == "td":
            self.cells.append(data)


def still(row):
    """Without what grows from one look to the next: how long something lasts that goes on."""
    return (*row[:4], *row[5:]) if "goes on" in row else row


def test_a_report_says_what_is_known_and_what_is_not(agent):
    agent.kill()
    agent.start(links=False)
    agent.wait("the link to be told again", lambda s: len(events(agent, "--kind", "link")) == 2)
    agent.stop()
    s = agent.listing("spool", "ls")[0]
    rows = list(csv.reader(io.StringIO(agent.tool("report", "--since", "1h", "--format", "csv").stdout)))
    assert ["accepted", str(s["accepted"])] == next(r for r in rows if r and r[0] == "accepted")[:2]
    link = [r for r in rows if r and r[0] == "plant"]
    assert len(link) == 1 and link[0][2] == "goes on" and link[0][4].startswith("not connected"), link
    assert any(r and r[0] == "millraced" and r[1].startswith("after ") and "without a word" in r[4] for r in rows), rows
    assert any(r and r[0] == "millraced" and r[2] == "goes on" and "on request" in r[4] for r in rows), rows
    as_json = json.loads(agent.tool("report", "--since", "1h", "--json").stdout)
    assert agent.tool("report", "--since", "1h", "--format", "json").stdout.startswith('{"title":')
    table = {still((part["title"], *row.values())) for part in as_json["parts"] for row in part["rows"]}
    part, in_csv = None, set()
    for row in rows[1:]:
        part = row[0] if len(row) == 1 and row[0] in {p["title"] for p in as_json["parts"]} else part
        in_csv.add(still((part, *(cell.removeprefix("'") for cell in row))))
    assert len(table) > 5 and table <= in_csv, (table - in_csv, in_csv)
    page = agent.tool("report", "--since", "1h", "--format", "html").stdout
    cells = Cells(page)
    assert "plant" in cells.cells and not cells.urls and "<script" not in page
    text = agent.tool("report", "--since", "1h").stdout
    assert all(f"\n{part}\n" in text for part in ("Books", "Dropped", "Outages", "Gaps", "Alarms")), text
    assert "the spool has events since" in text, text
