"""librdkafka's cluster in memory, for rigs that start and stop agents a thousand times; its records are read as they come.

Every record of a run is checked when it comes: an id has one content, for ever.
"""

import os
import signal
import socket
import subprocess
import threading

from confluent_kafka import Consumer, Producer, TopicPartition

from . import agent as agents
from . import records, wait
from .kafka import BACKFILL, EVENTS, SAMPLES, STATUS, Record
from .records import json


class MockKafka:
    def __init__(self):
        program = os.path.join(agents.build_dir(), "tests", "integration", "mock_kafka")
        self.child = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                      preexec_fn=wait.die_with_parent)
        self.brokers = self.child.stdout.readline().strip()
        assert self.brokers, "the mock cluster did not start"
        self.by_id, self.ids_of, self.events, self.again, self.fault = {}, {}, [], 0, None
        self.over, self.n_read, self.frozen = False, {}, False
        self.consumer = Consumer({"bootstrap.servers": self.brokers, "group.id": "rig", "enable.auto.commit": False,
                                  "fetch.wait.max.ms": 20, "auto.offset.reset": "earliest", "log_level": 0})
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.assign()
        self.thread.start()

    def assign(self):
        producer = Producer({"bootstrap.servers": self.brokers, "log_level": 0})
        parts = []
        for topic in (SAMPLES, EVENTS, BACKFILL, STATUS):
            wait.until(topic, 20, lambda t=topic: producer.list_topics(t, timeout=5).topics[t].partitions)
            parts += [TopicPartition(topic, p, 0) for p in producer.list_topics(topic, timeout=5).topics[topic].partitions
                      if topic != STATUS]
        self.consumer.assign(parts)
        self.parts = parts

    def run(self):
        try:
            while not self.over:
                for m in self.consumer.consume(500, timeout=0.05):
                    if not m.error():
                        self.take(m)
        except Exception as e:  # told by check()
            self.fault = e

    def take(self, m):
        r = Record(m)
        r.data = json.loads(r.value)
        records.must_be("event" if m.topic() == EVENTS else "sample", r.data)
        where = (m.topic(), m.partition())
        first = self.by_id.setdefault((m.topic() == EVENTS, r.data["id"]), r)
        if first is not r:
            self.again += 1
            assert first.value == r.value, f"the same id with other bytes:\n{first.value}\n{r.value}"
        elif m.topic() == EVENTS:
            self.events.append(r.data)
        elif "value" in r.data:
            self.ids_of.setdefault(int(r.data["value"]), []).append(r.data["id"])
        self.n_read[where] = m.offset() + 1

    def check(self):
        if self.fault:
            raise self.fault

    def read_all(self, seconds=120):
        """Until everything that lies there now was read."""
        self.thaw()
        ends = {(p.topic, p.partition): self.consumer.get_watermark_offsets(p, timeout=10)[1] for p in self.parts}
        wait.until("the records to be read", seconds,
                   lambda: self.fault or all(self.n_read.get(w, 0) >= n for w, n in ends.items()), every=0.02)
        self.check()

    def freeze(self):
        """It answers nothing more; connections stay."""
        self.frozen = True
        self.child.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.frozen = False
        self.child.send_signal(signal.SIGCONT)

    def close(self):
        self.thaw()
        self.over = True
        self.thread.join(20)
        self.consumer.close()
        self.child.stdin.close()
        self.child.wait(20)
        self.check()


def ask(path, seconds=5):
    """The daemon's status from its control socket; None: nobody answers."""


    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(seconds)
        try:
            s.connect(path)
            s.sendall(b'{"cmd":"status"}\n')
            text = b""
            while not text.endswith(b"\n"):
                part = s.recv(65536)
                if not part:
                    return None
                text += part
        except OSError:
            return None
    return json.loads(text)
