"""`millrace setup`: from nothing to the first reading in Kafka, by flags and by a person at a terminal."""

import contextlib
import os
import re
import signal
import struct
import subprocess
import threading

import pytest

from rig import agent as agents
from rig import kafka as kafkas
from rig import wait
from rig.agent import tool
from rig.kafka import Kafka, mutual_kafka, safe_kafka
from rig.mosquitto import Mosquitto, make_certificates
from rig.mqtt import Publisher
from rig.person import Person
from rig.slaves import Slaves

FIRST = re.compile(r"Your first reading is in Kafka: (\S+)/(\S+) = (.*), of \d{4}-")
PI = struct.unpack(">HH", struct.pack(">f", 3.14159274))


@pytest.fixture(scope="module")
def mosquitto(tmp_path_factory):
    """Of its own: what other tests left at a broker would be proposed, too."""
    broker = Mosquitto(tmp_path_factory.mktemp("mosquitto"))
    try:
        yield broker.start()
    finally:
        broker.stop()


@pytest.fixture
def bare(tmp_path, jars):
    """A Kafka as its maker leaves it: no topics, none made by itself."""
    os.makedirs(tmp_path / "kafka")
    made = Kafka(tmp_path / "kafka", jars)
    try:
        yield made.start()
    finally:
        made.kill()


@contextlib.contextmanager
def plant(mosquitto, prefix):
    """Three sensors that send five times a second."""
    over = threading.Event()

    def send():
        publisher = Publisher(mosquitto.port, client_id="plant-" + prefix)
        n = 0
        with contextlib.suppress(OSError):  # the broker goes with a test that failed
            while not over.wait(0.2):
                n += 1
                publisher.publish((f"{prefix}/l1/press-{i}/temp", b"%d.5" % (20 + i), n) for i in range(3))
            publisher.close()

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(10)


def flags(folder, kafka, *more):
    return ["setup", "--config", folder / "millrace.yaml", "--spool", folder / "spool.db", "--kafka", kafka, *more]


def topics_of(broker):
    from confluent_kafka.admin import AdminClient  # pylint: disable=import-outside-toplevel

    return set(AdminClient(broker.client).list_topics(timeout=10).topics)


def person_at(*args):
    return Person(agents.program("millrace"), *args)


def test_a_script_reaches_the_first_reading_and_nothing_is_lost(tmp_path, bare, mosquitto):
    config = tmp_path / "millrace.yaml"
    with plant(mosquitto, "script"):
        done = tool(*flags(tmp_path, bare.brokers, "--gateway", "gw-s", "--mqtt", mosquitto.url, "--for", "2s", "--yes"), seconds=120)
    assert (first := FIRST.search(done.stdout)), done.stdout + done.stderr
    assert first[1].startswith("press-") and first[2] == "temp" and float(first[3]) in (20.5, 21.5, 22.5)
    assert {kafkas.SAMPLES, kafkas.EVENTS, kafkas.STATUS} <= topics_of(bare), "the missing topics were made"
    tool("check", config, code=0)
    notes = tool("check", "--kafka", config, code=0, seconds=40).stdout
    assert "retention" not in notes and "cleanup" not in notes, "they are made so that what comes late stays"
    text = config.read_text()
    assert "gateway: \"gw-s\"" in text and "script/{line}/{source}/{tag}" in text.replace("l1", "{line}"), text
    status = agents.tool("status", "--json", "--config", config, code=None).stdout
    assert '"dropped":0' in status.replace(" ", "")
    assert not [n for n in os.listdir(tmp_path) if n.endswith(".new") or ".before-" in n]


