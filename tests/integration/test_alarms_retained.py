"""What the broker keeps of the alarms is what is: after a crash between telling and storing, when a rule is gone, on a shelf."""

import json
import random
import threading
import time

import paho.mqtt.client as paho

from rig import wait
from rig.bad_disk import BadDisk

RULES = [{"name": "hot", "match": "press-*/*", "rule": "limits", "hihi": 95, "hi": 85, "deadband": 2, "severity": 700, "exclusive": True}]
STALE = 3000


class Screen:
    """The last message of each alarm; None: it was taken away."""

    def __init__(self, port, gateway):
        self.now, self.ready = {}, threading.Event()
        self.prefix = f"millrace/{gateway}/alarm/"
        self.client = paho.Client(client_id=f"screen-{gateway}-{random.random()}")
        self.client.on_message = self._on_message
        self.client.on_subscribe = lambda *a: self.ready.set()
        self.client.connect("127.0.0.1", port)
        self.client.subscribe(self.prefix + "#", qos=1)
        self.client.loop_start()
        assert self.ready.wait(10)

    def _on_message(self, client, userdata, message):
        self.now[message.topic[len(self.prefix):]] = json.loads(message.payload) if message.payload else None

    def wait(self, name, true_of, seconds=10):
        return wait.until(f"{name} to be as expected", seconds, lambda: name in self.now and true_of(self.now[name]),
                          every=0.01, detail=lambda: json.dumps(self.now.get(name)))

    def put(self, topic, payload, qos=1, retain=False):
        self.client.publish(topic, payload, qos, retain).wait_for_publish()

    def close(self):
        self.client.loop_stop()
        self.client.disconnect()


def is_state(name):
    return lambda e: e and e["alarm_state"] == name


def start(room, **settings):
    return room.agent({"alarms": RULES, "notify": {"mqtt": {"connection": "plant"}}, **settings}).start()


def settled(agent):
    return agent.wait("what was told again", lambda s: s["alarms"]["notify"]["mqtt"]["up"] and not s["alarms"]["notify"]["mqtt"]["behind"])


def test_told_but_never_stored_is_put_right(room):
    """A crash while the disk takes its time; at QoS 0 nobody sends the reading again, and the machine is cold by then."""
    agent = start(room)
    screen = Screen(room.mosquitto.port, room.gateway)
    room.publisher().one(room.topic("press-1", "temp"), b"20")
    agent.wait_delivered(1)
    agent.stop()
    disk = BadDisk(room.folder, room.folder / "bad-disk")
    agent.env = disk.env()
    agent.start()
    agent.wait("what the start wrote to be on disk", lambda s: s["events"]["held"] == 0)
    disk.say("hold pwrite64")
    for tag in ("temp", "new"):  # one that is known, one whose first reading it is
        screen.put(room.topic("press-1", tag), b"90", qos=0)
    screen.wait("press-1/temp/hot.hi", is_state("unack"))
    screen.wait("press-1/new/hot.hi", is_state("unack"))
    agent.kill()
    disk.say("")
    assert agent.listing("alarms", "ls") == [], "it was stored before the kill: nothing was tested"
    agent.start()
    screen.wait("press-1/temp/hot.hi", is_state("normal"))
    screen.wait("press-1/new/hot.hi", lambda e: e is None)
    late = Screen(room.mosquitto.port, room.gateway)
    late.wait("press-1/temp/hot.hi", is_state("normal"))
    assert late.now["press-1/temp/hot.hi"]["state"] == "returned" and "press-1/new/hot.hi" not in late.now
    late.close()
    screen.close()


def test_a_rule_that_is_gone_leaves_nothing_behind(room):
    agent = start(room)
    screen = Screen(room.mosquitto.port, room.gateway)
    for source in ("press-1", "press-2"):
        room.publisher().one(room.topic(source, "temp"), b"90")
        screen.wait(f"{source}/temp/hot.hi", is_state("unack"))
    agent.stop()
    agent.conf["alarms"] = [{**RULES[0], "match": "press-2/*"}, {**RULES[0], "match": "press-1/*", "name": "warm.er"}]
    agent.write()
    agent.start()
    screen.wait("press-1/temp/hot.hi", lambda e: e is None)
    settled(agent)
    assert is_state("unack")(screen.now["press-2/temp/hot.hi"])
    room.publisher().one(room.topic("press-1", "temp"), b"96")
    screen.wait("press-1/temp/warm.er.hihi", is_state("unack"))
    agent.restart()
    settled(agent)
    assert is_state("unack")(screen.now["press-1/temp/warm.er.hihi"])
    screen.close()


def test_behind_a_shelf_the_state_is_followed(room):
    agent = start(room)
    screen, publisher = Screen(room.mosquitto.port, room.gateway), room.publisher()
    name, topic = "press-1/temp/hot.hi", room.topic("press-1", "temp")
    publisher.one(topic, b"90")
    screen.wait(name, is_state("unack"))
    for action, back, state in ((["shelve", "--for", "2h"], "unshelve", "shelved"), (["out-of-service"], "in-service", "out_of_service")):
        agent.tool("alarms", action[0], name, *action[1:], "--operator", "kim")
        screen.wait(name, is_state(state))
        publisher.one(topic, b"20")
        e = screen.wait(name, lambda e: not e["active"] and e)
        assert (e["state"], e["alarm_state"]) == (state, state) and ("shelved_until" in e) == (state == "shelved"), e
        publisher.one(topic, b"90")
        screen.wait(name, lambda e: e["active"])
        agent.kill()
        agent.start()
        settled(agent)
        e = screen.now[name]
        assert (e["state"], e["alarm_state"], e["active"]) == (state, state, True), e
        agent.tool("alarms", back, name)
        screen.wait(name, is_state("unack"))
    screen.close()


def test_thousands_of_stale_messages(room):
    """More than the broker keeps in flight; readings are taken and alarms are told meanwhile."""
    screen, client = Screen(room.mosquitto.port, room.gateway), paho.Client(client_id=f"mess-{room.gateway}")
    client.max_inflight_messages_set(0)
    client.connect("127.0.0.1", room.mosquitto.port)
    client.loop_start()
    sent = [client.publish(f"{screen.prefix}old-{i}/v/hot", json.dumps({"alarm_state": "unack"}), 1, True) for i in range(STALE)]
    for s in sent:
        s.wait_for_publish()
    others = ["millrace/other/alarm/a/b/c", f"millrace/{room.gateway}/note/a/b/c", f"{screen.prefix}a/b"]
    for topic in others:  # not ours to take away
        client.publish(topic, "{}", 1, True).wait_for_publish()
    wait.until("all to be there", 20, lambda: len(screen.now) >= STALE)
    agent = start(room)
    room.publisher().one(room.topic("press-1", "temp"), b"90")
    screen.wait("press-1/temp/hot.hi", is_state("unack"))
    wait.until("all to be taken away", 30, lambda: sum(v is None for v in screen.now.values()) == STALE)
    time.sleep(0.2)
    assert screen.now["a/b"] == {} and agent.rss_kib() < 40000
    for topic in others:
        client.publish(topic, "", 1, True).wait_for_publish()
    client.loop_stop()
    client.disconnect()
    screen.close()
