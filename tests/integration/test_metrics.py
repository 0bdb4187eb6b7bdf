"""Prometheus' page: over HTTP on loopback when it is configured, and as `millrace metrics`."""

import re
import socket
import urllib.error
import urllib.request

import pytest

from rig import wait


def get(port, path="/metrics", method="GET"):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.headers["Content-Type"], answer.read().decode()


def sample(page, name):
    return float(re.search(rf"^{name}{{[^}}]*}} (\S+)$", page, re.M).group(1))


@pytest.fixture
def served(room):
    port = wait.free_port()
    agent = room.agent({"metrics": {"listen": f"127.0.0.1:{port}"}}).start()
    return room, agent, port


def test_the_page_counts(served):
    room, agent, port = served
    room.publisher().publish((room.topic("press-1", "temp"), b"%d.5" % i, i) for i in range(500))
    agent.wait_delivered(500)
    kind, page = get(port)
    assert kind == "text/plain; version=0.0.4; charset=utf-8"
    assert sample(page, "millrace_readings_accepted_total") == 500
    assert sample(page, "millrace_readings_delivered_total") == 500
    assert sample(page, "millrace_readings_held") == 0
    assert f'gateway="{room.gateway}"' in page
    told = agent.tool("metrics").stdout
    names = re.compile(r"^# HELP (\S+)", re.M)
    assert names.findall(told) == names.findall(page)
    assert sample(told, "millrace_readings_accepted_total") == 500


def test_other_paths_and_methods(served):
    _, _, port = served
    with pytest.raises(urllib.error.HTTPError) as wrong:
        get(port, "/")
    assert wrong.value.code == 404
    with pytest.raises(urllib.error.HTTPError) as wrong:
        get(port, method="POST")
    assert wrong.value.code == 405
    assert get(port, method="HEAD")[1] == ""


def test_clients_that_say_nothing_hold_up_nobody(served):
    room, agent, port = served
    silent = [socket.create_connection(("127.0.0.1", port), timeout=5) for _ in range(30)]
    room.publisher().publish((room.topic("press-1", "temp"), b"%d.5" % i, i) for i in range(200))
    agent.wait_delivered(200)
    for s in silent:
        s.close()
    wait.until("the page, when they have gone", 20, lambda: sample(get(port)[1], "millrace_readings_accepted_total") == 200)


def test_a_port_that_is_taken_is_69(room):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        agent = room.agent({"metrics": {"listen": f"127.0.0.1:{taken.getsockname()[1]}"}})
        agent.spawn()
        assert agent.process.child.wait(20) == 69
        assert "metrics.listen" in agent.log()


def test_without_a_daemon_there_is_no_page(room):
    agent = room.agent()
    assert not agent.tool("metrics", code=69).stdout
