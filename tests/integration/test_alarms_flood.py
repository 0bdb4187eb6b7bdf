"""A thousand alarms in ten seconds, with every notifier: the first and the most severe are out at once, the rest is one message."""

import json
import os

from rig import wait
from test_alarms_retained import Screen

ALARMS = 1000
WORST = 777


def one_by_one(told):
    return [e for e in told if e["kind"] == "alarm"]


def groups(told):
    return [e for e in told if e["kind"] == "alarm_group"]


class Listener(Screen):
    """All that comes, in order."""

    def __init__(self, port, gateway):
        self.told = []
        super().__init__(port, gateway)

    def _on_message(self, client, userdata, message):
        if message.payload:
            self.told.append(json.loads(message.payload))
        super()._on_message(client, userdata, message)


def test_a_flood_is_grouped_by_every_notifier(room, tmp_path):
    hook, out = str(tmp_path / "hook"), str(tmp_path / "told")
    with open(hook, "w", encoding="ascii") as f:
        f.write(f"#!/bin/sh\nexec cat >> '{out}'\n")
    os.chmod(hook, 0o755)
    agent = room.agent({"alarms": [{"name": "over", "match": "*/*", "rule": "limits", "hi": 50, "severity": 500},
                                   {"name": "worst", "match": f"m/t{WORST}", "rule": "limits", "hi": 50, "severity": 900}],
                        "notify": {"mqtt": {"connection": "plant"}, "exec": {"command": [hook]}}}).start()
    screen, publisher = Listener(room.mosquitto.port, room.gateway), room.publisher()
    publisher.publish(((room.topic("m", f"t{i}"), b"20", i) for i in range(ALARMS)))
    agent.wait_delivered(ALARMS)
    before = agent.rss_kib()

    def by_hook():
        if not os.path.exists(out):
            return []
        with open(out, encoding="utf-8") as f:
            return [json.loads(line) for line in f]

    def in_journal():
        return [line for line in agent.log().splitlines() if "alarm: m/t" in line]

    publisher.publish(((room.topic("m", f"t{i}"), b"90", i) for i in range(ALARMS)), rate=ALARMS // 10)
    agent.wait("all to be judged", lambda s: s["alarms"]["active"] == ALARMS + 1)
    wait.until("the hook to have run", 10, lambda: len(by_hook()) >= len(in_journal()))
    for name, told in (("MQTT", screen.told), ("hook", by_hook())):
        alone = one_by_one(told)
        assert [e["tag"] for e in alone][:10] == [f"t{i}" for i in range(10)], name
        assert 11 <= len(alone) <= 20 and not groups(told), (name, len(alone))
        assert (f"t{WORST}", "worst") in [(e["tag"], e["rule"]) for e in alone], name
    assert 11 <= len(in_journal()) <= 20
    told_alone = len(one_by_one(by_hook()))
    wait.until("the groups", 75, lambda: groups(screen.told) and groups(by_hook()), every=0.5)
    for told in (screen.told, by_hook()):
        assert sum(g["activated"] for g in groups(told)) == ALARMS + 1 - told_alone
    wait.until("the retained states to follow", 20, lambda: sum(bool(v) for v in screen.now.values()) >= ALARMS + 1, every=0.2)
    assert sum(f'"activated":{ALARMS + 1 - told_alone}' in line for line in agent.log().splitlines()) == 1
    agent.wait("the events to be delivered", lambda s: s["events"]["held"] == 0)
    mine = [r.data for r in room.events() if r.data["kind"] == "alarm" and r.data["state"] == "active"]
    assert len({e["event_id"] for e in mine}) == ALARMS + 1
    assert sum(e.get("grouped", False) for e in mine) == ALARMS + 1 - told_alone
    after = agent.rss_kib()
    print(f"{told_alone} told one by one, {ALARMS + 1 - told_alone} in a group; {before} KiB before, {after} KiB after")
    assert after - before < 8192, f"{before} KiB before, {after} KiB after"
    screen.close()
