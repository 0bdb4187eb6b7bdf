"""SIGHUP: every section changes while data flows. Nothing is lost, what did not change is not touched, a faulty file changes nothing."""

import os
import re
import signal
import socket
import time
import urllib.request

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from rig import agent as agents
from rig import kafka as kafkas
from rig import records, wait
from rig.bad_disk import BadDisk
from test_kill9 import SOURCES, Steady
from test_modbus import PEERS, Slave, UNIT

OTHER = "edge_samples_other"


def reload(agent, state="ok", seconds=30):
    """The configuration as agent.conf has it now, by SIGHUP; returns the status behind it."""
    before = agent.status()["config"]
    agent.write()
    agent.process.signal(signal.SIGHUP)
    done = agent.wait("the reload", lambda s: s["config"]["reloads"] + s["config"]["refused"] > before["reloads"] + before["refused"], seconds)
    assert done["config"]["state"] == state, (done["config"], agent.log_tail())
    return done


def connections(room):
    """How often the agent's MQTT session was begun, as the broker saw it."""
    with open(room.mosquitto.process.log, encoding="utf-8", errors="replace") as f:
        return len(re.findall(rf"New client connected from \S+ as millrace-{room.gateway}-plant ", f.read()))


def check_all(room, agent, acked, samples, extra=0):
    """Consumed is published, once each, gapless; `extra` readings are of other sources."""
    status = agent.wait("all to be delivered", lambda s: s["held"] == 0 and s["accepted"] >= len(acked) + extra, 120)
    assert status["accepted"] == status["delivered"] and status["dropped"] == 0
    agent.stop()
    mine = samples()
    unique, again = records.by_id(mine)
    assert again == 0, f"{again} records twice"
    records.check_gapless(mine)
    flow = {f"p{i}" for i in range(SOURCES)}
    assert sorted(r.data["value"] for r in mine if r.data["source"] in flow) == sorted(float(v) for v in acked)


# ---- every section ----

def sim(name, **how):
    return {"name": name, "source": name, "period": "100ms", "tags": [{"tag": "v", "wave": "sine", "min": 0, "max": 100, "cycle": "5s"}], **how}


RULE = {"name": "hot", "match": "m/*", "rule": "limits", "hi": 60, "severity": 500}


def put(section, **keys):
    return lambda conf: conf.setdefault(section, {}).update(keys)


def items(section, *given):
    return lambda conf: conf.update({section: list(given)}) if given else conf.pop(section)


CHANGES = [
    ("nothing", lambda conf: None),
    ("site", lambda conf: conf.update(site="plant-9")),
    ("log", put("log", level="debug")),
    ("log", put("log", level="info")),
    ("limits", put("limits", max_tags=60000)),
    ("flash", put("flash", max_per_day="50GiB")),
    ("spool", put("spool", max_size="256MiB")),
    ("spool", put("spool", commit_interval="100ms", keep_delivered="10m")),
    ("spool", put("spool", when_full="block")),
    ("spool", put("spool", batch_rows=500, batch_bytes="300KiB", quarantine_size="64KiB")),
    ("spool", put("spool", when_full="thin")),
    ("spool", put("spool", when_full="drop_newest", batch_rows=4000, batch_bytes="2MiB")),
    ("sim", items("sim", sim("m"))),
    ("sim", items("sim", sim("m", period="50ms"), sim("n"))),
    ("alarms", items("alarms", RULE)),
    ("alarms", items("alarms", {**RULE, "hi": 70}, {"match": "*", "rule": "device_down", "severity": 600})),
    ("thin", items("thin", {"match": "n/*", "deadband": 5})),
    ("thin", items("thin", {"match": "n/*", "deadband": 1, "method": "swinging_door"})),
    ("notify", put("notify", journal=False, exec={"command": ["/bin/true"]})),
    ("notify", put("notify", mqtt={"connection": "plant"}, exec={"command": ["/bin/true", "x"], "timeout": "1s"})),
    ("modbus", lambda conf: conf.update(
        modbus=[{"name": "bus", "port": "tcp://127.0.0.1:1"}],
        profiles=[{"name": "all", "registers": [{"tag": "r", "at": "holding:0", "type": "int16"}]}],
        devices=[{"source": "slave", "bus": "bus", "unit": 1, "profile": "all"}])),
    ("devices", lambda conf: conf["devices"].append({"source": "slave-2", "bus": "bus", "unit": 2, "profile": "all"})),
    ("profiles", lambda conf: conf["profiles"][0]["registers"].append({"tag": "s", "at": "holding:1", "type": "int16", "unit": "degC"})),
    ("syslog", items("syslog", {"name": "logs", "listen": "127.0.0.1:{port}"})),
    ("serial", items("serial", {"name": "scale", "port": "/dev/ttyNONE", "source": "scale", "match": "(?<kg>[0-9]+)", "readings": [{"tag": "kg"}]})),
    ("kafka", put("kafka", rate_limit="50MiB/s", live_first=True)),
    ("kafka", put("kafka", linger="5ms")),
    ("kafka", put("kafka", compression="zstd", window_bytes="1MiB")),
    ("kafka", put("kafka", properties=["socket.keepalive.enable=true"])),
    ("metrics", put("metrics", listen="127.0.0.1:{port}")),
    ("kafka", put("kafka", samples_topic=OTHER)),
    ("metrics", lambda conf: conf.pop("metrics")),
    ("kafka", put("kafka", samples_topic=kafkas.SAMPLES)),
    ("all back", lambda conf: [conf.pop(k) for k in ("alarms", "thin", "notify", "sim", "modbus", "devices", "profiles", "syslog", "serial")]),
]


