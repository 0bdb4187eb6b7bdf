"""What a package on a board is tried with: a mosquitto in there, the daemon as its own user, and a Kafka in memory outside."""

import json
import os
import subprocess
import time

from board import run
from rig import wait

HERE = os.path.dirname(os.path.abspath(__file__))


class Kafka:
    """A cluster in memory, outside of the board."""

    def __init__(self, folder):
        program = os.path.join(folder, "mock_kafka")
        run("cc", "-O1", "-o", program, os.path.join(HERE, "mock_kafka.c"), "-lrdkafka")
        self.child = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=wait.die_with_parent)
        self.brokers = self.child.stdout.readline().strip()
        assert self.brokers, "the mock cluster did not start"

    def read(self, topic, enough, seconds):
        """All records of the topic, until `enough` distinct ids were seen and nothing more comes."""
        from confluent_kafka import Consumer, TopicPartition  # pylint: disable=import-outside-toplevel

        consumer = Consumer({"bootstrap.servers": self.brokers, "group.id": "arm", "enable.auto.commit": False, "check.crcs": True})
        parts = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        consumer.assign([TopicPartition(topic, p, 0) for p in parts])
        got, ids, end = [], set(), time.monotonic() + seconds
        while time.monotonic() < end:
            batch = consumer.consume(1000, timeout=1.0)
            if not batch and len(ids) >= enough:
                break
            for m in batch:
                assert not m.error(), m.error()
                r = Record(m)
                got.append(r)
                ids.add(r.data["id"])
        consumer.close()
        return sorted(got, key=lambda r: (r.partition, r.offset))

    def close(self):
        self.child.stdin.close()
        self.child.wait(10)


class Record:
    def __init__(self, m):
        self.key, self.value, self.partition, self.offset = m.key(), m.value(), m.partition(), m.offset()
        self.headers, self.ts_ms = m.headers() or [], m.timestamp()[1]
        self.data = json.loads(self.value)


def configure(board, port, brokers):
    board.write("etc/mosquitto/conf.d/arm.conf", f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_inflight_messages 1000\nmax_queued_messages 100000\n")
    board.write("etc/millrace/millrace.yaml", f"""gateway: board-{board.arch}
kafka: {{brokers: ["{brokers}"]}}
control: {{socket: /run/millrace/control.sock}}
mqtt:
  - name: plant
    url: mqtt://127.0.0.1:{port}
    subscriptions:
      - {{topic: "plant/{{line}}/{{source}}/{{tag}}", payload: number}}
""")
    for user in ("millrace", "mosquitto"):
        board.run("install", "-d", "-o", user, "-m", "0750", "/run/" + user)


def mosquitto_in(board, folder, port):
    """The board's own, running."""
    made = wait.Process("mosquitto", os.path.join(folder, "mosquitto.log"))
    made.spawn(board.inside("mosquitto", "-c", "/etc/mosquitto/mosquitto.conf"))
    wait.until("mosquitto's port", 30, lambda: made.must_live() and wait.port_answers(port), detail=lambda: wait.tail(made.log))
    return made


def status(board):
    done = subprocess.run(board.inside("millrace", "status", "--json"), capture_output=True, text=True, timeout=60, check=False)
    try:
        s = json.loads(done.stdout)
    except ValueError:
        return {}
    assert s["accepted"] == s["delivered"] + s["held"] + s["dropped"], s
    return s


class Daemon:
    """millraced as the package's user, in the board."""

    def __init__(self, board, folder):
        self.board = board
        self.process = wait.Process("millraced", os.path.join(folder, "millraced.log"))

    def spawn(self):
        self.process.spawn(self.board.inside("setpriv", "--reuid=millrace", "--regid=millrace", "--init-groups", "--no-new-privs",
                                             "/usr/sbin/millraced"))

    def start(self):
        self.spawn()
        self.until("MQTT", lambda s: s.get("uptime_s") is not None and s["drivers"][0]["state"] == "up")

    def until(self, what, told, seconds=120):
        return wait.until(what, seconds, lambda: self.process.must_live() and told(status(self.board)), every=0.3,
                          detail=lambda: f"{status(self.board)}\n{wait.tail(self.process.log)}")