def test_a_person_is_led_through_it(tmp_path, bare, mosquitto):
    slaves = Slaves({3: {3: {0: 7, 20: PI[1], 21: PI[0]}}})
    with plant(mosquitto, "person"), slaves.on_tcp() as bus:
        person = person_at("setup", "--config", tmp_path / "millrace.yaml", "--spool", tmp_path / "spool.db", "--for", "2s")
        person.dialogue(("This gateway's name", "größe"), ("is no name", ""))
        person.dialogue(("This gateway's name", "gw-p"), ("Kafka's brokers", f"127.0.0.1:{wait.free_port()}"), ("How does Kafka let you in", ""))
        assert "Connection refused" in person.asked("change, again or keep")
        person.answers("change")
        person.dialogue(("Kafka's brokers", bare.brokers), ("How does Kafka let you in", ""))
        assert "--create --topic edge_samples_v1" in person.asked("Make them")
        person.answers("y")
        person.dialogue(("MQTT broker", mosquitto.url), ("User at the MQTT broker", ""))
        assert "person/" in person.asked("Which of them")
        person.answers("1")
        person.dialogue(("Modbus bus", bus), ("Unit ids to look for", "1-5"))
        shown = person.asked("Which registers", 120)
        assert "Unit 3" in shown and "3.141593" in shown and "CDAB" in shown, shown
        person.answers("3 holding:20 float CDAB pi")
        person.asked('"float" is no type')
        person.dialogue(("Which registers", "3 holding:20 float32 CDAB pi; 3 holding:0 uint16 speed rpm"))
        assert "pi = 3.141593" in person.asked("How long without Kafka")
        person.answers("12h")
        before = person.asked("Do that")
        assert "max_size: " in before and "is written" in before and "the topic edge_samples_v1 is made" in before
        assert not os.path.exists(tmp_path / "millrace.yaml") and not topics_of(bare), "nothing was written or made before"
        person.answers("y")
        assert person.ends() == 0, person.said
    assert FIRST.search(person.said), person.said
    assert set(slaves.asked) <= {1, 2, 3, 4, 43}
    dump = tool("check", "--dump", tmp_path / "millrace.yaml").stdout
    assert "holding:20" in dump and "word_order: CDAB" in dump and "max_size" in dump


@pytest.mark.parametrize("args, flag", [
    ((), "--kafka"), (("--kafka", "127.0.0.1:1"), "--kafka-login"),
    (("--kafka", "127.0.0.1:1", "--kafka-login", "scram"), "--kafka-user"),
])
def test_without_a_terminal_the_missing_flag_is_named(tmp_path, args, flag):
    done = tool("setup", "--config", tmp_path / "millrace.yaml", "--gateway", "g", *args, code=2)
    assert f"{flag} is needed" in done.stderr and os.listdir(tmp_path) == []


def test_a_place_that_is_none_is_no_matter_of_reach(tmp_path):
    done = tool("setup", "--config", tmp_path / "millrace.yaml", "--spool", "spool.db", "--gateway", "g", code=2)
    assert "--spool spool.db: a whole path is needed" in done.stderr and os.listdir(tmp_path) == []


def test_what_can_not_be_reached_is_69_and_nothing_is_written(tmp_path, kafka):
    port = wait.free_port()
    done = tool(*flags(tmp_path, f"127.0.0.1:{port}", "--gateway", "g", "--bus", "none", "--yes", "--mqtt", "none"), code=69, seconds=40)
    assert "Connection refused" in done.stderr
    done = tool(*flags(tmp_path, kafka.brokers, "--gateway", "g", "--mqtt", f"mqtt://127.0.0.1:{port}", "--yes"), code=69, seconds=40)
    assert "refuses the connection" in done.stderr
    done = tool(*flags(tmp_path, kafka.brokers, "--gateway", "g", "--bus", f"tcp://127.0.0.1:{port}", "--yes"), code=69, seconds=40)
    assert "Connection refused" in done.stderr
    assert os.listdir(tmp_path) == []


def test_a_broker_that_names_another_address(tmp_path, jars):
    os.makedirs(tmp_path / "kafka")
    nobody = wait.free_port()
    broker = Kafka(tmp_path / "kafka", jars)
    with open(broker.properties, encoding="ascii") as f:
        text = f.read()
    with open(broker.properties, "w", encoding="ascii") as f:
        f.write(text.replace(f"advertised.listeners=PLAINTEXT://127.0.0.1:{broker.port}", f"advertised.listeners=PLAINTEXT://127.0.0.1:{nobody}"))
    try:
        broker.process.spawn(broker._java("kafka.Kafka", broker.properties))  # pylint: disable=protected-access
        wait.until("Kafka's port", 60, lambda: wait.port_answers(broker.port))
        done = tool(*flags(tmp_path, broker.brokers, "--gateway", "g", "--bus", "none", "--mqtt", "none", "--yes"), code=69, seconds=60)
    finally:
        broker.kill()
    assert f"names a broker 127.0.0.1:{nobody}" in done.stderr and "advertised.listeners" in done.stderr


