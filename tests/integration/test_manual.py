"""The examples of README and manuals: made for real, and compared with what stands there (rig/manual.py)."""

import json
import re
import signal

from rig import agent as agents
from rig import manual, wait
from rig.mosquitto import Mosquitto
from test_alarms import hook, lines
from test_setup import FIRST, flags, plant

BORN = 1795428000123456  # 2026-11-23T10:00:00.123456Z
EPOCH = "14303136230285"


def shows(document, name, made):
    manual.shows(document, __file__, name, made)


def as_shown(text, *also):
    """What is another each time becomes what a reader would find on a gateway of theirs."""
    for what, instead in also + (
            (r"/tmp/pytest[^\s,]*/millrace.yaml", "/etc/millrace/millrace.yaml"),
            (r"/tmp/pytest[^\s,:]*", "/var/lib/millrace"),
            (r"epoch(\":?| )\d+", rf"epoch\g<1>{EPOCH}"),
            (r"since \d\d:\d\d:\d\dZ \([^)]*\)", "since 10:14:05Z (3m 20s)"),
            (r"up [\d.]+m?s", "up 2d 4h"),
            (r"\b\d+(\.\d+)?(?= [KMG]iB| ms|/s)", "…"),
            (r"\b\d+(?= bytes)", "…")):
        text = re.sub(what, instead, text)
    return text


def line1(port):
    """One device on one bus."""
    return {"modbus": [{"name": "line1", "port": f"tcp://127.0.0.1:{port}"}],
            "profiles": [{"name": "meter", "registers": [{"tag": "power", "at": "holding:0"}]}],
            "devices": [{"bus": "line1", "source": "meter-1", "unit": 1, "profile": "meter"}]}


def test_a_record(room):
    agent = room.agent()
    agent.conf["mqtt"][0]["subscriptions"].append({
        "topic": f"shown-{room.gateway}/{{source}}", "payload": "json", "time": "/ts", "time_format": "unix_us",
        "readings": [{"tag": "temp", "value": "/temp", "unit": "degC"}]})
    agent.write()
    agent.start()
    room.publisher().one(f"shown-{room.gateway}/press-3", json.dumps({"ts": BORN, "temp": 71.3}))
    agent.wait_delivered(1)
    (sample,) = room.samples()
    record = re.sub(r',"arrival_us":\d+|,"clock":"unsynced"', "", sample.value.decode())  # of a gateway whose clock is right, and at once
    shown = manual.fenced("json", as_shown(record, (room.gateway, "gw-7"), (str(sample.data["epoch"]), EPOCH)))
    shows("README.md", "a record", shown)
    shows("packaging/doc/integrator.md", "a record", shown)


def test_an_alarm(room, tmp_path):
    program, told = hook(str(tmp_path))
    agent = room.agent({"alarms": [{"name": "hot", "match": "press-*/temp", "rule": "limits", "hi": 85, "severity": 700}],
                        "notify": {"exec": {"command": [program]}}}).start()
    room.publisher().one(room.topic("press-3", "temp"), b"90")
    agent.wait_delivered(1)
    wait.until("the hook to be told", 20, lambda: lines(told))
    agent.wait("the events to be delivered", lambda s: s["events"]["held"] == 0)
    event = next(e for e in room.events() if e.data["kind"] == "alarm")
    always = ((room.gateway, "gw-7"), (r'(?<="event_id":")[0-9a-f]{16}', "098dfbb8da7d89c6"), (r'"ts":"[^"]*","ts_us":\d+', f'"ts":"2026-11-23T10:00:00.123456Z","ts_us":{BORN}'),
              (r',"clock":"unsynced"|,"arrival_us":\d+', ""), (str(event.data["epoch"]), EPOCH), (r":e\d+", ":e41"), (r'"seq":\d+', '"seq":41'))
    shows("packaging/doc/integrator.md", "an event", manual.fenced("json", as_shown(event.value.decode(), *always)))
    with open(told, encoding="utf-8") as f:
        shows("packaging/doc/alarms.md", "what people are told", manual.fenced("json", as_shown(f.readline(), *always)))


def test_what_is_wrong(room):
    port = wait.free_port()
    agent = room.agent(line1(port)).start(links=False)
    agent.wait("it to be told", lambda s: any("meter-1" in d["name"] for d in s["drivers"][1].get("devices", [])) and s["conditions"])
    agent.wait("its links", lambda s: s["uplink"]["state"] == "up" and s["drivers"][0]["state"] == "up")
    shown = agent.tool("status", code=1).stdout
    told = shown[:shown.index("\n\n")]
    told = re.sub(r"\n  notice +clock.*\n.*", "", told).replace("2 conditions", "1 condition")  # of the machine that tests
    shows("README.md", "what is wrong", manual.indented("millrace status\n\n" + as_shown(told, (room.gateway, "gw-7"), (f"127.0.0.1:{port}", "10.0.0.5:502"))))


def test_a_change_that_is_refused(room):
    agent = room.agent().start()
    agent.conf["gateway"] = "press hall"
    agent.write()
    agent.process.signal(signal.SIGHUP)
    agent.wait("the refusal", lambda s: s["config"]["refused"] == 1)
    shown = agent.tool("status", code=1).stdout.split("\n  notice")[0].split("\n\n")[0]
    shown = re.sub(r"\d conditions?", "1 condition", shown)
    shows("packaging/doc/operator.md", "a change that is refused", manual.indented(as_shown(shown, (room.gateway, "gw-7"))))


def test_doctor(tmp_path):
    broker, slave = wait.free_port(), wait.free_port()
    path = tmp_path / "millrace.yaml"
    path.write_text(agents.yaml({"gateway": "gw-7", "spool": {"path": str(tmp_path / "spool.db")},
                                 "kafka": {"brokers": [f"127.0.0.1:{broker}"]}, **line1(slave)}) + "\n")
    shown = agents.tool("doctor", "-c", path, code=1, seconds=90).stdout
    shown = re.sub(r"\nok .*", "", re.sub(r"\nwarning +clock.*\n.*", "", shown))
    shown = re.sub(r".* notes; \d+ right", "2 faults, 1 warning, 0 notes; 6 right", shown)
    shows("packaging/doc/operator.md", "doctor", manual.indented(as_shown(
        shown, (f"127.0.0.1:{broker}", "kafka-1.plant.example:9092"), (f"127.0.0.1:{slave}", "10.0.0.5:502"))))


def test_the_last_words_of_setup(tmp_path, kafka):
    broker = Mosquitto(tmp_path).start()  # on the shared one other tests' messages would be heard
    with plant(broker, "manual"):
        done = agents.tool(*flags(tmp_path, kafka.brokers, "--gateway", "gw-manual", "--mqtt", broker.url, "--for", "2s", "--yes"), seconds=120)
    broker.stop()
    assert FIRST.search(done.stdout), done.stdout + done.stderr
    shown = next(line for line in done.stdout.splitlines() if FIRST.search(line))
    shown = as_shown(shown, (r"press-\d/temp = [\d.]+", "press-3/temp = 71.3"), (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "2026-11-23T10:00:00.123456Z"))
    shows("packaging/doc/quick-start.md", "the first reading", manual.indented(shown))