def with_ports(value, port):
    if isinstance(value, dict):
        return {k: with_ports(v, port) for k, v in value.items()}
    if isinstance(value, list):
        return [with_ports(v, port) for v in value]
    return value.replace("{port}", str(port)) if isinstance(value, str) else value


@pytest.fixture
def other_topic(kafka):
    admin = AdminClient(kafka.client)  # what it makes dies with it
    made = admin.create_topics([NewTopic(OTHER, num_partitions=kafkas.PARTITIONS, replication_factor=1)])
    try:
        made[OTHER].result(30)
    except Exception as e:
        assert "already exists" in str(e), e
    return OTHER


def test_every_section_changes_while_data_flows(room, other_topic):
    room.since[OTHER] = room.kafka.ends(OTHER)
    agent = room.agent().start()
    steady = Steady(room, 1000)
    agent.wait("readings to flow", lambda s: s["delivered"] > 1000)
    epoch = agent.status()["epoch"]
    for name, change in CHANGES:
        change(agent.conf)
        agent.conf = with_ports(agent.conf, wait.free_port())
        before = agent.status()
        status = reload(agent)
        assert not status["config"]["faults"] and not status["config"]["restart_for"], (name, status["config"])
        plant = status["drivers"][0]
        assert plant["state"] == "up" and plant["readings"] >= before["drivers"][0]["readings"], f"{name}: the mqtt driver began anew"
        agent.wait(f"readings to flow after {name}", lambda s: s["delivered"] > status["delivered"] + 200)
        names = {item["name"] for kind in ("mqtt", "sim", "modbus", "syslog", "serial") for item in agent.conf.get(kind, [])}
        assert {d["name"] for d in status["drivers"]} == names, name
    acked = steady.finish()
    assert connections(room) == 1, "the session that did not change was begun anew"
    assert agent.status()["epoch"] == epoch and agent.status()["site"] == "plant-9"
    kinds = [e.data for e in room.events() if e.data["kind"] == "config"]
    assert [e["state"] for e in kinds].count("reloaded") >= len(CHANGES) - 1
    check_all(room, agent, acked, lambda: room.samples() + records.of_gateway(room.kafka.read(OTHER, room.since[OTHER]), room.gateway))
    assert records.of_gateway(room.kafka.read(OTHER, room.since[OTHER]), room.gateway), "the topic did not change"


# ---- sections, one by one, where it must show ----

def test_an_mqtt_item_changes_and_the_session_goes_on(room):
    """A changed subscription: its last acknowledgements are out, the session is resumed, what was taken away is unsubscribed."""
    agent = room.agent().start()
    steady = Steady(room, 3000)
    agent.wait("readings to flow", lambda s: s["delivered"] > 3000)
    for i in range(4):
        agent.conf["mqtt"][0]["subscriptions"] = agent.conf["mqtt"][0]["subscriptions"][:1]
        if i % 2:
            agent.conf["mqtt"][0]["subscriptions"].append({"topic": f"more-{room.gateway}/{{source}}/{{tag}}", "payload": "number"})
        agent.conf["mqtt"][0]["ack_delay"] = f"{10 + i}ms"
        reload(agent)
        status = agent.wait("the link", lambda s: s["drivers"][0]["state"] == "up")
        agent.wait("readings to flow", lambda s: s["delivered"] > status["delivered"] + 2000)
    acked = steady.finish()
    assert connections(room) == 5
    publisher = room.publisher()
    publisher.one(room.state_topic("motor-1"), b'{"temp":1}')  # nobody's any more
    publisher.one(f"more-{room.gateway}/m/extra", b"7")
    status = agent.wait("the last", lambda s: s["accepted"] == len(acked) + 1)
    assert status["quarantined"] == 0, "a subscription that was taken away still brings messages"
    check_all(room, agent, acked, room.samples, extra=1)


