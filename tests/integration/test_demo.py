"""`millrace demo`: no network, no configuration, no Kafka, and an account at the end."""

import os
import re
import subprocess
import tempfile

import pytest

from rig.agent import program


@pytest.fixture
def folder():
    """One that mosquitto can enter, also when root starts it and it becomes another user."""
    with tempfile.TemporaryDirectory() as path:
        os.chmod(path, 0o777)
        yield path


def test_demo_delivers_and_leaves_nothing_behind(folder):
    env = {**os.environ, "TMPDIR": folder}
    done = subprocess.run([program("millrace"), "demo", "--seconds", "15"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=60, env=env, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"delivered", done.stdout), done.stdout
    assert re.search(r"[1-9][0-9]+", done.stdout)
    assert not os.listdir(folder), f"left behind: {os.listdir(folder)}"


def test_demo_on_your_own_brokers(room):
    done = subprocess.run([program("millrace"), "demo", "--seconds", "8", "--mqtt", room.mosquitto.url, "--kafka", room.kafka.brokers],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
