"""A real Kafka broker (KRaft, one node) from the jars that packaging/deps fetches, and a reader of its records."""

import base64
import os
import signal
import subprocess
import uuid

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from . import wait

SAMPLES, EVENTS, STATUS = "edge_samples_v1", "edge_events_v1", "edge_status_v1"
BACKFILL, RAW = "edge_backfill_v1", "edge_raw_v1"
PARTITIONS = 3

LOG4J = """log4j.rootLogger=WARN, out
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=%d %p %m (%c)%n
"""


class Record:
    """One record as it lies in Kafka: bytes untouched."""

    __slots__ = ("partition", "offset", "key", "value", "headers", "ts_ms", "data")

    def __init__(self, message):
        self.partition = message.partition()
        self.offset = message.offset()
        self.key = message.key()
        self.value = message.value()
        self.headers = message.headers() or []
        self.ts_ms = message.timestamp()[1]
        self.data = None


class Kafka:
    def __init__(self, folder, jars, extra=(), listener="PLAINTEXT", start_args=()):
        self.folder = str(folder)
        self.jars = jars
        self.port = wait.free_port()
        self.controller_port = wait.free_port()
        self.brokers = f"127.0.0.1:{self.port}"
        self.process = wait.Process("kafka", os.path.join(self.folder, "kafka.log"))
        self.properties = os.path.join(self.folder, "server.properties")
        self.client = {"bootstrap.servers": self.brokers, "log_level": 0, "socket.timeout.ms": 5000}
        self._write_properties(listener, extra)
        self._format(start_args)

    def _write_properties(self, listener, extra):
        lines = [
            "process.roles=broker,controller",
            "node.id=1",
            f"controller.quorum.voters=1@127.0.0.1:{self.controller_port}",
            "controller.listener.names=CONTROLLER",
            f"listeners={listener}://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{self.controller_port}",
            f"advertised.listeners={listener}://127.0.0.1:{self.port}",
            f"inter.broker.listener.name={listener}",
            f"listener.security.protocol.map=CONTROLLER:PLAINTEXT,{listener}:{listener}",
            "offsets.topic.replication.factor=1",
            "offsets.topic.num.partitions=1",
            "transaction.state.log.replication.factor=1",
            "transaction.state.log.min.isr=1",
            "transaction.state.log.num.partitions=1",
            "group.initial.rebalance.delay.ms=0",
            "auto.create.topics.enable=false",
            "broker.session.timeout.ms=3000",  # a killed broker is taken back that soon
            "broker.heartbeat.interval.ms=500",
            "num.network.threads=2",
            "num.io.threads=2",
            "log.cleaner.dedupe.buffer.size=16777216",
            f"log.dirs={self.folder}/data",
        ]
        with open(self.properties, "w", encoding="ascii") as f:
            f.write("\n".join(lines + list(extra)) + "\n")
        with open(os.path.join(self.folder, "log4j.properties"), "w", encoding="ascii") as f:
            f.write(LOG4J)

    def _java(self, *words):
        return ["java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData",
                f"-Dlog4j.configuration=file:{self.folder}/log4j.properties", "-cp", f"{self.jars}/*", *words]

    def _format(self, args):
        cluster = base64.urlsafe_b64encode(uuid.UUID(int=uuid.uuid4().int >> 8).bytes).decode().rstrip("=")
        done = subprocess.run(self._java("kafka.tools.StorageTool", "format", "-t", cluster, "-c", self.properties, *args),
                              capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, f"Kafka's storage could not be made:\n{done.stdout}{done.stderr}"

    def start(self, seconds=60):
        self.process.spawn(self._java("kafka.Kafka", self.properties))
        detail = lambda: wait.tail(self.process.log)
        wait.until("Kafka's port", seconds, lambda: self.process.must_live() and wait.port_answers(self.port), detail=detail)
        wait.until("Kafka's metadata", seconds, self._metadata, every=0.2, detail=detail)
        return self

    def _metadata(self):
        self.process.must_live()
        try:
            return AdminClient(self.client).list_topics(timeout=2).brokers
        except Exception:  # not yet
            return None

    def make_topics(self):
        topics = [NewTopic(n, num_partitions=PARTITIONS, replication_factor=1) for n in (SAMPLES, EVENTS, BACKFILL, RAW)]
        topics.append(NewTopic(STATUS, num_partitions=PARTITIONS, replication_factor=1, config={"cleanup.policy": "compact"}))
        admin = AdminClient(self.client)  # what it makes dies with it
        for name, made in admin.create_topics(topics, operation_timeout=20).items():
            try:
                made.result(30)
            except Exception as e:
                raise AssertionError(f"topic {name} could not be made: {e}\n{wait.tail(self.process.log)}") from e
        return self

    def tool(self, name, *args):
        """One of Kafka's own tools, by its class."""
        done = subprocess.run(self._java(name, "--bootstrap-server", self.brokers, *args), capture_output=True, text=True,
                              timeout=60, check=False)
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
        return done.stdout

    def stop(self):
        """A clean end. Kafka says 143 to SIGTERM."""
        self.process.end(signal.SIGTERM, 30)

    def kill(self):
        self.process.end(signal.SIGKILL, 10)

    def freeze(self):
        """The broker answers nothing more, but its connections stay."""
        self.process.signal(signal.SIGSTOP)

    def thaw(self):
        self.process.signal(signal.SIGCONT)

    def _consumer(self):
        return Consumer({**self.client, "group.id": f"reader-{uuid.uuid4()}", "enable.auto.commit": False,
                         "auto.offset.reset": "error", "fetch.wait.max.ms": 50, "queued.max.messages.kbytes": 65536})

    def ends(self, topic):
        """partition -> offset behind the last record."""
        consumer = self._consumer()

        def ask():
            try:
                return {p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=5)[1] for p in range(PARTITIONS)}
            except (KafkaException, TypeError):  # no leader yet; None for a timeout
                return None

        try:
            return wait.until(f"the offsets of {topic}", 30, ask, every=0.1, detail=lambda: wait.tail(self.process.log))
        finally:
            consumer.close()

    def read(self, topic, since, seconds=120):
        """All records of the topic from the offsets `since` to the present end, by partition and offset."""
        ends = self.ends(topic)
        want = {p for p in ends if ends[p] > since[p]}
        if not want:
            return []
        consumer = self._consumer()
        records, state = [], {"left": set(want)}

        def take():
            for message in consumer.consume(10000, timeout=1.0):
                assert not message.error(), f"reading {topic}: {message.error()}"
                if message.offset() < ends[message.partition()]:
                    records.append(Record(message))
                if message.offset() >= ends[message.partition()] - 1:
                    state["left"].discard(message.partition())
            return not state["left"]

        try:
            consumer.assign([TopicPartition(topic, p, since[p]) for p in want])
            wait.until(f"{topic} to be read to its end {ends} from {since}", seconds, take, every=0)
        finally:
            consumer.close()
        records.sort(key=lambda r: (r.partition, r.offset))
        return records