def test_an_old_configuration_is_kept_unless_it_is_asked_for(tmp_path, kafka, mosquitto):
    config = tmp_path / "millrace.yaml"
    old = (f"gateway: gw-old\nspool: {{path: {tmp_path}/spool.db}}\nkafka: {{brokers: [\"{kafka.brokers}\"]}}\n"
           "sim: [{name: s, source: a, tags: [{tag: t}]}]\n")
    config.write_text(old)
    config.chmod(0o640)
    args = ["setup", "--config", config, "--gateway", "gw-new", "--kafka", kafka.brokers, "--mqtt", mosquitto.url, "--for", "1s", "--yes",
            "--subscriptions", "new/{line}/{source}/{tag}"]
    done = tool(*args, code=2, seconds=60)
    assert "--replace is needed" in done.stderr and config.read_text() == old
    with plant(mosquitto, "new"):
        done = tool(*args, "--replace", seconds=120)
    assert FIRST.search(done.stdout), done.stdout + done.stderr
    copies = [n for n in os.listdir(tmp_path) if ".before-" in n]
    assert len(copies) == 1 and (tmp_path / copies[0]).read_text() == old
    assert f'path: "{tmp_path}/spool.db"' in config.read_text(), "the spool stays where it was"
    assert config.stat().st_mode & 0o777 == 0o640


def test_faults_in_conf_d_keep_the_old_one(tmp_path, kafka, mosquitto):
    os.makedirs(tmp_path / "conf.d")
    (tmp_path / "conf.d" / "more.yaml").write_text("gateway: other\n")
    done = tool(*flags(tmp_path, kafka.brokers, "--gateway", "g", "--mqtt", mosquitto.url, "--for", "1s", "--subscriptions", "{source}/{tag}", "--yes"),
                code=78, seconds=60)
    assert "conf.d/more.yaml" in done.stderr and "nothing was changed" in done.stderr
    assert os.listdir(tmp_path) == ["conf.d"]


@pytest.mark.parametrize("how", ["no", "end", "half", "interrupt", "hangup"])
def test_who_does_not_agree_changes_nothing(tmp_path, kafka, mosquitto, how):
    person = person_at(*flags(tmp_path, kafka.brokers, "--kafka-login", "none", "--gateway", "g", "--bus", "none", "--outage", "1h",
                           "--mqtt", mosquitto.url, "--username", "none", "--for", "1s", "--subscriptions", "{source}/{tag}"))
    person.asked("Do that")
    if how == "no":
        person.answers("n")
    elif how == "end":
        os.write(person.fd, b"\x04")
    elif how == "half":
        os.write(person.fd, b"y\x04\x04")
    else:
        os.kill(person.pid, signal.SIGHUP if how == "hangup" else signal.SIGINT)
    assert person.ends() == 1 and "nothing was written or changed" in person.said
    assert os.listdir(tmp_path) == []


def test_a_gateway_that_reads_nothing_yet(tmp_path, kafka):
    """What could not be tried is kept when that is wished; then there is nothing to wait for."""
    args = flags(tmp_path, kafka.brokers, "--gateway", "g", "--bus", f"tcp://127.0.0.1:{wait.free_port()}", "--mqtt", "none", "--yes", "--untried")
    done = tool(*args, seconds=60)
    assert "Connection refused" in done.stderr and "It reads nothing yet" in done.stdout
    tool("check", tmp_path / "millrace.yaml", code=0)
    assert sorted(os.listdir(tmp_path)) == ["millrace.yaml"], "no daemon was started"


def test_kafka_with_a_password_and_a_certificate(tmp_path, jars, mosquitto):
    """The wrong password is told at once; with the right one topics are made and the reading comes."""
    os.makedirs(tmp_path / "kafka")
    make_certificates(tmp_path)
    (tmp_path / "right").write_text("se cret\n")
    (tmp_path / "wrong").write_text("guess\n")
    broker = safe_kafka(tmp_path / "kafka", jars, tmp_path, "millrace", "se cret")
    args = [*flags(tmp_path, broker.brokers, "--gateway", "gw-t", "--mqtt", mosquitto.url, "--for", "2s", "--yes", "--kafka-login", "scram"),
            "--kafka-user", "millrace", "--kafka-ca-file", tmp_path / "ca.pem"]
    try:
        broker.start()
        done = tool(*args, "--kafka-password-file", tmp_path / "wrong", code=69, seconds=60)
        assert "Kafka refuses user millrace" in done.stderr
        with plant(mosquitto, "safe"):
            done = tool(*args, "--kafka-password-file", tmp_path / "right", seconds=120)
    finally:
        broker.kill()
    assert FIRST.search(done.stdout), done.stdout + done.stderr
    assert "se cret" not in done.stdout + done.stderr + (tmp_path / "millrace.yaml").read_text()


