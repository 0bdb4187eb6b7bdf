"""Kafka behind Kerberos (SASL GSSAPI): a keytab, a KDC that is away when the agent starts, a principal it does not know."""

import os

import pytest

from rig import kafka as kafkas
from rig import kdc as kdcs
from rig import wait
from rig.room import open_room

LOGIN = "com.sun.security.auth.module.Krb5LoginModule required useKeyTab=true storeKey=true"


@pytest.fixture(scope="module")
def kdc(tmp_path_factory):
    made = kdcs.Kdc(tmp_path_factory.mktemp("kdc"))
    before = dict(os.environ)
    os.environ.update(KRB5_CONFIG=made.env["KRB5_CONFIG"], JAVA_TOOL_OPTIONS=f"-Djava.security.krb5.conf={made.env['KRB5_CONFIG']}")
    try:
        yield made.start()
    finally:
        made.kill()
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(scope="module")
def kerberos_kafka(tmp_path_factory, jars, kdc):
    service = kdc.keytab("kafka/127.0.0.1")
    broker = kafkas.Kafka(tmp_path_factory.mktemp("kafka-kerberos"), jars, listener="SASL_PLAINTEXT", extra=[
        "sasl.enabled.mechanisms=GSSAPI", "sasl.mechanism.inter.broker.protocol=GSSAPI", "sasl.kerberos.service.name=kafka",
        f'listener.name.sasl_plaintext.gssapi.sasl.jaas.config={LOGIN} keyTab="{service}" principal="kafka/127.0.0.1@{kdcs.REALM}";'])
    broker.client.update({"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "GSSAPI", "sasl.kerberos.service.name": "kafka",
                          "sasl.kerberos.keytab": kdc.keytab("reader"), "sasl.kerberos.principal": f"reader@{kdcs.REALM}"})
    try:
        yield broker.start().make_topics()
    finally:
        broker.kill()


@pytest.fixture
def kerberos_room(tmp_path, kerberos_kafka, mosquitto):
    with open_room(tmp_path, kerberos_kafka, mosquitto) as made:
        yield made


def settings(room, keytab, principal="gw"):
    return {"kafka": {"properties": [
        "security.protocol=SASL_PLAINTEXT", "sasl.mechanism=GSSAPI", f"sasl.kerberos.keytab={keytab}",
        f"sasl.kerberos.principal={principal}@{kdcs.REALM}", "sasl.kerberos.min.time.before.relogin=2000"]}}


def agent_with_tickets(room, keytab, principal="gw"):
    """Its tickets are its own."""
    agent = room.agent(settings(room, keytab, principal))
    agent.env["KRB5CCNAME"] = f"FILE:{room.folder}/tickets"
    return agent


def test_readings_go_by_keytab(kerberos_room, kdc):
    agent = agent_with_tickets(kerberos_room, kdc.keytab("gw")).start()
    kerberos_room.publisher().publish((kerberos_room.topic("p0", "temp"), b"%d" % i, i) for i in range(1000))
    agent.wait_delivered(1000)
    assert len(kerberos_room.samples()) == 1000


def test_a_kdc_that_is_away_at_the_start(kerberos_room, kdc):
    keytab = kdc.keytab("gw-2")
    kdc.kill()
    agent = agent_with_tickets(kerberos_room, keytab, "gw-2").start(links=False)
    agent.wait("MQTT", lambda s: s["drivers"][0]["state"] == "up")
    kerberos_room.publisher().publish((kerberos_room.topic("p0", "temp"), b"%d" % i, i) for i in range(100))
    agent.wait("all held", lambda s: s["held"] == 100 and s["uplink"]["state"] != "up", 30)
    kdc.start()
    agent.wait_delivered(100, seconds=120)


def test_a_principal_that_is_not_known_is_told(kerberos_room, kdc):
    agent = agent_with_tickets(kerberos_room, kdc.keytab("gw-3"), "nobody").start(links=False)
    s = agent.wait("the reason", lambda s: "no Kerberos ticket" in (s["uplink"]["last_error"] or ""), 60)
    assert s["uplink"]["state"] != "up"
    wait.until("kinit's words in the log", 30, lambda: f"no suitable keys for nobody@{kdcs.REALM}" in agent.log())
    assert "kinit -k" in agent.tool("status", code=1).stdout