def test_a_retained_message_does_not_come_again(room):
    """With 3.1.1 each subscribe brings them: what asks for the same is not asked for again."""
    publisher = room.publisher()
    publisher.one(room.topic("press-1", "temp"), b"71", retain=True)
    agent = room.agent({"mqtt": {"protocol": "3.1.1"}}).start()
    agent.wait("the retained message", lambda s: s["accepted"] == 1)
    agent.conf["mqtt"][0]["ack_delay"] = "30ms"
    reload(agent)
    agent.wait("the link", lambda s: s["drivers"][0]["state"] == "up")
    publisher.one(room.topic("press-1", "temp"), b"72")
    agent.wait_delivered(2)
    assert [r.data["value"] for r in room.samples()] == [71.0, 72.0]
    publisher.one(room.topic("press-1", "temp"), b"", retain=True)


def test_a_device_comes_and_goes(room, tmp_path):
    tables = tmp_path / "slave"
    tables.mkdir()
    port = wait.free_port()
    slave = Slave(str(tables), PEERS["libmodbus"], port, "holding 0 7\nholding 1 8").start()
    agent = room.agent({"modbus": [{"name": "bus", "port": f"tcp://127.0.0.1:{port}"}],
                        "profiles": [{"name": "p", "period": "100ms", "registers": [{"tag": "a", "at": "holding:0", "type": "int16", "unit": "bar"}]}],
                        "devices": [{"source": "one", "bus": "bus", "unit": UNIT, "profile": "p"}]}).start()
    steady = Steady(room, 500)
    wait.until("the device", 10, lambda: agent.listing("tags"))
    agent.conf["profiles"][0]["registers"][0]["unit"] = "mbar"
    agent.conf["profiles"][0]["registers"].append({"tag": "b", "at": "holding:1", "type": "int16"})
    reload(agent)
    wait.until("the new register and unit", 20, lambda: {("a", "mbar"), ("b", "")} == {
        (t["tag"], t.get("unit") or "") for t in agent.listing("tags") if t["source"] == "one"}, detail=lambda: str(agent.listing("tags")))
    wait.until("the change of unit to be told", 20, lambda: [
        (e.data["tag"], e.data["new_unit"]) for e in room.events() if e.data["kind"] == "tag"] == [("a", "mbar")])
    n = next(d for d in agent.status()["drivers"] if d["name"] == "bus")["readings"]
    agent.wait("the bus to be read", lambda s: next(d for d in s["drivers"] if d["name"] == "bus")["readings"] > n + 5)
    for section in ("modbus", "profiles", "devices"):
        del agent.conf[section]
    status = reload(agent)
    assert [d["name"] for d in status["drivers"]] == ["plant"]
    acked = steady.finish()
    assert connections(room) == 1
    slave.stop()
    check_all(room, agent, acked, room.samples)


def alarm_rows(agent):
    return {(r["source"], r["rule"]): r for r in agent.listing("alarms", "ls")}


