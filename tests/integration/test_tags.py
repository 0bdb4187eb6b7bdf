"""What a tag is: lines with equal names, units that change, a full table. Nothing of it may stop a start."""

from rig import wait


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
        (e["from"], e["to"], e["source"], e["tag"]) for e in (r.data for r in room.events()) if e["kind"] == "tag"] == [
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
