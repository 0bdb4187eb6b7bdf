"""What one test has for itself, on brokers that all share."""

import contextlib
import itertools

from . import kafka as kafkas
from . import records
from .agent import Agent
from .mqtt import Publisher

numbers = itertools.count(1)


class Room:
    """What one test has for itself: a gateway name, agents, and the records of that gateway since the test began."""

    def __init__(self, folder, kafka, mosquitto):
        self.folder, self.kafka, self.mosquitto = folder, kafka, mosquitto
        self.gateway = f"gw-{next(numbers)}"
        self.since = {}
        self.agents, self.publishers = [], []
        if kafka:
            for topic in (kafkas.SAMPLES, kafkas.EVENTS, kafkas.BACKFILL):
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

    def backfill(self):
        return records.of_gateway(self.kafka.read(kafkas.BACKFILL, self.since[kafkas.BACKFILL]), self.gateway)

    def events(self):
        return records.of_gateway(self.kafka.read(kafkas.EVENTS, self.since[kafkas.EVENTS]), self.gateway)

    def topic(self, source, tag):
        return f"{self.gateway}/l1/{source}/{tag}"

    def state_topic(self, source):
        """Of JSON payloads."""
        return f"state-{self.gateway}/{source}"


@contextlib.contextmanager
def open_room(folder, kafka, mosquitto):
    """A Room; at its end every agent that still runs must end on SIGTERM within 5 s with 0."""
    made = Room(folder, kafka, mosquitto)
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
