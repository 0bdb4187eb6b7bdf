"""setup and doctor judge files, ports and folders as the user the service runs as, whoever the person is."""

import contextlib
import json
import os
import pty

import pytest

from rig import agent as agents
from rig import wait
from rig.house import DIALOUT, OTHER, USER, House


@pytest.fixture
def house():
    made = House()
    try:
        yield made
    finally:
        made.close()


@contextlib.contextmanager
def port(group, mode):
    ours, theirs = pty.openpty()
    path = os.ttyname(theirs)
    os.chown(path, 0, group)
    os.chmod(path, mode)
    try:
        yield path
    finally:
        os.close(ours)
        os.close(theirs)


def rights(house, config, uid=0):
    rows = [json.loads(line) for line in house.millrace("doctor", "--json", "-c", config, uid=uid).stdout.splitlines()]
    assert rows
    return {r["subject"]: r for r in rows if r["area"] == "rights"}


def conf(house, at, secret):
    return agents.yaml({"gateway": "g", "spool": {"path": house.path("spool/spool.db")},
                        "kafka": {"brokers": [f"127.0.0.1:{wait.free_port()}"], "secrets": [f"sasl.password=file:{secret}"]},
                        "modbus": [{"name": "line1", "port": at}]}) + "\n"


def test_doctor_looks_as_the_services_user(house):
    os.makedirs(house.path("spool"))
    secret = house.file("secret")
    with port(0, 0o600) as at:
        config = house.file("millrace.yaml", conf(house, at, secret), mode=0o644)
        told = rights(house, config)
        assert set(told) == {at, config, house.path("spool")} and {r["level"] for r in told.values()} == {"fault"}, told
        assert secret in told[config]["what"] and "as user millrace" in told[config]["what"]
        os.chmod(config, 0o600)
        assert "can't read all" in rights(house, config)[config]["what"]
    os.chmod(config, 0o644)
    os.chown(house.path("spool"), USER, USER)
    os.chown(secret, 0, USER)
    os.chmod(secret, 0o640)
    with port(DIALOUT, 0o660) as at:  # of which the service is, though the user is not
        config = house.file("millrace.yaml", conf(house, at, secret), mode=0o644)
        assert [r["level"] for r in rights(house, config).values()] == ["ok"]


def test_doctor_of_somebody_else_says_that_it_can_not_tell(house):
    os.makedirs(house.path("spool"))
    with port(DIALOUT, 0o660) as at:
        config = house.file("millrace.yaml", conf(house, at, house.file("secret", mode=0o644)), mode=0o644)
        told = rights(house, config, OTHER)
    assert [r["level"] for r in told.values()] == ["note"] and "as root" in told["files and ports"]["what"], told


def answer(house, *more, **how):
    return house.millrace("setup", "--gateway", "g", "--mqtt", "none", "--yes", *more, **how)


def test_setup_tries_secrets_and_ports_as_the_services_user(house):
    nobody = f"127.0.0.1:{wait.free_port()}"
    secret = house.file("secret")
    args = ["--kafka", nobody, "--bus", "none", "--kafka-login", "plain", "--kafka-user", "u", "--kafka-password-file", secret]
    done = answer(house, *args)
    assert done.returncode == 69 and f"{secret} can't be read by the user millrace" in done.stderr, done.stderr
    os.chown(secret, 0, USER)
    os.chmod(secret, 0o640)
    assert "no broker of Kafka answers" in answer(house, *args).stderr
    with port(0, 0o600) as at:
        done = answer(house, "--kafka", nobody, "--untried", "--bus", at, "--units", "1")
        assert f"{at} can't be opened by the user millrace" in done.stderr
        assert done.returncode == 0, "--untried keeps it"
    with port(DIALOUT, 0o660) as at:
        done = answer(house, "--kafka", nobody, "--untried", "--bus", at, "--units", "1", "--replace")
        assert "nobody answers" in done.stderr and "can't be opened" not in done.stderr


def test_setup_changes_nothing_that_the_service_could_not_use(house):
    args = ["--kafka", f"127.0.0.1:{wait.free_port()}", "--bus", f"tcp://127.0.0.1:{wait.free_port()}", "--untried"]
    folder = os.path.join(house.etc, "millrace")
    os.chmod(folder, 0o700)
    done = answer(house, *args)
    assert done.returncode == 1 and "user millrace can't read the configuration" in done.stderr and os.listdir(folder) == [], done.stderr
    os.chmod(folder, 0o755)
    os.makedirs(house.path("spool"))
    args += ["--spool", house.path("spool/spool.db")]
    done = answer(house, *args, "--service", "start", systemd=True)
    assert done.returncode == 1 and "is not the user millrace's" in done.stderr and os.listdir(folder) == [], done.stderr
    os.chown(house.path("spool"), USER, USER)
    assert answer(house, *args, "--service", "start", systemd=True).returncode == 0
    assert os.listdir(folder) == ["millrace.yaml"]
