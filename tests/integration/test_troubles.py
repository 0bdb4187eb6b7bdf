"""What a person is told who asks in the middle of the night: each trouble made for real, its first line, and its end.

The manual's table of the first lines is compared with what is said here; MILLRACE_WRITE_TROUBLES=1 writes it anew.
MILLRACE_WRITE_TROUBLE_TIMES=FILE writes how long each took to be told: TROUBLES.md beside this file.
"""

import contextlib
import datetime
import os
import subprocess

import pytest

from rig import trouble as troubles
from rig.mosquitto import Mosquitto, make_certificates
from rig.room import open_room
import troubles_uplink
import troubles_sources
import troubles_spool

assert troubles_uplink and troubles_sources and troubles_spool  # there for what they bring: the order of the imports is that of the table


def over(folder):
    """Beside the server's certificate, one that has expired."""
    subprocess.run(["openssl", "x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-set_serial", "7", "-days", "-1",
                    "-extfile", "server.ext", "-out", "over.pem"], cwd=folder, capture_output=True, timeout=60, check=True)
    return folder


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return over(make_certificates(tmp_path_factory.mktemp("tls")))


@pytest.fixture(scope="module")
def broker(tmp_path_factory, jars, certificates):
    made = troubles_uplink.open_kafka(tmp_path_factory.mktemp("kafka-troubles"), jars, certificates)
    try:
        yield made.start().make_topics()
    finally:
        for door in made.doors.values():
            door.close()
        made.kill()


@pytest.fixture(scope="module")
def lines():
    made = []
    yield made
    if os.environ.get(troubles.WRITE):
        troubles.write(made)


@pytest.fixture(scope="module")
def times():
    made = {}
    yield made
    if os.environ.get(troubles.WRITE_TIMES):
        troubles.write_times(made)


@pytest.fixture
def place(tmp_path, broker):
    folder = tmp_path / "mosquitto"
    folder.mkdir()
    mosquitto = Mosquitto(folder).start()
    with contextlib.ExitStack() as stack:
        stack.callback(mosquitto.stop)
        with open_room(tmp_path, None, mosquitto) as room:
            yield troubles.Place(room, tmp_path, broker, stack)


@pytest.mark.parametrize("case", troubles.TROUBLES, ids=repr)
def test_it_is_said_first_with_its_way_out_and_ends(case, place, lines, times):
    place.case = case
    began = datetime.datetime.now(datetime.timezone.utc)
    with troubles.made(case, place) as agent:
        condition = troubles.meet(agent, case, began)
        line = troubles.row(place, case, condition)
        lines.append(line)
        times[case.name] = place.clock.read()
        print(line, times[case.name])
    troubles.leave(agent, case)
    if not os.environ.get(troubles.WRITE):
        troubles.check(line)
