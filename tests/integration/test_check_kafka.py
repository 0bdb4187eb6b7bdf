"""`millrace check --kafka`: what the brokers are set to do with what is sent late."""

import json

import pytest

from rig import agent as agents
from rig import kafka as kafkas
from rig import wait
from rig.kafka import Kafka

GOOD = {kafkas.SAMPLES: "message.timestamp.type=LogAppendTime", kafkas.EVENTS: "retention.ms=-1",
        kafkas.BACKFILL: "retention.ms=2592000000", kafkas.STATUS: "cleanup.policy=compact", kafkas.RAW: "retention.ms=-1"}


@pytest.fixture(scope="module")
def broker(tmp_path_factory, jars):
    made = Kafka(tmp_path_factory.mktemp("kafka-topics"), jars)
    try:
        yield made.start().make_topics()
    finally:
        made.kill()


@pytest.fixture
def check(tmp_path, broker):
    """Runs it on a configuration; topic -> the notes on it."""
    path = tmp_path / "millrace.yaml"

    def run(**kafka):
        path.write_text(agents.yaml({"gateway": "gw-1", "spool": {"path": str(tmp_path / "spool.db")},
                                     "kafka": {"brokers": [broker.brokers], "live_first": True, **kafka},
                                     "sim": [{"name": "s", "source": "a", "tags": [{"tag": "t"}]}]}) + "\n")
        notes = {}
        for line in agents.tool("check", "--kafka", path, "--json", code=0, seconds=40).stdout.splitlines():
            fault = json.loads(line)
            assert fault["level"] == "note" and fault["line"] > 1, fault
            topic = fault["text"].split(" ")[1].rstrip(":")
            notes.setdefault(topic, []).append(fault["text"])
        return notes

    return run


def alter(broker, topic, *settings):
    broker.tool("kafka.admin.ConfigCommand", "--alter", "--entity-type", "topics", "--entity-name", topic, "--add-config",
                ",".join(settings))


def test_topics_that_keep_what_comes_late_are_not_noted(broker, check):
    for topic, setting in GOOD.items():
        alter(broker, topic, setting)
    assert check() == {}
    for topic in GOOD:
        assert sum(broker.ends(topic).values()) == 0, f"{topic}: a check writes nothing"


def test_each_way_to_lose_what_comes_late_is_noted(broker, check):
    alter(broker, kafkas.SAMPLES, "message.timestamp.type=CreateTime", "retention.ms=604800000")
    alter(broker, kafkas.EVENTS, "retention.ms=-1", "message.timestamp.difference.max.ms=86400000")
    alter(broker, kafkas.BACKFILL, "cleanup.policy=compact", "retention.ms=1000")
    alter(broker, kafkas.STATUS, "cleanup.policy=delete")
    alter(broker, kafkas.RAW, "retention.ms=604800000")
    notes = check()
    assert set(notes) == set(GOOD) and all(len(n) == 1 for n in notes.values()), notes
    for topic, words in ((kafkas.SAMPLES, "604800000 (7 days)"), (kafkas.SAMPLES, "LogAppendTime"), (kafkas.EVENTS, "dead letter"),
                         (kafkas.BACKFILL, "only the last record"), (kafkas.STATUS, "cleanup.policy is delete")):
        assert words in notes[topic][0], notes
    assert set(check(live_first=False)) == set(GOOD) - {kafkas.BACKFILL}, "a topic that is not used is not asked about"


def test_a_topic_that_is_not_there_is_noted(check):
    assert "create it" in check(samples_topic="no_such_topic")["no_such_topic"][0]


GUARD = ["authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer", "allow.everyone.if.no.acl.found=true"]


def test_a_topic_that_may_not_be_written_to_is_noted(tmp_path, tmp_path_factory, jars):
    guarded = Kafka(tmp_path_factory.mktemp("kafka-rights"), jars, extra=GUARD)
    try:
        guarded.start().make_topics()
        for kind, operation in (("allow", "Describe"), ("allow", "DescribeConfigs"), ("deny", "Write")):
            guarded.tool("kafka.admin.AclCommand", "--add", "--topic", kafkas.EVENTS, f"--{kind}-principal", "User:ANONYMOUS",
                         "--operation", operation)
        told = [n for n in notes_of(tmp_path, guarded.brokers) if "may not write" in n]
        assert len(told) == 1 and kafkas.EVENTS in told[0] and "grant Write" in told[0], told
        assert sum(guarded.ends(kafkas.SAMPLES).values()) == 0
    finally:
        guarded.kill()


def test_an_address_that_leads_nowhere_is_noted(tmp_path, tmp_path_factory, jars):
    misled = Kafka(tmp_path_factory.mktemp("kafka-misled"), jars, extra=["advertised.listeners=PLAINTEXT://127.0.0.1:9"])
    try:
        misled.start()
        told = notes_of(tmp_path, misled.brokers, code=69)
        assert any("broker 1" in n and "127.0.0.1:9 (advertised.listeners)" in n and "refused" in n for n in told), told
    finally:
        misled.kill()


def notes_of(tmp_path, brokers, code=0):
    path = tmp_path / "other.yaml"
    path.write_text(f"gateway: gw-1\nspool: {{path: {tmp_path}/spool.db}}\nkafka: {{brokers: ['{brokers}']}}\n"
                    "sim: [{name: s, source: a, tags: [{tag: t}]}]\n")
    return [json.loads(line)["text"] for line in
            agents.tool("check", "--kafka", path, "--json", code=code, seconds=60).stdout.splitlines()]


def test_no_answer_is_69_and_says_why(tmp_path):
    path = tmp_path / "millrace.yaml"
    path.write_text(f"gateway: gw-1\nspool: {{path: {tmp_path}/spool.db}}\nkafka: {{brokers: ['127.0.0.1:{wait.free_port()}']}}\n"
                    "sim: [{name: s, source: a, tags: [{tag: t}]}]\n")
    done = agents.tool("check", path, "--kafka", code=69, seconds=40)
    assert "refused" in done.stderr and "ok (gateway gw-1" in done.stdout, done
    agents.tool("check", path, code=0)


def test_the_same_word_is_another_option_elsewhere():
    assert "needs a value" in agents.tool("demo", "--kafka", code=2).stderr
    assert "takes no value" in agents.tool("check", "--kafka=127.0.0.1:9092", code=2).stderr
