"""millrace-page without a browser: what it answers is what the command says; who may do what; and what a hostile client gets."""

import http.client
import json
import os
import socket
import subprocess
import time

import pytest

from rig import wait
from rig.page import Page, program

ALARMS = [{"match": "*/temp", "rule": "limits", "hi": 80, "severity": 800}]
COUNTS = ("accepted", "delivered", "held", "dropped")


@pytest.fixture
def paged(room):
    """An agent that has readings and an alarm, with its page."""
    agent = room.agent({"alarms": ALARMS, "page": {"users": str(room.folder / "users")}}).start()
    page = Page(agent)
    page.room = room
    page.publisher = room.publisher()
    page.publisher.publish((room.topic("press-1", "temp"), b"%d" % (i % 50), i) for i in range(200))
    agent.wait_delivered(200)
    try:
        yield page.start()
    finally:
        page.stop()


def alarm_on(page):
    page.publisher.publish([(page.room.topic("press-1", "temp"), b"99", 1000)])
    page.agent.wait("the alarm", lambda s: s["alarms"]["active"] == 1)


def test_the_page_itself(paged):
    status, headers, data = paged.ask("/")
    assert status == 200 and headers["Content-Encoding"] == "gzip" and len(data) <= 100 * 1024
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe-inline" not in policy and "frame-ancestors 'none'" in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    status, _, data = paged.ask("/", headers={"If-None-Match": headers["ETag"]})
    assert status == 304 and not data


def test_what_it_shows_is_what_the_command_says(paged):
    alarm_on(paged)
    paged.agent.wait_delivered(201)
    frames = dict(paged.frames(2))
    said = paged.agent.answer()
    assert [frames["status"][k] for k in COUNTS] == [said[k] for k in COUNTS]
    assert set(frames["status"]) == set(said)
    assert [a["rule"] for a in frames["alarms"]["alarms"]] == [a["rule"] for a in paged.agent.listing("alarms", "ls")]
    assert paged.get("/api/alarms")["alarms"] == paged.agent.listing("alarms", "ls", "--all")
    tags = paged.get("/api/tags?q=PRESS+temp")["tags"]
    assert [(t["source"], t["tag"], t["last_value"]) for t in tags] == [("press-1", "temp", "99.0")] or tags[0]["last_value"].startswith("99")
    assert paged.get("/api/tags?q=nothing")["tags"] == []
    assert [e["seq"] for e in paged.get("/api/events")["rows"]] == [e["seq"] for e in reversed(paged.agent.listing("events", "-n", "200"))]
    assert "gateway" in paged.get("/api/configuration")["text"]
    for path, key in (("ledger", "rows"), ("quarantine", "rows"), ("dead-letters", "rows"), ("alarm-log", "log")):
        assert isinstance(paged.get(f"/api/{path}")[key], list)


def test_an_outage_is_seen_coming_and_going(paged):
    paged.room.kafka.freeze()
    try:
        paged.publisher.publish((paged.room.topic("press-1", "vib"), b"%d" % i, 2000 + i) for i in range(50))
        wait.until("what is held", 30, lambda: dict(paged.frames(1))["status"]["held"] >= 50, every=0.5)
        s = dict(paged.frames(1))["status"]
        assert s["accepted"] == s["delivered"] + s["held"] + s["dropped"]
    finally:
        paged.room.kafka.thaw()
    wait.until("none held", 60, lambda: dict(paged.frames(1))["status"]["held"] == 0, every=0.5)


def test_a_curve_is_the_spools_rows(paged):
    now = int(time.time() * 1e6) + 1000000
    q = f"source=press-1&tag=temp&labels=%22line%22:%22l1%22&from_us={now - 600 * 10**6}&to_us={now}&width=7"
    c = paged.get("/api/curve?" + q)
    assert sum(column[5] for column in c["columns"]) == 200 and not c["partial"]
    assert min(column[1] for column in c["columns"]) == 0 and max(column[2] for column in c["columns"]) == 49
    assert c["columns"][-1][4] == 199 % 50 and all(column[6] == "good" for column in c["columns"])
    assert paged.get("/api/curve?" + q.replace(f"to_us={now}", f"to_us={now - 500 * 10**6}"))["columns"] == []
    paged.get("/api/curve?" + q.replace("tag=temp", "tag=none"), code=404)
    for wrong in ("width=0", "width=4001", "width=x", "from_us=9&to_us=8"):
        paged.get("/api/curve?source=press-1&tag=temp&" + wrong, code=400)


