"""A real browser on a running agent with a real Kafka: Debian's chromium, driven by playwright (packaging/deps page)."""

import os
import subprocess
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "integration"))
sys.path.append(subprocess.run([os.path.join(ROOT, "packaging", "deps"), "page"], capture_output=True, text=True, timeout=600, check=True).stdout.strip())

from rig.kafka import Kafka  # noqa: E402
from rig.mosquitto import Mosquitto  # noqa: E402
from rig.page import Page  # noqa: E402
from rig.room import open_room  # noqa: E402

ALARMS = [{"match": "*/temp", "rule": "limits", "hi": 80, "severity": 800}]


@pytest.fixture(scope="session")
def kafka(tmp_path_factory):
    done = subprocess.run([os.path.join(ROOT, "packaging", "deps"), "kafka"], capture_output=True, text=True, timeout=600, check=True)
    broker = Kafka(tmp_path_factory.mktemp("kafka"), done.stdout.strip())
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


@pytest.fixture(scope="session")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as p:
        made = p.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
        yield made
        made.close()


@pytest.fixture(scope="module")
def paged(tmp_path_factory, kafka, mosquitto):
    folder = tmp_path_factory.mktemp("gateway")
    with open_room(folder, kafka, mosquitto) as room:
        agent = room.agent({"alarms": ALARMS, "page": {"users": str(folder / "users")}}).start()
        page = Page(agent)
        page.room, page.publisher = room, room.publisher()
        page.publisher.publish((room.topic("press-1", "temp"), b"%d" % (i % 50), i) for i in range(200))
        agent.wait_delivered(200)
        page.user("kim", "operate", "a long password")
        try:
            yield page.start()
        finally:
            page.stop()


@pytest.fixture
def tab(browser, paged):
    """A page of the browser that has nothing to complain about at the end."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-US")
    made = context.new_page()
    made.wrong = []
    made.on("console", lambda m: made.wrong.append(m.text) if m.type == "error" and "401" not in m.text and "ERR_" not in m.text else None)
    made.on("pageerror", lambda e: made.wrong.append(str(e)))
    made.home = f"http://127.0.0.1:{paged.port}/"
    yield made
    context.close()
    assert not made.wrong, made.wrong
