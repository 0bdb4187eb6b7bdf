"""What can be wrong with Kafka and on the way to it: one broker for all, behind doors."""

from confluent_kafka.admin import AdminClient, NewTopic

from rig import kafka as kafkas
from rig import wait
from rig.bad_disk import preload
from rig.door import Door, showing
from rig.kafka import Kafka
from rig.trouble import trouble
from test_reload import reload
from test_uplink_reasons import GUARD, allow, refuse

USER = ("gw", "right one")


def open_kafka(folder, jars, certificates):
    """Listeners: one for the tests, and behind `doors` one without TLS, one with, one that asks for user and password."""
    ports = {name: wait.free_port() for name in ("inner", "secured", "people", "plain", "tls", "users")}
    broker = Kafka(folder, jars, extra=GUARD)
    at = "127.0.0.1"
    listeners = [f"PLAINTEXT://{at}:{broker.port}", f"DOOR://{at}:{ports['inner']}", f"TLS://{at}:{ports['secured']}",
                 f"USERS://{at}:{ports['people']}"]
    shown = [listeners[0], f"DOOR://{at}:{ports['plain']}", f"TLS://{at}:{ports['tls']}", f"USERS://{at}:{ports['users']}"]
    with open(broker.properties, "a", encoding="ascii") as f:
        f.write(f"""listeners={','.join(listeners)},CONTROLLER://{at}:{broker.controller_port}
advertised.listeners={','.join(shown)}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,DOOR:PLAINTEXT,TLS:PLAINTEXT,USERS:SASL_PLAINTEXT
listener.name.users.sasl.enabled.mechanisms=PLAIN
listener.name.users.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_{USER[0]}="{USER[1]}";
""")
    broker.doors = {"plain": Door(ports["inner"], ports["plain"]),
                    "tls": Door(ports["secured"], ports["tls"], tls=showing(certificates)),
                    "users": Door(ports["people"], ports["users"])}
    broker.certificates = certificates
    return broker


def linked(place, settings=None, **where):
    agent = place.agent(settings, **where).start()
    place.reading()
    agent.wait_delivered(1)
    return agent


@trouble("Kafka is stopped", "uplink_down", "kafka")
def kafka_stopped(place):
    agent, door = linked(place), place.broker.doors["plain"]
    place.end(door.open)
    place.begins()
    door.shut()
    agent.wait("it to be asked again", lambda s: "nobody listens" in s["uplink"]["last_error"])
    yield agent
    door.open()


@trouble("Kafka hangs", "uplink_stalled", "kafka")
def kafka_hung(place):
    agent, door = linked(place), place.broker.doors["plain"]
    place.end(door.open)
    place.begins()
    door.swallow()
    place.reading()
    yield agent
    door.open()


@trouble("Kafka refuses the user", "uplink_down", "kafka")
def kafka_refuses_the_user(place):
    secret = place.folder / "kafka.password"
    secret.write_text("wrong one\n")
    agent = place.agent({"kafka": {"properties": ["security.protocol=SASL_PLAINTEXT", "sasl.mechanism=PLAIN", f"sasl.username={USER[0]}"],
                                   "secrets": [f"sasl.password=file:{secret}"]}}, kafka=f"127.0.0.1:{place.broker.doors['users'].port}")
    place.begins()
    agent.start(links=False)
    place.reading()
    yield agent
    secret.write_text(USER[1] + "\n")
    reload(agent)


@trouble("Kafka has no topic", "topic_missing", "kafka samples")
def kafka_has_no_topic(place):
    topic = "plant_samples"
    agent = place.agent({"kafka": {"samples_topic": topic}}).start(links=False)
    agent.wait("MQTT", lambda s: s["drivers"][0]["state"] == "up")
    place.begins()
    place.reading()
    yield agent
    admin = AdminClient(place.broker.client)  # what it makes dies with it
    admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])[topic].result(30)


@trouble("Kafka has no topic for raw payloads", "topic_missing", "kafka samples")
def kafka_has_no_raw_topic(place):
    topic = "plant_raw"
    agent = place.agent({"kafka": {"raw_topic": topic},
                         "mqtt": {"subscriptions": [{"topic": place.room.gateway + "/{line}/{source}/{tag}", "payload": "raw"}]}})
    agent.start()
    place.begins()
    place.reading()
    yield agent
    admin = AdminClient(place.broker.client)
    admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])[topic].result(30)


@trouble("Kafka gives no right to write", "lane_waits", "kafka samples")
def kafka_gives_no_right(place):
    refuse(place.broker, kafkas.SAMPLES)
    place.end(lambda: allow(place.broker, kafkas.SAMPLES))
    agent = place.agent().start(links=False)
    agent.wait("MQTT", lambda s: s["drivers"][0]["state"] == "up")
    place.begins()
    place.reading()
    yield agent
    allow(place.broker, kafkas.SAMPLES)


@trouble("Kafka's certificate is over", "uplink_down", "kafka")
def kafka_certificate_over(place):
    door, shown = place.broker.doors["tls"], place.broker.certificates
    door.tls = showing(shown, "over")
    agent = place.agent({"kafka": {"properties": ["security.protocol=SSL", f"ssl.ca.location={shown}/ca.pem"]}},
                        kafka=f"127.0.0.1:{door.port}")
    place.begins()
    agent.start(links=False)
    place.reading()
    yield agent
    door.tls = showing(shown)


@trouble("Kafka's name is looked up in vain", "uplink_down", "kafka")
def kafka_name_unknown(place):
    agent = place.agent(kafka="kafka-1.invalid:9092")
    place.begins()
    agent.start(links=False)
    place.reading()
    yield agent
    agent.conf["kafka"]["brokers"] = [place.broker.brokers]
    reload(agent)


@trouble("the name server is silent", "uplink_connecting", "kafka")
def name_server_silent(place):
    speaks = place.folder / "speaks"
    agent = place.agent(kafka=place.call(f"kafka-1.silent:{place.broker.port}", "kafka-1.silent:9092"))
    agent.env = preload("silent_names.so", SILENT_NAMES_UNTIL=str(speaks))
    place.begins()
    agent.start(links=False)
    agent.wait("MQTT", lambda s: s["drivers"][0]["state"] == "up")
    place.reading()
    yield agent
    speaks.touch()