def test_rules_change_and_states_stay(room):
    hot = {"name": "hot", "match": "press-*/temp", "rule": "limits", "hi": 85, "severity": 700}
    slow = {"name": "slow", "match": "press-*/temp", "rule": "limits", "hi": 50, "on_delay": "3s", "severity": 300}
    gone = {"name": "gone", "match": "press-1/temp", "rule": "limits", "hi": 10, "severity": 400}
    agent = room.agent({"alarms": [hot, slow, gone]}).start()
    publisher = room.publisher()
    for source in ("press-1", "press-2"):
        publisher.one(room.topic(source, "temp"), b"90")
    wait.until("the alarms", 10, lambda: {("press-1", "hot"), ("press-1", "gone"), ("press-2", "hot")} <= alarm_rows(agent).keys())
    raised = time.monotonic()
    agent.tool("alarms", "shelve", "press-1/temp/hot", "--for", "2h", "--operator", "lee")
    agent.tool("alarms", "ack", "press-2/temp/hot", "--operator", "kim")
    before = alarm_rows(agent)
    agent.conf["alarms"] = [{**hot, "hi": 95}, slow]
    reload(agent)
    rows = alarm_rows(agent)
    assert (rows["press-1", "hot"]["state"], rows["press-2", "hot"]["state"]) == ("shelved", "acked")
    assert rows["press-1", "hot"]["event_id"] == before["press-1", "hot"]["event_id"]
    assert ("press-1", "gone") not in rows
    # the rule that did not change is in the middle of its delay
    wait.until("the delay to end", 10, lambda: ("press-1", "slow") in alarm_rows(agent))
    assert time.monotonic() - raised < 6
    publisher.one(room.topic("press-2", "temp"), b"94")  # over the old limit, under the new one
    wait.until("the new limit to count", 10, lambda: ("press-2", "hot") not in alarm_rows(agent))
    publisher.one(room.topic("press-2", "temp"), b"96")
    wait.until("the new limit to count", 10, lambda: ("press-2", "hot") in alarm_rows(agent))
    history = agent.listing("alarms", "history")
    assert [(h["source"], h["rule"]) for h in history if h["change"] == "not_watched"] == [("press-1", "gone")]
    agent.wait("the events to be delivered", lambda s: s["events"]["held"] == 0)
    told = [e.data for e in room.events() if e.data["kind"] == "alarm" and e.data["state"] == "not_watched"]
    assert [(e["source"], e["rule"], e["active"]) for e in told] == [("press-1", "gone", False)]
    agent.restart()
    again = alarm_rows(agent)
    assert again.keys() == alarm_rows(agent).keys() and again["press-1", "hot"]["state"] == "shelved"
    del agent.conf["alarms"]
    reload(agent)
    assert not alarm_rows(agent) and agent.status()["alarms"]["active"] == 0


def test_the_metrics_page_moves(room):
    ports = wait.free_port(), wait.free_port()
    agent = room.agent({"metrics": {"listen": f"127.0.0.1:{ports[0]}"}}).start()
    agent.conf["metrics"]["listen"] = f"127.0.0.1:{ports[1]}"
    reload(agent)
    with urllib.request.urlopen(f"http://127.0.0.1:{ports[1]}/metrics", timeout=10) as page:
        assert b"millrace_info" in page.read()
    assert not wait.port_answers(ports[0])
    agent.conf["metrics"]["listen"] = f"127.0.0.1:{room.mosquitto.port}"  # somebody's
    status = reload(agent, "refused")
    assert "metrics.listen" in status["config"]["faults"][0], status["config"]
    assert wait.port_answers(ports[1]), "what worked before does so still"


# ---- faults, and what needs a restart ----

def test_a_faulty_configuration_changes_nothing(room):
    agent = room.agent().start()
    steady = Steady(room, 500)
    good = dict(agent.conf)
    agent.conf = {**good, "log": {"level": "loud"}, "limits": {"max_tags": 0}, "alarms": [{"match": "*", "rule": "limits"}]}
    status = reload(agent, "refused")
    assert len(status["config"]["faults"]) == 3
    assert all(re.match(rf"{re.escape(agent.config)}:\d+:\d+: (log|limits|alarms)", f) for f in status["config"]["faults"]), status["config"]
    for fault in status["config"]["faults"]:
        assert fault in agent.log()
    assert "it was changed and is not in use: " in agent.tool("status", code=1).stdout
    agent.conf = {**good, "kafka": {**good["kafka"], "properties": ["no.such.property=1"]}}
    assert "no.such.property" in reload(agent, "refused")["config"]["faults"][0]
    agent.conf = good

    def sighup(what):
        before = agent.status()["config"]["refused"]
        agent.process.signal(signal.SIGHUP)
        done = agent.wait("the refusal", lambda s: s["config"]["refused"] == before + 1)
        assert done["config"]["state"] == "refused" and what in done["config"]["faults"][0], done["config"]

    agent.write()
    os.rename(agent.config, agent.config + ".away")
    os.symlink(agent.config + ".nowhere", agent.config)
    agent_config, agent.tool = agent.config, lambda *a, **k: agents.tool("--config", agent_config + ".away", *a, **k)
    sighup("No such file")
    os.unlink(agent.config)
    open(agent.config, "w", encoding="ascii").close()
    sighup("empty")
    os.unlink(agent.config)
    os.mkdir(agent.config)
    sighup("directory")
    os.rmdir(agent.config)
    os.rename(agent.config + ".away", agent.config)
    del agent.tool
    assert reload(agent)["config"]["faults"] == []
    acked = steady.finish()
    assert connections(room) == 1
    agent.wait("the events to be delivered", lambda s: s["events"]["held"] == 0)
    refused = [e.data for e in room.events() if e.data["kind"] == "config" and e.data["state"] == "refused"]
    assert [e["faults"] for e in refused] == [3, 1, 1, 1, 1] and all(e["why"] for e in refused)
    check_all(room, agent, acked, room.samples)


