"""What a tag is: lines with equal names, units that change, a full table, whose a name is. Nothing of it may stop a start."""

from rig import wait
from test_reload import reload, sim


def publish(room, *pairs):
    publisher = room.publisher()
    for topic, value in pairs:
        publisher.one(f"{room.gateway}/{topic}", str(value))
    publisher.close()
    return len(pairs)


def kept(agent):
    return [(r["source"], r["tag"], r.get("line"), r["value"], r.get("unit")) for r in agent.listing("spool", "tail", "-n", "100")]


def test_two_lines_with_equal_names_are_two_tags_and_start_again(room):
    agent = room.agent().start()
    n = publish(room, ("line-1/press-1/temp", 1.5), ("line-2/press-1/temp", 2.5))
    agent.wait_delivered(n)
    agent.restart()
    n += publish(room, ("line-1/press-1/temp", 3.5), ("line-2/press-1/temp", 4.5))
    agent.wait_delivered(n)
    assert kept(agent) == [("press-1", "temp", "line-1", 1.5, None), ("press-1", "temp", "line-2", 2.5, None),
                           ("press-1", "temp", "line-1", 3.5, None), ("press-1", "temp", "line-2", 4.5, None)]
    assert len(agent.listing("tags")) == 2
    agent.restart()


def publish_temp(room, value):
    publisher = room.publisher()
    publisher.one(room.state_topic("press-3"), '{"temp": %s}' % value)
    publisher.close()


def test_send_onto_a_tag_with_a_unit(room):
    agent = room.agent().start()
    publish_temp(room, 20.5)
    agent.wait_delivered(1)
    agent.tool("send", "press-3/temp", "71.3")
    agent.tool("send", "--unit", "K", "press-3/temp", "344.4", code=1)
    agent.tool("send", "--unit", "degC", "press-3/temp", "72.5")
    agent.wait_delivered(3)
    agent.restart()
    publish_temp(room, 21.5)
    agent.wait_delivered(4)
    assert [(r[3], r[4]) for r in kept(agent)] == [(v, "degC") for v in (20.5, 71.3, 72.5, 21.5)]
    assert [r.data["value"] for r in room.samples() if r.data.get("test")] == [71.3, 72.5]
    assert len(agent.listing("tags")) == 1


def test_a_unit_that_changes_is_an_event_and_held_readings_keep_theirs(room):
    agent = room.agent({"kafka": {"brokers": ["127.0.0.1:1"]}})
    temp = agent.conf["mqtt"][0]["subscriptions"][1]["readings"][0]
    units = ["degC", "K", "degF", "degC"]
    for n, unit in enumerate(units):
        temp["unit"] = unit
        if n == len(units) - 1:
            agent.conf["kafka"]["brokers"] = [room.kafka.brokers]
        agent.write()
        agent.start(links=False)
        agent.wait("MQTT to be up", lambda s: s["drivers"][0]["state"] == "up")
        publish_temp(room, 20.5 + n)
        agent.wait("its reading", lambda s, n=n: s["accepted"] == n + 1)
        if n < len(units) - 1:
            agent.stop()
    agent.wait_delivered(len(units))
    assert [(r.data["value"], r.data["unit"]) for r in room.samples()] == [(20.5 + n, u) for n, u in enumerate(units)]
    wait.until("the changes to be told", 20, lambda: [
        (e["old_unit"], e["new_unit"], e["source"], e["tag"]) for e in (r.data for r in room.events()) if e["kind"] == "tag"] == [
        (a, b, "press-3", "temp") for a, b in zip(units, units[1:])])
    assert [(t["tag"], t["unit"]) for t in agent.listing("tags")] == [("temp", "degC")]


def test_a_table_that_a_flood_filled_does_not_stop_a_start(room):
    agent = room.agent({"limits": {"max_tags": 100}}).start()
    publish(room, *((f"l/s-{i}/t", i) for i in range(120)))
    agent.wait("the flood", lambda s: s["accepted"] >= 100)
    agent.stop()
    agent.conf["limits"]["max_tags"] = 50
    agent.write()
    agent.start()
    assert len(agent.listing("tags")) == 100


