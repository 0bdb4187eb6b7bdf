"""Names in any script, from the wire and from the configuration, to the record, its key, alarms, topics, commands and back."""

import json

import yaml
from test_alarms_retained import Screen

RULES = [{"name": "뜨거움", "match": "공장/온?", "rule": "limits", "hi": 50, "severity": 700}]
NAMES = [("공장", "온도"), ("공장", "습도"), ("Küche", "temp"), ("Köche", "temp"), ("завод", "темп"), ("مصنع", "حرارة"), ("料", "温度 1"),
         ("料", "温度_1"), ("a b", "t"), ("a_b", "t"), ("a?b", "t"), ("", "t"), ("x" * 70 + "1", "t"), ("x" * 70 + "2", "t"),
         ("\u00e9", "t"), ("온" * 64, "T_°C"), ("온" * 65, "m³"), ("p", "-"), ("p", "temp{line=l1}"), ("p", "n\u200bn"), ("p", "nn")]


def publish(room, pairs, value=60):
    publisher = room.publisher()
    for n, (source, tag) in enumerate(pairs):
        publisher.one(f"{room.gateway}/l1/{source}/{tag}", str(value + n))
    publisher.close()
    return len(pairs)


def test_one_name_however_it_is_typed(room):
    agent = room.agent().start()
    agent.wait_delivered(publish(room, [("Ko\u0308che", "e\u0301"), ("K\u00f6che", "\u00e9"), ("\u1112\u1161\u11ab", "\u212b"), ("\ud55c", "\u00c5")]))
    assert [(t["source"], t["tag"]) for t in agent.listing("tags")] == [("K\u00f6che", "\u00e9"), ("\ud55c", "\u00c5")]
    assert all(d.get("names_mapped", 0) == 0 for d in agent.status()["drivers"])  # that is no change
    agent.tool("send", "Ko\u0308che/e\u0301", "71.3")
    agent.wait_delivered(5)
    assert [r["value"] for r in agent.listing("spool", "tail", "--tag", "Ko\u0308che/e\u0301")] == [60.0, 61.0, 71.3]


def test_no_two_names_become_one(room):
    agent = room.agent({"alarms": RULES, "notify": {"mqtt": {"connection": "plant"}}}).start()
    screen = Screen(room.mosquitto.port, room.gateway)
    n = publish(room, NAMES)
    agent.wait_delivered(n)
    tags = [(t["source"], t["tag"]) for t in agent.listing("tags")]
    assert len(tags) == len(set(tags)) == len(NAMES)
    assert tags[:6] == NAMES[:6]
    records = room.samples()
    assert [(r.data["source"], r.data["tag"]) for r in records] and len({(r.data["source"], r.data["tag"]) for r in records}) == n
    for r in records:
        key = r.key.decode() if isinstance(r.key, bytes) else r.key
        assert key == f"{room.gateway}/{r.data['source']}"
    screen.wait("공장/온도/뜨거움", lambda e: e and e["alarm_state"] == "unack" and e["tag"] == "온도")
    agent.tool("alarms", "ack", "공장/온도/뜨거움", "--operator", "김")
    screen.wait("공장/온도/뜨거움", lambda e: e["alarm_state"] == "acked" and e["operator"] == "김")
    agent.tool("send", "공장/온도", "71.3")
    agent.tool("send", "새공장/습도", "1")
    agent.wait_delivered(n + 2)
    assert [r["value"] for r in agent.listing("spool", "tail", "--tag", "공장/온도")] == [60.0, 71.3]
    assert "온도" in agent.tool("tail", "공장/온도").stdout
    agent.restart()
    n += 2 + publish(room, list(reversed(NAMES)))
    agent.wait_delivered(n)
    assert len(agent.listing("tags")) == len(NAMES) + 1  # a name is what was sent, in whatever order
    assert agent.status()["health"] == "ok"
    screen.close()


def test_a_configuration_in_any_script(room):
    settings = {"sim": [{"name": "모의", "source": "공장", "period": "100ms", "tags": [{"tag": "온도"}, {"tag": "a_b~20"}, {"tag": "e\u0301"}]}],
                "alarms": [{"name": "뜨거움", "match": "공장/온도", "rule": "limits", "hi": 1000000}]}
    agent = room.agent(settings)
    dumped = yaml.safe_load(agent.tool("check", "--dump").stdout)
    assert dumped["sim"][0]["source"] == "공장" and [t["tag"] for t in dumped["sim"][0]["tags"]] == ["온도", "a_b._20", "\u00e9"]  # ~: as it was written before
    agent.start()
    agent.wait("readings", lambda s: s["accepted"] >= 4)
    assert {(t["source"], t["tag"]) for t in agent.listing("tags")} >= {("공장", "온도"), ("공장", "a_b._20")}
    assert "모의" in agent.tool("metrics").stdout
    json.dumps(agent.status())