def test_what_needs_a_restart_is_named(room, tmp_path):
    agent = room.agent().start()
    good = dict(agent.conf)
    agent.conf = {**good, "gateway": "gw-other", "control": {"socket": str(tmp_path / "other.sock")},
                  "spool": {**good["spool"], "path": str(tmp_path / "other.db"), "max_size": "128MiB"},
                  "kafka": {**good["kafka"], "window_records": 300}, "site": "plant-9"}
    # the tool asks by the old configuration
    agent.write()
    os.rename(agent.config, agent.config + ".new")
    agent.conf, wanted = good, agent.conf
    agent.write()
    old = agent.config + ".old"
    os.rename(agent.config, old)
    os.rename(agent.config + ".new", agent.config)
    agent.tool = lambda *a, **k: agents.tool("--config", old, *a, **k)
    agent.process.signal(signal.SIGHUP)
    status = agent.wait("the reload", lambda s: s["config"]["reloads"] == 1)
    assert status["config"]["restart_for"] == ["gateway", "spool.path", "control.socket", "kafka.window_records"]
    assert (status["gateway"], status["site"], status["spool_max_bytes"]) == (room.gateway, "plant-9", 128 << 20)
    for key in status["config"]["restart_for"]:
        assert re.search(rf"configuration, since .*after a restart only: .*{re.escape(key)}", agent.tool("status", code=None).stdout)
    assert "restart for the new value of: gateway spool.path" in agent.log()
    assert wanted["gateway"] != status["gateway"] and not os.path.exists(tmp_path / "other.db")
    os.rename(old, agent.config)
    del agent.tool
    agent.conf = good
    assert reload(agent)["config"]["restart_for"] == []


def test_the_service_manager_is_told(room):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(str(room.folder / "notify"))
        told.settimeout(20)
        agent = room.agent()
        agent.env = {"NOTIFY_SOCKET": str(room.folder / "notify")}
        agent.start()

        def next_of(*words):
            while True:
                got = told.recv(4096).decode()
                if got.startswith(words):
                    return got

        assert next_of("READY=1", "RELOADING=1") == "READY=1"
        for state in ("ok", "refused"):
            before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
            agent.conf["log"] = {"level": "debug" if state == "ok" else "loud"}
            reload(agent, state)
            begun = re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=(\d+)", next_of("READY=1", "RELOADING=1"))
            assert before <= int(begun.group(1)) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
            assert next_of("READY=1", "RELOADING=1") == "READY=1", "also when it was refused: the daemon runs"
        del agent.conf["log"]
        agent.write()


# ---- at bad moments ----

def test_conf_d_files_come_and_go(room):
    agent = room.agent().start()
    folder = os.path.join(agent.folder, "conf.d")
    os.mkdir(folder)
    steady = Steady(room, 500)
    path = os.path.join(folder, "10-sim.yaml")
    with open(path, "w", encoding="ascii") as f:
        f.write(agents.yaml({"sim": [sim("m")], "site": "plant-9"}) + "\n")
    status = reload(agent)
    assert [d["name"] for d in status["drivers"]] == ["plant", "m"] and status["site"] == "plant-9"
    agent.wait("its readings", lambda s: s["drivers"][1]["readings"] > 5)
    with open(path, "a", encoding="ascii") as f:
        f.write("gateway: twice\n")
    faults = reload(agent, "refused")["config"]["faults"]
    assert len(faults) == 1 and re.match(rf"{re.escape(path)}:\d+:1: gateway: set twice, first in {re.escape(agent.config)}:1:1", faults[0]), faults
    os.unlink(path)
    status = reload(agent)
    assert [d["name"] for d in status["drivers"]] == ["plant"] and "site" not in status
    os.rmdir(folder)
    os.symlink("conf.d", folder)  # a folder that can't be read, for root as well
    faults = reload(agent, "refused")["config"]["faults"]
    assert len(faults) == 1 and faults[0].startswith(f"{folder}: can't be read: "), faults
    os.unlink(folder)
    reload(agent)
    acked = steady.finish()
    check_all(room, agent, acked, room.samples)