def flood(agent, room, n=120):
    publish(room, *((f"l/s-{i}/t", i) for i in range(n)))
    agent.wait("the flood", lambda s: s["drivers"][0]["malformed"] + s["drivers"][0]["readings"] >= n)


def sources(agent):
    return {t["source"]: t["driver"] for t in agent.listing("tags")}


def test_a_flood_leaves_configured_sources_their_room(room):
    agent = room.agent({"limits": {"max_tags": 100}}).start()
    flood(agent, room)
    agent.conf["sim"] = [sim("mill"), sim("s-7")]
    agent.conf["mqtt"][0]["subscriptions"].append({"topic": room.gateway + "-hall", "source": "hall", "tag": "level"})
    agent.restart()
    agent.conf["sim"].append(sim("late"))
    reload(agent)
    publisher = room.publisher()
    publisher.one(room.gateway + "-hall", "12.5")
    publisher.close()
    ours = {"mill": "mill", "s-7": "s-7", "late": "late", "hall": "plant"}
    wait.until("configured sources to have their tags", 20, lambda: {s: d for s, d in sources(agent).items() if s in ours} == ours)
    status = agent.status()
    assert status["tag_table"]["from_wire"] == 100 == status["tag_table"]["max"], status["tag_table"]
    assert status["drivers"][0]["names_refused"] == 0 and status["drivers"][0]["max_tags"] == 100
    reasons = {q["reason"] for q in agent.listing("spool", "quarantine")}
    assert reasons == {"tag table full: max_tags of mqtt plant is 100"}
    agent.restart()


def test_a_share_is_told_and_leaves_the_other_its_own(room):
    agent = room.agent({"limits": {"max_tags": 100}})
    other = {**agent.conf["mqtt"][0], "name": "other", "subscriptions": [{"topic": f"other-{room.gateway}/{{source}}/{{tag}}"}]}
    agent.conf["mqtt"].append(other)
    agent.write()
    agent.start()
    flood(agent, room, 80)
    publisher = room.publisher()
    publisher.one(f"other-{room.gateway}/saw/rpm", "3000")
    publisher.close()
    agent.wait("the other's reading", lambda s: s["drivers"][1]["readings"] == 1)
    plant, other = agent.status()["drivers"]
    assert (plant["tags"], plant["max_tags"], plant["names_refused"]) == (50, 50, 30)
    assert (other["tags"], other["max_tags"], other["names_refused"]) == (1, 50, 0)
    wait.until("both levels, once each", 20, lambda: [(e["state"], e["driver"], e["most"]) for e in (r.data for r in room.events())
                                                      if e["kind"] == "tag_limit"] in ([("high", "plant", 50), ("full", "plant", 50)],
                                                                                       [("full", "plant", 50)]))
    assert "mqtt plant: 50 of 50 (max_tags)" in agent.tool("status", code=1).stdout


def test_nobody_speaks_for_a_source_that_another_item_has(room):
    agent = room.agent({"alarms": [{"name": "hot", "match": "mill/v", "rule": "limits", "hi": 1000, "severity": 500}]})
    agent.start()
    publish(room, ("l1/mill/v", 7))
    agent.wait_delivered(1)
    agent.conf["sim"] = [sim("mill", period="1h")]
    reload(agent)
    publish(room, ("l1/mill/v", 5000), ("l1/mill/w", 5000), ("l1/saw/v", 3))
    status = agent.wait("all messages", lambda s: s["drivers"][0]["malformed"] + s["drivers"][0]["readings"] == 4)
    assert (status["drivers"][0]["sources_refused"], status["drivers"][0]["untagged"]) == (2, 2)
    wait.until("both to be on disk", 20, lambda: [q["reason"] for q in agent.listing("spool", "quarantine")] == ["mill belongs to sim mill"] * 2)
    assert [r["value"] for r in agent.listing("spool", "tail", "-n", "100") if r["source"] == "mill" and r.get("line")] == [7]
    assert agent.listing("alarms", "ls") == []
    refused = wait.until("the event", 20, lambda: [e for e in (r.data for r in room.events()) if e["kind"] == "source_refused"])
    assert [(e["source"], e["driver"], e["owner"]) for e in refused] == [("mill", "plant", "mill")]
    agent.conf["sim"] = []
    del agent.conf["sim"]
    reload(agent)
    publish(room, ("l1/mill/v", 8))
    agent.wait("it to be heard again", lambda s: s["drivers"][0]["readings"] == 3)


