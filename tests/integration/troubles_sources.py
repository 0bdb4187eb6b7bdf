"""What can be wrong with devices, ports and MQTT brokers, and with what they send."""

import os
import signal
import subprocess
import threading

from rig import wait
from rig.door import Door, showing
from rig.mosquitto import Mosquitto
from rig.trouble import slave_program, trouble
from test_modbus import UNIT, Line, Slave
from test_mqtt_subscribing import Fake
from test_reload import reload
from test_serial import SCALE

BUS = {"name": "line-1", "timeout": "200ms", "retries": 0}


def modbus(place, port, at="holding:5", **bus):
    return {"modbus": [{**BUS, "port": port, **bus}],
            "profiles": [{"name": "press", "period": "500ms", "registers": [{"tag": "count", "at": at, "type": "uint16"}]}],
            "devices": [{"source": "press-1", "bus": "line-1", "unit": UNIT, "profile": "press"}]}


def tcp_slave(place):
    slave = Slave(str(place.folder), slave_program(), place.call(wait.free_port(), 502), "holding 5 4711").start()
    place.end(slave.stop)
    return slave


def serial_line(place):
    line = Line(str(place.folder)).plug()
    place.end(line.unplug)
    place.call(line.ours, "/dev/serial/by-id/usb-1")
    return line


def read(agent):
    return agent.wait("readings", lambda s: s["drivers"][-1]["readings"] > 0 or s["drivers"][0]["readings"] > 0)


@trouble("a slave is dead", "device_down", "modbus line-1")
def slave_dead(place):
    slave = tcp_slave(place)
    agent = place.agent(modbus(place, f"tcp://127.0.0.1:{slave.port}")).start()
    read(agent)
    place.begins()
    slave.child.send_signal(signal.SIGSTOP)
    yield agent
    slave.child.send_signal(signal.SIGCONT)


@trouble("a device at an address is switched off", "source_down", "modbus line-1")
def gateway_off(place):
    slave = tcp_slave(place)
    agent = place.agent(modbus(place, f"tcp://127.0.0.1:{slave.port}")).start()
    read(agent)
    place.begins()
    slave.stop()
    agent.wait("it to be asked again", lambda s: any("refused" in d["last_error"] for d in s["drivers"]))
    yield agent
    slave.start()


@trouble("a register does not exist", "source_fault", "modbus line-1")
def wrong_register(place):
    slave = tcp_slave(place)
    settings = modbus(place, f"tcp://127.0.0.1:{slave.port}")
    registers = settings["profiles"][0]["registers"]
    registers.append({"tag": "power", "at": "holding:5000", "type": "uint16"})
    agent = place.agent(settings)
    place.begins()
    agent.start()
    yield agent
    registers.pop()
    reload(agent)


@trouble("the parity or the baud rate is wrong", "device_down", "modbus line-1")
def wrong_parity(place):
    """What another speed makes of an answer: as many bytes, and none that fits."""
    line = serial_line(place)
    talks = {"on": True}
    fd = os.open(line.theirs, os.O_RDWR | os.O_NOCTTY)

    def answer():
        while talks["on"]:
            try:
                os.read(fd, 100)
                os.write(fd, bytes([UNIT, 3, 2, 0x92, 0xE7, 0x00, 0x00]))
            except OSError:
                return

    threading.Thread(target=answer, daemon=True).start()
    place.end(lambda: talks.update(on=False))
    agent = place.agent(modbus(place, line.ours, baud=115200, parity="none"))
    place.begins()
    agent.start(links=False)
    yield agent
    talks["on"] = False
    slave = Slave(str(place.folder), slave_program(), line.theirs, "holding 5 4711").start()
    place.end(slave.stop)


@trouble("a device is unplugged", "source_down", "serial scale")
def unplugged(place):
    line = serial_line(place)
    agent = place.agent({"serial": [{**SCALE, "port": line.ours}]}).start()
    place.begins()
    line.unplug()
    yield agent
    line.plug()


@trouble("a port may not be opened", "source_down", "serial scale")
def port_denied(place):
    line = serial_line(place)
    target = os.path.realpath(line.ours)
    agent = place.agent({"serial": [{**SCALE, "port": line.ours}]})
    if os.getuid() == 0:
        agent.under = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
    os.chmod(target, 0)
    place.begins()
    agent.start(links=False)
    yield agent
    os.chmod(target, 0o600)


# ---- MQTT ----

def broker(place, lines=(), anonymous=True, name="theirs"):
    folder = place.folder / name
    folder.mkdir()
    made = Mosquitto(folder, lines=lines, anonymous=anonymous).start()
    place.end(made.stop)
    place.call(made.port, 1883)
    return made


@trouble("the MQTT broker is away", "source_down", "mqtt plant")
def broker_away(place):
    theirs = broker(place)
    agent = place.agent(mqtt_url=theirs.url).start()
    place.begins()
    theirs.stop()
    agent.wait("it to be asked again", lambda s: "no broker there" in s["drivers"][0]["last_error"])
    yield agent
    theirs.start()


@trouble("two clients have one client id", "source_down", "mqtt plant")
def twins(place):
    agent = place.agent({"mqtt": {"client_id": "gateway-7"}}).start()
    place.begins()
    twin = subprocess.Popen(["mosquitto_sub", "-p", str(place.room.mosquitto.port), "-i", "gateway-7", "-t", "x", "-q", "1"],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=wait.die_with_parent)
    place.end(twin.kill)
    agent.wait("the question", lambda s: "client id" in s["drivers"][0]["last_error"])
    yield agent
    twin.kill()
    twin.wait()