def test_acting_needs_a_user_a_role_and_the_pages_own_token(paged):
    alarm_on(paged)
    alarm = paged.get("/api/alarms")["alarms"][0]
    ack = {"action": "ack", "alarm": alarm["event_id"], "comment": "seen"}
    assert paged.ask("/api/alarm", ack)[0] == 401
    paged.user("kim", "operate", "a long password").user("lee", "view", "another password")
    assert paged.ask("/api/login", {"user": "kim", "password": "a wrong password"})[0] == 401
    assert paged.ask("/api/login", {"user": "nobody", "password": "a wrong password"})[0] == 401
    lee = paged.log_in("lee", "another password")
    assert paged.ask("/api/alarm", ack, headers=lee)[0] == 403
    kim = paged.log_in("kim", "a long password")
    assert paged.ask("/api/alarm", ack, headers={"Cookie": kim["Cookie"]})[0] == 403
    assert paged.ask("/api/alarm", ack, headers={**kim, "X-CSRF-Token": lee["X-CSRF-Token"]})[0] == 403
    assert paged.ask("/api/alarm", {**ack, "alarm": "no/such/alarm"}, headers=kim)[0] == 409
    status, _, data = paged.ask("/api/alarm", ack, headers=kim)
    assert status == 200, data
    paged.agent.wait("it acknowledged", lambda s: s["alarms"]["unacked"] == 0)
    log = paged.get("/api/alarm-log")["log"]
    assert any(n.get("operator") == "kim" and n.get("comment") == "seen" for n in log), log
    assert paged.ask("/api/logout", {}, headers=kim)[0] == 200
    assert paged.ask("/api/alarm", ack, headers=kim)[0] == 401


def test_other_sites_are_refused(paged):
    paged.user("kim", "operate", "a long password")
    body = {"user": "kim", "password": "a long password"}
    for headers in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Host": "evil.example"}, {"Origin": "null"}):
        assert paged.ask("/api/login", body, headers=headers)[0] == 403, headers
    assert paged.ask("/api/session", headers={"Host": "evil.example:8420"})[0] == 403  # a rebound name
    assert paged.ask("/api/tags", headers={"Sec-Fetch-Site": "cross-site"})[0] == 403
    assert paged.ask("/api/login", json.dumps(body), headers={"Content-Type": "text/plain"})[0] == 400
    assert paged.ask("/api/login", body, headers={"Origin": f"http://{paged.host}", "Sec-Fetch-Site": "same-origin"})[0] == 200
    assert paged.ask("/api/session", headers={"Host": f"localhost:{paged.port}"})[0] == 200


def test_guessing_is_slowed_down(paged):
    paged.user("kim", "operate", "a long password")
    codes = [paged.ask("/api/login", {"user": "kim", "password": f"wrong one {i}"})[0] for i in range(8)]
    assert codes == [401] * 5 + [429] * 3
    status, headers, _ = paged.ask("/api/login", {"user": "kim", "password": "a long password"})
    assert status == 429 and headers["Retry-After"]


@pytest.mark.parametrize("path", ["/../../etc/passwd", "/api/../api/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//", "/api", "/api/", "/x" * 500, "/api/tags/../x"])
def test_there_is_nothing_else(paged, path):
    assert paged.ask(path)[0] in (400, 404)


def test_odd_requests(paged):
    assert paged.ask("/", method="DELETE")[0] == 405
    assert paged.ask("/", method="PUT", body="x")[0] == 405
    assert paged.ask("/api/login", "x" * 20000)[0] == 413
    for body in ("", "[]", "{", '{"user":5}', '{"user":"a","user":"b","password":"c"}', '{"user":"kim"}', "\x00"):
        assert paged.ask("/api/login", body)[0] in (400, 401), body
    assert paged.ask("/", headers={"X": "y" * 40000})[0] in (413, 431)
    assert paged.ask("/api/tags?q=" + "%ff%00%0a" * 20)[0] in (200, 400, 503)


