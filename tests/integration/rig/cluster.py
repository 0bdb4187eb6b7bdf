"""Three real brokers (KRaft), each with a third of everything, and a reader that believes committed records only."""

import base64
import os
import subprocess
import uuid

from confluent_kafka import Consumer, KafkaError, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from . import wait
from .kafka import BACKFILL, EVENTS, PARTITIONS, RAW, SAMPLES, STATUS, Kafka, Record

BROKERS = 3


class Node(Kafka):
    """One of three; `controllers` are the ports of all of them."""

    def __init__(self, number, controllers, cluster, folder, jars):
        self.number, self.controllers, self.cluster = number, controllers, cluster
        os.makedirs(folder)
        super().__init__(folder, jars)

    def _write_properties(self, listener, extra):
        self.controller_port = self.controllers[self.number - 1]
        voters = ",".join(f"{i + 1}@127.0.0.1:{port}" for i, port in enumerate(self.controllers))
        super()._write_properties(listener, [
            f"node.id={self.number}", f"controller.quorum.voters={voters}",
            "offsets.topic.replication.factor=3", "offsets.topic.num.partitions=3",
            "transaction.state.log.replication.factor=3", "transaction.state.log.min.isr=2", "transaction.state.log.num.partitions=3",
            "default.replication.factor=3", "min.insync.replicas=2", "replica.lag.time.max.ms=5000",
            "controlled.shutdown.enable=false", *extra])

    def _java(self, *words):
        return [w if not w.startswith("-Xmx") else "-Xmx192m" for w in super()._java(*words)]

    def _format(self, args):
        done = subprocess.run(self._java("kafka.tools.StorageTool", "format", "-t", self.cluster, "-c", self.properties),
                              capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, f"Kafka's storage could not be made:\n{done.stdout}{done.stderr}"

    def spawn(self):
        self.process.spawn(self._java("kafka.Kafka", self.properties))


class Cluster:
    def __init__(self, folder, jars):
        cluster = base64.urlsafe_b64encode(uuid.UUID(int=uuid.uuid4().int >> 8).bytes).decode().rstrip("=")
        controllers = [wait.free_port() for _ in range(BROKERS)]
        self.nodes = [Node(i + 1, controllers, cluster, f"{folder}/broker-{i + 1}", jars) for i in range(BROKERS)]
        self.brokers = ",".join(n.brokers for n in self.nodes)
        self.client = {"bootstrap.servers": self.brokers, "log_level": 0, "socket.timeout.ms": 5000}

    def start(self, seconds=90):
        for n in self.nodes:
            n.spawn()
        wait.until("three brokers", seconds, lambda: len(self._brokers()) == BROKERS, every=0.3,
                   detail=lambda: "".join(wait.tail(n.process.log, 15) for n in self.nodes))
        return self

    def _brokers(self):
        for n in self.nodes:
            n.process.must_live()
        try:
            return AdminClient(self.client).list_topics(timeout=2).brokers
        except Exception:  # not yet
            return {}

    def make_topics(self):
        topics = [NewTopic(n, num_partitions=PARTITIONS, replication_factor=3) for n in (SAMPLES, EVENTS, BACKFILL, RAW, STATUS)]
        return self._make(topics)

    def make_topic(self, name, config):
        return self._make([NewTopic(name, num_partitions=PARTITIONS, replication_factor=3, config=config)])

    def _make(self, topics):
        admin = AdminClient(self.client)  # what it makes dies with it
        for made in admin.create_topics(topics, operation_timeout=20).values():
            made.result(30)
        return self

    def kill(self):
        for n in self.nodes:
            n.kill()

    def read(self, topic, seconds=60, committed=True):
        """All records of the topic as a reader with isolation.level=read_committed has them, by partition and offset."""
        consumer = Consumer({**self.client, "group.id": f"reader-{uuid.uuid4()}", "enable.auto.commit": False,
                             "isolation.level": "read_committed" if committed else "read_uncommitted",
                             "enable.partition.eof": True, "auto.offset.reset": "error", "fetch.wait.max.ms": 50})
        records, ended = [], set()

        def take():
            for message in consumer.consume(10000, timeout=1.0):
                if not message.error():
                    records.append(Record(message))
                elif message.error().code() == KafkaError._PARTITION_EOF:
                    ended.add(message.partition())
                else:
                    raise AssertionError(f"reading {topic}: {message.error()}")
            return len(ended) == PARTITIONS

        try:
            consumer.assign([TopicPartition(topic, p, 0) for p in range(PARTITIONS)])
            wait.until(f"{topic} to be read to its end", seconds, take, every=0)
        finally:
            consumer.close()
        records.sort(key=lambda r: (r.partition, r.offset))
        return records