def server_keys(folder, certificates):
    """Kafka's own properties for them: it wants key and certificate in one file."""
    with open(f"{certificates}/server.key", encoding="ascii") as key, open(f"{certificates}/server.pem", encoding="ascii") as crt:
        (folder / "server.both.pem").write_text(key.read() + crt.read())
    return ["ssl.keystore.type=PEM", f"ssl.keystore.location={folder}/server.both.pem",
            "ssl.truststore.type=PEM", f"ssl.truststore.location={certificates}/ca.pem"]


def mutual_kafka(folder, jars, certificates):
    """SSL that wants a certificate of everybody. Not started."""
    broker = Kafka(folder, jars, extra=[*server_keys(folder, certificates), "ssl.client.auth=required"], listener="SSL")
    broker.client.update({"security.protocol": "SSL", "ssl.ca.location": f"{certificates}/ca.pem",
                          "ssl.certificate.location": f"{certificates}/client.pem", "ssl.key.location": f"{certificates}/client.key"})
    return broker


def safe_kafka(folder, jars, certificates, user, password, listener="SASL_SSL"):
    """With SCRAM-SHA-512; the server's key as PEM. Not started."""
    extra = ["sasl.enabled.mechanisms=SCRAM-SHA-512", "sasl.mechanism.inter.broker.protocol=SCRAM-SHA-512",
             f"listener.name.{listener.lower()}.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule "
             f'required username="{user}" password="{password}";',
             *server_keys(folder, certificates)]
    broker = Kafka(folder, jars, extra=extra, listener=listener,
                   start_args=["-S", f'SCRAM-SHA-512=[name={user},password="{password}"]'])
    broker.client.update({"security.protocol": listener, "sasl.mechanism": "SCRAM-SHA-512", "sasl.username": user,
                          "sasl.password": password, "ssl.ca.location": f"{certificates}/ca.pem"})
    return broker