def test_kafka_with_a_password_in_the_clear(tmp_path, jars, mosquitto):
    os.makedirs(tmp_path / "kafka")
    make_certificates(tmp_path)
    (tmp_path / "right").write_text("se cret\n")
    broker = safe_kafka(tmp_path / "kafka", jars, tmp_path, "millrace", "se cret", listener="SASL_PLAINTEXT")
    args = [*flags(tmp_path, broker.brokers, "--gateway", "gw-c", "--mqtt", mosquitto.url, "--for", "2s", "--yes", "--kafka-login", "scram"),
            "--kafka-user", "millrace", "--kafka-password-file", tmp_path / "right"]
    try:
        broker.start()
        tool(*args, code=69, seconds=60)
        with plant(mosquitto, "clear"):
            done = tool(*args, "--kafka-encrypted", "no", seconds=120)
    finally:
        broker.kill()
    assert FIRST.search(done.stdout), done.stdout + done.stderr
    assert "security.protocol=SASL_PLAINTEXT" in tool("check", "--dump", tmp_path / "millrace.yaml", code=0).stdout


def test_both_brokers_ask_for_a_certificate(tmp_path, jars):
    """Without one each try fails at once; with it the reading comes."""
    for name in ("kafka", "mosquitto"):
        os.makedirs(tmp_path / name)
    make_certificates(tmp_path)
    ca, crt, key = (tmp_path / name for name in ("ca.pem", "client.pem", "client.key"))
    theirs = Mosquitto(tmp_path / "mosquitto", lines=[f"cafile {ca}", f"certfile {tmp_path}/server.pem", f"keyfile {tmp_path}/server.key",
                                                      "require_certificate true"])
    broker = mutual_kafka(tmp_path / "kafka", jars, tmp_path)
    args = [*flags(tmp_path, broker.brokers, "--gateway", "gw-m", "--for", "2s", "--yes", "--kafka-login", "tls", "--kafka-ca-file", ca),
            "--mqtt", f"mqtts://127.0.0.1:{theirs.port}", "--ca-file", ca, "--subscriptions", "{source}/{tag}"]
    shown = ["--kafka-cert-file", crt, "--kafka-key-file", key]
    try:
        theirs.start()
        broker.start()
        done = tool(*args, code=69, seconds=60)
        assert "no broker of Kafka answers" in done.stderr and "certificate" in done.stderr
        done = tool(*args, *shown, code=69, seconds=60)
        assert "Kafka" not in done.stderr and f"127.0.0.1:{theirs.port}" in done.stderr + done.stdout, done.stderr
        done = tool(*args, *shown, "--cert-file", crt, code=2, seconds=60)
        assert "--key-file is needed" in done.stderr
        subprocess.run(["mosquitto_pub", "-p", str(theirs.port), "--cafile", ca, "--cert", crt, "--key", key, "-t", "s/t", "-m", "7.5", "-r", "-q", "1"],
                       check=True, timeout=20)
        done = tool(*args, *shown, "--cert-file", crt, "--key-file", key, seconds=120)
    finally:
        broker.kill()
        theirs.stop()
    assert FIRST.search(done.stdout)[3] == "7.5", done.stdout + done.stderr


def test_a_cluster_that_makes_topics_by_itself(tmp_path, jars, mosquitto):
    os.makedirs(tmp_path / "kafka")
    broker = Kafka(tmp_path / "kafka", jars, extra=["auto.create.topics.enable=true"])
    try:
        broker.start()
        with plant(mosquitto, "auto"):
            done = tool(*flags(tmp_path, broker.brokers, "--gateway", "gw-a", "--topics", "leave", "--mqtt", mosquitto.url, "--for", "2s", "--yes"),
                        seconds=120)
    finally:
        broker.kill()
    assert FIRST.search(done.stdout), done.stdout + done.stderr


def test_topics_that_can_not_be_made(tmp_path, mosquitto):
    """A cluster that makes none on request: the file is written all the same, and what is to be done said."""
    with subprocess.Popen([agents.build_dir() + "/tests/integration/mock_kafka"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as cluster:
        brokers = cluster.stdout.readline().strip()
        done = tool(*flags(tmp_path, brokers, "--gateway", "g", "--mqtt", mosquitto.url, "--for", "1s", "--subscriptions", "{source}/{tag}", "--yes"),
                    code=1, seconds=120)
        cluster.stdin.close()
        cluster.wait(10)
    assert "could not be made" in done.stderr and "the commands stand above" in done.stderr and "--create --topic edge_samples_v1" in done.stdout
    tool("check", tmp_path / "millrace.yaml", code=0)
