"""Fixtures: one Kafka and one mosquitto for the whole run, an agent and a gateway name for each test."""

import os
import subprocess

import pytest

from rig import agent as agents
from rig.kafka import Kafka
from rig.mosquitto import Mosquitto
from rig.room import open_room

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


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


@pytest.fixture
def room(tmp_path, kafka, mosquitto):
    with open_room(tmp_path, kafka, mosquitto) as made:
        yield made


def pytest_report_header(config):
    return f"build: {agents.build_dir()}"
