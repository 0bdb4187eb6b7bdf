"""TLS towards mosquitto and SASL/TLS towards Kafka: right ones connect, wrong ones are told in words."""

import contextlib
import subprocess

import pytest

from rig import kafka as kafkas
from rig import wait
from rig.mosquitto import Mosquitto, make_certificates
from rig.room import open_room


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def tls_mosquitto(tmp_path, certificates, request):
    folder = tmp_path / "broker"
    folder.mkdir()
    lines = [f"cafile {certificates}/ca.pem", f"certfile {certificates}/server.pem", f"keyfile {certificates}/server.key"]
    if request.param == "mutual":
        lines += ["require_certificate true", "use_identity_as_username true"]
    if request.param == "password":
        users = folder / "users"
        done = subprocess.run(["mosquitto_passwd", "-b", "-c", users, "millrace", "right one"], capture_output=True, text=True,
                              timeout=20, check=False)
        assert done.returncode == 0, done.stderr
        lines.append(f"password_file {users}")
    broker = Mosquitto(folder, lines=lines, anonymous=request.param != "password").start()
    yield broker
    broker.stop()


def settings(broker, certificates, **more):
    return {"mqtt": {"url": f"mqtts://127.0.0.1:{broker.port}", "ca_file": f"{certificates}/ca.pem", **more}}


def send_one(room, certificates, broker, *args):
    done = subprocess.run(["mosquitto_pub", "-h", "127.0.0.1", "-p", str(broker.port), "--cafile", f"{certificates}/ca.pem", "-q",
                           "1", "-t", room.topic("press-1", "temp"), "-m", "1.5", *args], capture_output=True, text=True,
                          timeout=20, check=False)
    assert done.returncode == 0, done.stderr


def told(agent, *words):
    """The reason stands in the driver's status."""
    def probe(s):
        text = (s["drivers"][0].get("last_error") or "").lower()
        return any(w in text for w in words)

    s = agent.wait(f"the driver to say one of {words}", probe, 20)
    assert s["drivers"][0]["state"] != "up"


@pytest.mark.parametrize("tls_mosquitto", ["server"], indirect=True)
def test_server_tls(room, tls_mosquitto, certificates):
    agent = room.agent(settings(tls_mosquitto, certificates)).start()
    send_one(room, certificates, tls_mosquitto)
    agent.wait_delivered(1)


@pytest.mark.parametrize("tls_mosquitto", ["server"], indirect=True)
def test_a_wrong_authority_is_told(room, tls_mosquitto, certificates):
    agent = room.agent(settings(tls_mosquitto, certificates, ca_file=f"{certificates}/stranger.pem")).start(links=False)
    told(agent, "certificate", "tls")


@pytest.mark.parametrize("tls_mosquitto", ["server"], indirect=True)
def test_a_missing_authority_file_is_told(room, tls_mosquitto, certificates):
    agent = room.agent(settings(tls_mosquitto, certificates, ca_file=f"{certificates}/nothing.pem"))
    agent.spawn()
    wait.until("the missing file to be named", 15, lambda: "nothing.pem" in agent.log(), detail=agent.log_tail)


@pytest.mark.parametrize("tls_mosquitto", ["mutual"], indirect=True)
def test_mutual_tls(room, tls_mosquitto, certificates):
    pair = {"cert_file": f"{certificates}/client.pem", "key_file": f"{certificates}/client.key"}
    agent = room.agent(settings(tls_mosquitto, certificates, **pair)).start()
    send_one(room, certificates, tls_mosquitto, "--cert", pair["cert_file"], "--key", pair["key_file"])
    agent.wait_delivered(1)


@pytest.mark.parametrize("tls_mosquitto", ["mutual"], indirect=True)
def test_mutual_tls_without_a_certificate_is_told(room, tls_mosquitto, certificates):
    agent = room.agent(settings(tls_mosquitto, certificates)).start(links=False)
    told(agent, "certificate", "handshake")


@pytest.mark.parametrize("tls_mosquitto", ["password"], indirect=True)
def test_password_file(room, tls_mosquitto, certificates):
    secret = room.folder / "password"
    secret.write_text("right one\n")
    agent = room.agent(settings(tls_mosquitto, certificates, username="millrace", password_file=secret)).start()
    send_one(room, certificates, tls_mosquitto, "-u", "millrace", "-P", "right one")
    agent.wait_delivered(1)
    assert "right one" not in agent.log()


@pytest.mark.parametrize("tls_mosquitto", ["password"], indirect=True)
def test_a_wrong_password_is_told(room, tls_mosquitto, certificates):
    secret = room.folder / "password"
    secret.write_text("wrong one\n")
    agent = room.agent(settings(tls_mosquitto, certificates, username="millrace", password_file=secret)).start(links=False)
    told(agent, "password", "authori", "refused", "credentials")
    secret.write_text("right one\n")
    agent.wait("the corrected file to be read at a next attempt", agent.linked, 40)


# ---- Kafka ----