@trouble("the MQTT broker refuses the user", "source_down", "mqtt plant")
def user_refused(place):
    users, secret = place.folder / "users", place.folder / "mqtt.password"
    subprocess.run(["mosquitto_passwd", "-b", "-c", users, "gw", "right one"], capture_output=True, timeout=20, check=True)
    secret.write_text("wrong one\n")
    theirs = broker(place, [f"password_file {users}"], anonymous=False)
    agent = place.agent({"mqtt": {"username": "gw", "password_file": secret}}, mqtt_url=theirs.url)
    place.begins()
    agent.start(links=False)
    yield agent
    secret.write_text("right one\n")


@trouble("the MQTT broker refuses a subscription", "source_fault", "mqtt plant")
def subscription_refused(place):
    grants = threading.Event()

    def serve(fake):
        fake.client.sendall(b"\x20\x03\x00\x00\x00")
        for _ in range(200):
            for kind, body in fake.packets(0.2):
                if kind == 8:
                    n = body.count(place.room.gateway.encode())
                    code = b"\x01" if grants.is_set() else b"\x87"
                    fake.client.sendall(bytes([0x90, 3 + n]) + body[:2] + b"\x00" + code * n)
                elif kind == 12:
                    fake.client.sendall(b"\xd0\x00")

    fake = Fake(serve)
    place.end(fake.stop)
    place.call(fake.broker.settings["url"].rpartition(":")[2], 1883)
    agent = place.agent(mqtt_url=fake.broker.settings["url"])
    place.begins()
    agent.start(links=False)
    yield agent
    grants.set()


@trouble("the MQTT broker does not answer a SUBSCRIBE", "source_fault", "mqtt plant")
def subscription_unanswered(place):
    answers = threading.Event()

    def serve(fake):
        waiting = []
        fake.client.sendall(b"\x20\x03\x00\x00\x00")
        for _ in range(400):
            for kind, body in fake.packets(0.1):
                if kind == 8:
                    waiting.append(b"\x90" + bytes([3 + body.count(b"state-")]) + body[:2] + b"\x00" + b"\x01" * body.count(b"state-"))
                elif kind == 12:
                    fake.client.sendall(b"\xd0\x00")
            while answers.is_set() and waiting:
                fake.client.sendall(waiting.pop())

    fake = Fake(serve)
    place.end(fake.stop)
    place.call(fake.broker.settings["url"].rpartition(":")[2], 1883)
    settings = {"mqtt": {"subscriptions": [{"topic": "state-gw-7/{tag}", "source": "line-1"}]}}
    agent = place.agent(settings, mqtt_url=fake.broker.settings["url"])
    place.begins()
    agent.start(links=False)
    yield agent
    answers.set()


@trouble("a plain url at a TLS port", "source_down", "mqtt plant")
def tls_port(place):
    door = Door(place.room.mosquitto.port, tls=showing(place.broker.certificates))
    place.end(door.close)
    place.call(door.port, 8883)
    agent = place.agent(mqtt_url=f"mqtt://127.0.0.1:{door.port}")
    place.begins()
    agent.start(links=False)
    yield agent
    agent.conf["mqtt"][0].update(url=f"mqtts://127.0.0.1:{door.port}", ca_file=f"{place.broker.certificates}/ca.pem")
    reload(agent)


@trouble("the MQTT broker's certificate is over", "source_down", "mqtt plant")
def mqtt_certificate_over(place):
    shown = place.broker.certificates
    door = Door(place.room.mosquitto.port, tls=showing(shown, "over"))
    place.end(door.close)
    place.call(door.port, 8883)
    agent = place.agent({"mqtt": {"ca_file": f"{shown}/ca.pem"}}, mqtt_url=f"mqtts://127.0.0.1:{door.port}")
    place.begins()
    agent.start(links=False)
    yield agent
    door.tls = showing(shown)


@trouble("the broker that alarms are told to is away", "source_down", "mqtt office")
def alarms_not_told(place):
    theirs = broker(place)
    agent = place.agent({"notify": {"mqtt": {"connection": "office"}},
                         "alarms": [{"name": "hot", "match": "press-1/temp", "rule": "limits", "hi": 90, "severity": 500}]})
    agent.conf["mqtt"].append({"name": "office", "url": theirs.url, "subscriptions": [{"topic": "office/{source}/{tag}", "payload": "number"}]})
    agent.write()
    agent.start()
    place.begins()
    theirs.stop()
    agent.wait("that alarms are not told", lambda s: any(c["name"] == "notify_down" for c in s["conditions"]))
    agent.wait("it to be asked again", lambda s: "no broker there" in s["drivers"][-1]["last_error"])
    yield agent
    theirs.start()


# ---- what comes ----

@trouble("a text where a number was meant", "source_malformed", "mqtt plant")
def text_for_a_number(place):
    agent = place.agent().start()
    place.reading(payload=b"1.5")
    place.begins()
    place.reading(payload=b"out of order")
    yield agent  # over after ten minutes: tests/unit/test_host.c
    agent.restart()


@trouble("names on the wire cannot be names", "names_changed", "mqtt plant")
def names_changed(place):
    agent = place.agent().start()
    place.begins()
    place.reading(tag="temp (top)")
    yield agent  # over after ten minutes: tests/unit/test_health.c
    agent.restart()


@trouble("more names than there is room for", "tags_full", "mqtt plant")
def names_flood(place):
    agent = place.agent({"mqtt": {"max_tags": 20}}).start()
    room = place.room
    place.begins()
    room.publisher().publish((room.topic(f"press-{i}", "temp"), b"1.5", i) for i in range(50))
    yield agent
    agent.conf["mqtt"][0]["max_tags"] = 100
    reload(agent)