def test_many_in_a_row_and_one_while_it_ends(room):
    agent = room.agent().start()
    steady = Steady(room, 500)
    for i in range(20):
        agent.conf["sim"] = [sim("m", period=f"{50 + i}ms")]
        agent.conf["kafka"]["linger"] = f"{i + 1}ms"
        agent.write()
        agent.process.signal(signal.SIGHUP)
        time.sleep(0.02 * (i % 3))
    agent.wait("the last of them", lambda s: s["config"]["state"] == "ok" and len(s["drivers"]) == 2)
    reload(agent)
    acked = steady.finish()
    status = agent.wait("all to be delivered", lambda s: s["accepted"] - s["held"] > len(acked))
    assert status["dropped"] == 0 and connections(room) == 1
    for stop_after in (0, 0.05):
        agent.conf["sim"] = [sim("m", period="77ms" if stop_after else "78ms")]
        agent.conf["kafka"]["linger"] = "50ms" if stop_after else "51ms"
        agent.write()
        agent.process.signal(signal.SIGHUP)
        time.sleep(stop_after)
        agent.process.signal(signal.SIGHUP)
        agent.stop()
        agent.start()
    del agent.conf["sim"]
    reload(agent)
    check_all(room, agent, acked, room.samples)


def test_while_kafka_is_away(room, tmp_path_factory, jars):
    agent = room.agent(kafka="127.0.0.1:1")
    agent.start(links=False)
    agent.wait("the broker", lambda s: s["drivers"][0]["state"] == "up")
    steady = Steady(room, 500)
    agent.conf["kafka"]["linger"] = "3ms"
    reload(agent)
    status = agent.wait("readings to be held", lambda s: s["held"] > 500)
    assert status["uplink"]["state"] != "up"
    agent.conf["kafka"]["brokers"] = [room.kafka.brokers]  # the address was wrong
    reload(agent)
    acked = steady.finish()
    check_all(room, agent, acked, room.samples)


def test_on_a_slow_disk(room):
    """A reload that has to wait for commits of 2.5 s; others go on meanwhile, and so does the end."""
    disk = BadDisk(room.folder, room.folder / "bad-disk")
    agent = room.agent({"sim": [sim("m")]})
    agent.env = disk.env()
    agent.start()
    agent.wait("the broker", lambda s: s["drivers"][0]["state"] == "up", 60)
    steady = Steady(room, 200)
    agent.wait("readings", lambda s: s["accepted"] > 100, 60)
    disk.say("slow 2500 fdatasync")
    agent.conf["mqtt"][0]["ack_delay"] = "30ms"
    agent.conf["spool"]["max_size"] = "64MiB"
    n = agent.status()["drivers"][1]["readings"]
    status = reload(agent, seconds=60)
    assert status["drivers"][1]["readings"] > n, "the source that did not change was held up"
    agent.wait("the link", lambda s: s["drivers"][0]["state"] == "up", 60)
    acked = steady.finish()
    agent.wait("all to be taken", lambda s: s["drivers"][0]["readings"] > 0 and s["accepted"] > len(acked), 90)
    agent.conf["mqtt"][0]["ack_delay"] = "31ms"
    agent.write()
    agent.process.signal(signal.SIGHUP)
    time.sleep(0.3)
    assert agent.process.end(signal.SIGTERM, 30) == 0, agent.log_tail()
    disk.say("")
    agent.start()
    del agent.conf["sim"]
    reload(agent)
    check_all(room, agent, acked, room.samples)


def test_an_end_during_a_slow_commit(room):
    """SIGTERM while a commit of 3 s runs on the work queue: what it touches is still there when it is done."""
    disk = BadDisk(room.folder, room.folder / "bad-disk")
    agent = room.agent({"sim": [sim("m", period="50ms")]})
    agent.env = disk.env()
    agent.start()
    agent.wait("readings", lambda s: s["accepted"] > 10, 60)
    for _ in range(3):
        disk.say("slow 3000 fdatasync")
        publisher = room.publisher()
        publisher.publish((room.topic("p", "late"), b"%d" % i, i) for i in range(50))
        time.sleep(0.5)
        assert agent.process.end(signal.SIGTERM, 30) == 0, agent.log_tail()
        disk.say("")
        assert "ended, everything committed" in agent.log_tail() and "Sanitizer" not in agent.log(), agent.log_tail()
        agent.start()
        agent.wait("readings", lambda s: s["accepted"] > 10, 60)