@pytest.fixture(scope="module")
def safe_kafka(tmp_path_factory, jars, certificates):
    broker = kafkas.safe_kafka(tmp_path_factory.mktemp("kafka-tls"), jars, certificates, "gw", "right one")
    try:
        yield broker.start().make_topics()
    finally:
        broker.kill()


def kafka_settings(room, certificates, password):
    secret = room.folder / "kafka.password"
    secret.write_text(password + "\n")
    return {"kafka": {"properties": ["security.protocol=SASL_SSL", "sasl.mechanism=SCRAM-SHA-512", "sasl.username=gw",
                                     f"ssl.ca.location={certificates}/ca.pem"],
                      "secrets": [f"sasl.password=file:{secret}"]}}


@pytest.fixture
def safe_room(tmp_path, safe_kafka, mosquitto):
    with open_room(tmp_path, safe_kafka, mosquitto) as made:
        yield made


def test_kafka_with_sasl_and_tls(safe_room, safe_kafka, certificates):
    agent = safe_room.agent(kafka_settings(safe_room, certificates, "right one")).start()
    safe_room.publisher().publish((safe_room.topic("p0", "temp"), b"%d" % i, i) for i in range(1000))
    agent.wait_delivered(1000)
    assert len(safe_room.samples()) == 1000
    assert "right one" not in agent.log()


def test_a_wrong_kafka_password_is_told_and_nothing_is_lost(safe_room, certificates):
    agent = safe_room.agent(kafka_settings(safe_room, certificates, "wrong one")).start(links=False)
    agent.wait("MQTT", lambda s: s["drivers"][0]["state"] == "up")
    safe_room.publisher().publish((safe_room.topic("p0", "temp"), b"%d" % i, i) for i in range(100))
    s = agent.wait("the reason", lambda s: "user or password is wrong" in (s["uplink"]["last_error"] or "") and s["held"] == 100, 30)
    assert s["uplink"]["state"] != "up"
    assert "wrong one" not in agent.log()
    kafka_settings(safe_room, certificates, "right one")
    agent.restart()
    agent.wait_delivered(100)


@contextlib.contextmanager
def listener(folder, certificates, port, authority="ca", name="IP:127.0.0.1", days="2"):
    """Somebody on the port who shows a certificate that `authority` signed."""
    def openssl(*words):
        done = subprocess.run(["openssl", *words], cwd=folder, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr

    (folder / "shown.ext").write_text(f"subjectAltName={name}\n")
    openssl("x509", "-req", "-in", f"{certificates}/server.csr", "-CA", f"{certificates}/{authority}.pem", "-CAkey",
            f"{certificates}/{authority}.key", "-set_serial", "7", "-days", days, "-extfile", "shown.ext", "-out", "shown.pem")
    with subprocess.Popen(["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", f"{folder}/shown.pem", "-key",
                           f"{certificates}/server.key", "-quiet"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as server:
        try:
            wait.until("the listener", 10, lambda: wait.port_answers(port))
            yield
        finally:
            server.kill()


@pytest.mark.parametrize("shown, words", [({"authority": "stranger"}, "no authority that is trusted here"),
                                          ({"name": "DNS:elsewhere"}, "for another name")])
def test_what_is_wrong_with_a_certificate_is_told(tmp_path, certificates, mosquitto, shown, words):
    port = wait.free_port()
    with open_room(tmp_path, None, mosquitto) as room, listener(tmp_path, certificates, port, **shown):
        agent = room.agent(kafka_settings(room, certificates, "right one"), kafka=f"127.0.0.1:{port}").start(links=False)
        s = agent.wait("the reason", lambda s: words in s["uplink"]["last_error"], 60)
        assert s["uplink"]["state"] == "down" and f"127.0.0.1:{port}: " in s["uplink"]["last_error"], s["uplink"]


def test_an_expired_certificate_is_told_and_ends_with_a_good_one(tmp_path, jars, certificates, mosquitto):
    folder = tmp_path / "kafka"
    folder.mkdir()
    broker = kafkas.safe_kafka(folder, jars, certificates, "gw", "right one")
    with open_room(tmp_path, None, mosquitto) as room:
        try:
            agent = room.agent(kafka_settings(room, certificates, "right one"), kafka=broker.brokers)
            with listener(folder, certificates, broker.port, days="-1"):
                agent.start(links=False)
                s = agent.wait("the reason", lambda s: "expired" in s["uplink"]["last_error"], 60)
                assert s["uplink"]["state"] == "down" and s["uplink"]["last_error_at"], s["uplink"]
                assert all("expired" in lane["why"] and lane["why_at"] for lane in s["uplink"]["lanes"]), s["uplink"]
                assert "expired" in s["heartbeat"]["why"] and s["health"] != "ok", s
                assert "expired" in agent.tool("status", code=1).stdout
            broker.start().make_topics()
            s = agent.wait("the end of the reason", lambda s: s["uplink"]["state"] == "up", 60)
            assert s["uplink"]["last_error"] == "" and not any(lane["why"] for lane in s["uplink"]["lanes"]), s["uplink"]
        finally:
            broker.kill()
