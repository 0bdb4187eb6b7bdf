"""Fixtures: one Kafka and one mosquitto for the whole run, an agent and a gateway name for each test."""

import itertools
import os
import subprocess

import pytest

from rig import agent as agents
from rig import kafka as kafkas
from rig import records
from rig.agent import Agent
from rig.kafka import Kafka
from rig.mosquitto import Mosquitto
from rig.mqtt import Publisher

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
numbers = itertools.count(1)


@pytest.fixture(scope="session")
def jars():
    done = subprocess.run([os.path.join(ROOT, "packaging", "deps"), "kafka"], capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="session")
def kafka(tmp_path_factory, jars):
    broker = Kafka(tmp_path_factory.mktemp("kafka"), jars)
    try:
        yield broker.start().make_topics()
    finally:
        broker.kill()


@pytest.fixture(scope="session")
def mosquitto(tmp_path_factory):
    broker = Mosquitto(tmp_path_factory.mktemp("mosquitto"))
    try:
        yield broker.start()
    finally:
        broker.stop()


class Room:
    """What one test has for itself: a gateway name, agents, and the records of that gateway since the test began."""

    def __init__(self, folder, kafka, mosquitto):
        self.folder, self.kafka, self.mosquitto = folder, kafka, mosquitto
        self.gateway = f"gw-{next(numbers)}"
        self.since = {}
        self.agents, self.publishers = [], []
        if kafka:
            for topic in (kafkas.SAMPLES, kafkas.EVENTS):
                self.since[topic] = kafka.ends(topic)

    def agent(self, settings=None, mqtt_url=None, kafka=None):
        made = Agent(self.folder, kafka or self.kafka.brokers, mqtt_url or self.mosquitto.url, self.gateway, settings)
        self.agents.append(made)
        return made

    def publisher(self, port=None):
        made = Publisher(port or self.mosquitto.port, f"publisher-{self.gateway}-{len(self.publishers)}")
        self.publishers.append(made)
        return made

    def samples(self):
        return records.of_gateway(self.kafka.read(kafkas.SAMPLES, self.since[kafkas.SAMPLES]), self.gateway)

    def events(self):
        return records.of_gateway(self.kafka.read(kafkas.EVENTS, self.since[kafkas.EVENTS]), self.gateway)

    def topic(self, source, tag):
        return f"{self.gateway}/l1/{source}/{tag}"

    def state_topic(self, source):
        """Of JSON payloads."""
        return f"state-{self.gateway}/{source}"


@pytest.fixture
def room(tmp_path, kafka, mosquitto):
    """A Room; at its end every agent that still runs must end on SIGTERM within 5 s with 0."""
    made = Room(tmp_path, kafka, mosquitto)
    try:
        yield made
        for a in made.agents:
            if a.process.alive():
                a.stop()
    finally:
        for p in made.publishers:
            p.close()
        for a in made.agents:
            if a.process.alive():
                a.process.child.kill()
                a.process.child.wait()


@pytest.fixture
def here():
    return ROOT


def pytest_report_header(config):
    return f"build: {agents.build_dir()}"
