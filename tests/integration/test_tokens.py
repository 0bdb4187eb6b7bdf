"""Kafka behind SASL OAUTHBEARER: tokens of a program and of a file, that end while the agent runs, or are not there."""

import base64
import json
import time

import pytest

from rig import kafka as kafkas
from rig import wait
from rig.room import open_room

MODULE = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required"
MINT = """#!/usr/bin/python3
import base64, json, sys, time
part = lambda d: base64.urlsafe_b64encode(json.dumps(d).encode()).decode().rstrip("=")
now = time.time()
with open(sys.argv[1], "a") as f:
    f.write("x")
print(part({"alg": "none"}) + "." + part({"sub": "gw", "iat": now, "exp": now + float(sys.argv[2])}) + ".")
"""


def token(seconds):
    part = lambda d: base64.urlsafe_b64encode(json.dumps(d).encode()).decode().rstrip("=")
    now = time.time()
    return part({"alg": "none"}) + "." + part({"sub": "gw", "iat": now, "exp": now + seconds}) + "."


@pytest.fixture(scope="module")
def token_kafka(tmp_path_factory, jars):
    """It takes tokens that nobody signed, as Kafka does by default; and ends a connection when its token ends."""
    broker = kafkas.Kafka(tmp_path_factory.mktemp("kafka-tokens"), jars, listener="SASL_PLAINTEXT", extra=[
        "sasl.enabled.mechanisms=OAUTHBEARER", "sasl.mechanism.inter.broker.protocol=OAUTHBEARER",
        f'listener.name.sasl_plaintext.oauthbearer.sasl.jaas.config={MODULE} unsecuredLoginStringClaim_sub="broker";',
        "listener.name.sasl_plaintext.oauthbearer.connections.max.reauth.ms=3600000"])
    broker.client.update({"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "OAUTHBEARER",
                          "enable.sasl.oauthbearer.unsecure.jwt": True, "sasl.oauthbearer.config": "principal=reader"})
    try:
        yield broker.start().make_topics()
    finally:
        broker.kill()


@pytest.fixture
def token_room(tmp_path, token_kafka, mosquitto):
    with open_room(tmp_path, token_kafka, mosquitto) as made:
        yield made


def settings(**of):
    return {"kafka": {"properties": ["security.protocol=SASL_PLAINTEXT"], "token": of}}


def mint(room):
    program = room.folder / "mint"
    program.write_text(MINT)
    program.chmod(0o755)
    return str(program), room.folder / "minted"


def test_tokens_of_a_program_that_end(token_room):
    program, minted = mint(token_room)
    agent = token_room.agent(settings(command=[program, str(minted), "6"])).start()
    sent = 0
    publisher = token_room.publisher()
    while len(minted.read_text()) < 4 and sent < 6000:  # two and more have ended by then
        publisher.publish((token_room.topic("p0", "temp"), b"%d" % i, i) for i in range(sent, sent + 100))
        sent += 100
        agent.wait_delivered(sent)
        time.sleep(0.3)
    assert len(minted.read_text()) >= 4, "tokens are not renewed"
    assert len(token_room.samples()) == sent


def test_check_asks_kafka_with_a_token(token_room):
    program, minted = mint(token_room)
    agent = token_room.agent(settings(command=[program, str(minted), "60"]))
    agent.tool("check")
    assert not minted.exists(), "a check of the file alone runs nothing"
    agent.tool("check", "--kafka")
    assert minted.exists()


def test_a_token_that_is_not_there_is_told_and_nothing_is_lost(token_room):
    path = token_room.folder / "token"
    agent = token_room.agent(settings(file=str(path))).start(links=False)
    agent.wait("MQTT", lambda s: s["drivers"][0]["state"] == "up")
    token_room.publisher().publish((token_room.topic("p0", "temp"), b"%d" % i, i) for i in range(100))
    s = agent.wait("the reason", lambda s: "no token for Kafka" in (s["uplink"]["last_error"] or "") and s["held"] == 100, 60)
    assert str(path) in s["uplink"]["last_error"] and s["uplink"]["state"] != "up", s["uplink"]
    path.write_text(token(-5))
    agent.wait("another reason", lambda s: "ended" in (s["uplink"]["last_error"] or ""), 60)
    path.write_text(token(600) + "\n")
    agent.wait_delivered(100)
    assert token(600)[:20] not in agent.log()