def forget(agent, *args, code=0):
    return agent.tool("tags", "forget", *args, code=code).stdout


def names(agent):
    return sorted(t["source"] for t in agent.listing("tags"))


def test_tags_are_given_back_while_the_daemon_runs(room):
    agent = room.agent({"limits": {"max_tags": 20}, "sim": [sim("mill", period="1h")],
                        "alarms": [{"name": "hot", "match": "s-3/t", "rule": "limits", "hi": 2, "severity": 500}]}).start()
    flood(agent, room, 30)
    agent.wait("all of it, delivered", lambda s: s["delivered"] == 20 and s["held"] == 0 and s["alarms"]["active"] == 1)
    agent.tool("tags", "forget", "s-*", code=2)
    agent.tool("tags", "forget", "--yes", code=2)
    forget(agent, "*", "--unused-for", "1h", "--yes", code=1)
    shown = {t["source"]: t["stays"] for t in agent.listing("tags", "forget", "*", "--dry-run")}
    assert len(shown) == 21 and {s: why for s, why in shown.items() if why} == {"mill": "configured", "s-3": "alarm"}
    assert names(agent) == sorted(shown)
    assert "forgotten: 19 tags" in forget(agent, "*", "--yes", code=1)
    assert names(agent) == ["mill", "s-3"]
    agent.wait("room", lambda s: s["tag_table"]["from_wire"] == 1 and s["tag_table"]["forgotten"] == 19)
    wait.until("it to be told", 20, lambda: [e["n"] for e in (r.data for r in room.events()) if e["kind"] == "tags_forgotten"] == [19])
    publish(room, ("l/s-7/t", 70), ("l/t-1/t", 71))
    agent.wait("a new one and one anew", lambda s: s["tag_table"]["from_wire"] == 3 and s["held"] == 0)
    agent.restart()
    assert names(agent) == ["mill", "s-3", "s-7", "t-1"]
    kept = [(r["source"], r["value"]) for r in agent.listing("spool", "tail", "-n", "100") if r["source"] != "mill"]
    assert kept == [(f"s-{i}", i) for i in range(20)] + [("s-7", 70), ("t-1", 71)]
    agent.tool("spool", "verify", "--all")


def test_tags_are_given_back_without_a_daemon(room):
    agent = room.agent({"sim": [sim("mill", period="1h")], "kafka": {"brokers": ["127.0.0.1:1"]}})
    agent.start(links=False)
    agent.wait("MQTT to be up", lambda s: s["drivers"][0]["state"] == "up")
    flood(agent, room, 20)
    agent.wait("it to be on disk", lambda s: s["held"] == 20)
    assert "20 with readings that Kafka does not have" in forget(agent, "s-*", "--yes", code=1)
    agent.stop()
    assert "20 with readings that Kafka does not have" in forget(agent, "s-*", "--yes", code=1)
    agent.conf["kafka"]["brokers"] = [room.kafka.brokers]
    agent.write()
    agent.start()
    agent.wait_delivered(20)
    agent.stop()
    assert "forgotten: 10 tags" in forget(agent, "s-1?", "--yes")
    assert "no such tags" in forget(agent, "s-1?", "--yes", code=1)
    forget(agent, "mill", "--yes", code=1)
    agent.tool("spool", "verify", "--all")
    agent.start()
    assert sorted(t["source"] for t in agent.listing("spool", "stats") if "source" in t) == ["mill"] + sorted(f"s-{i}" for i in range(20))
    assert names(agent) == ["mill"] + [f"s-{i}" for i in range(10)]
    publish(room, ("l/s-12/t", 5))
    wait.until("the tag anew", 20, lambda: "s-12" in names(agent))