def test_slow_and_many_connections_harm_nobody(paged):
    """Connections that say nothing or a byte now and then end; meanwhile the river goes on, and afterwards the page, too."""
    many = []
    for i in range(1000):
        c = socket.socket()
        c.setblocking(False)
        c.connect_ex(("127.0.0.1", paged.port))
        many.append(c)
    for c in many[:50]:
        try:
            c.send(b"GET / HTTP/1.1\r\nHost: x")
        except OSError:
            pass
    paged.publisher.publish((paged.room.topic("press-1", "temp"), b"%d" % i, 3000 + i) for i in range(1000))
    paged.agent.wait_delivered(1200)
    for _ in range(4):  # a byte now and then does not make it live longer
        time.sleep(4)
        for c in many[:50]:
            try:
                c.send(b"x")
            except OSError:
                pass
    for c in many[50:]:
        c.close()

    def answers():
        try:
            return paged.ask("/api/session")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    wait.until("the page to answer again", 60, answers, every=0.5)
    for c in many[:50]:
        c.close()
    assert paged.agent.answer()["held"] == 0


def test_a_page_that_never_reads_harms_nobody(paged):
    deaf = []
    for _ in range(20):
        c = socket.socket()
        c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        c.connect(("127.0.0.1", paged.port))
        c.send(f"GET /api/live HTTP/1.1\r\nHost: {paged.host}\r\n\r\n".encode())
        deaf.append(c)
    paged.publisher.publish((paged.room.topic("press-1", "temp"), b"%d" % i, 5000 + i) for i in range(1000))
    paged.agent.wait_delivered(1200)
    wait.until("news of it", 20, lambda: dict(paged.frames(1))["status"]["delivered"] >= 1200, every=0.5)
    for c in deaf:
        c.close()


def test_a_daemon_that_is_away_is_told(paged):
    paged.agent.kill()
    assert paged.frames(1)[0][0] == "away"
    assert paged.get("/api/tags?q=temp")["tags"], "the spool is there"
    paged.agent.start()
    wait.until("its status", 20, lambda: paged.frames(1)[0][0] == "status")


def test_beyond_loopback(room):
    folder = str(room.folder)
    for name in ("crt", "key"):
        assert not os.path.exists(f"{folder}/{name}")
    subprocess.run([program(), "cert", f"{folder}/crt", f"{folder}/key", "127.0.0.1", "gw.plant"], check=True, timeout=20)
    assert subprocess.run([program(), "cert", f"{folder}/crt", f"{folder}/key", "x"], check=False, timeout=20, capture_output=True).returncode == 1
    agent = room.agent({"page": {"users": f"{folder}/users"}})
    agent.conf["page"]["listen"] = "0.0.0.0:1"
    agent.write()
    assert "beyond loopback" in agent.tool("check", code=78).stderr + agent.tool("check", code=None).stdout
    bare = subprocess.run([program(), "--config", room.agent({"page": {"users": f"{folder}/users"}}).config, "--listen", "0.0.0.0:1"], check=False, timeout=20, capture_output=True, text=True)
    assert bare.returncode == 69 and "beyond loopback" in bare.stderr
    agent.conf["page"].update(listen="0.0.0.0:1", certificate=f"{folder}/crt", key=f"{folder}/key")
    agent.write()
    agent.start()
    page = Page(agent, tls=True)
    page.listen = f"0.0.0.0:{page.port}"
    page.start()
    try:
        assert page.ask("/")[0] == 200
        for path in ("/api/live", "/api/tags", "/api/configuration"):
            assert page.ask(path)[0] == 401
        page.user("lee", "view", "another password")
        lee = page.log_in("lee", "another password")
        assert page.get("/api/tags", headers=lee)["tags"] == []
        status, headers, _ = page.ask("/api/login", {"user": "lee", "password": "another password"})
        assert status == 200 and all(word in headers["Set-Cookie"] for word in ("HttpOnly", "SameSite=Strict", "Secure"))
    finally:
        page.stop()


def test_behind_a_proxy(room):
    agent = room.agent({"page": {"users": str(room.folder / "users")}}).start()
    page = Page(agent, listen=f"unix:{room.folder}/page.sock").start()
    try:
        assert page.ask("/api/session", headers={"Host": "gw.plant.example"})[0] == 200
        assert page.ask("/api/tags", headers={"Host": "gw.plant.example"})[0] == 401
    finally:
        page.stop()
