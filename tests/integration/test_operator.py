"""What an operator does to a spool: sends again what was refused or delivered, throws away what nobody wants."""

import os
import sqlite3

from confluent_kafka.admin import AdminClient, ConfigResource

from rig import kafka as kafkas
from rig import records
from test_spool_faults import OTHER


def held(room, n=3000):
    agent = room.agent({"kafka": {"window_records": 500}}, kafka="127.0.0.1:9").start(links=False)
    agent.wait("MQTT", lambda s: s["drivers"][0]["state"] == "up")
    room.publisher().publish((room.topic(f"p{i % 3}", "temp"), b"%d" % i, i) for i in range(n))
    agent.wait("them to be held", lambda s: s["held"] == n)
    return agent


def purged(agent, n):
    s = [d for d in agent.listing("spool", "dropped") if d["reason"] == "purged"]
    assert sum(d["n"] for d in s) == n, s
    agent.tool("spool", "verify")


def test_purge_with_the_daemon(room):
    agent = held(room)
    assert "3000 held" in agent.tool("spool", "purge", "--dry-run").stdout.replace(",", "")
    agent.tool("spool", "purge", code=2)
    assert agent.status()["held"] == 3000, "looking takes nothing away"
    agent.tool("spool", "purge", "--yes", "--until", "1h")
    assert agent.status()["held"] == 3000, "nothing is that old"
    said = agent.tool("spool", "purge", "--yes", code=1).stdout
    s = agent.status()
    assert s["held"] + s["dropped"] == 3000 == s["accepted"] and 0 < s["held"] < 2500, said
    assert f"{s['held']} of them stay" in said, "what may be on its way is left alone"
    purged(agent, s["dropped"])
    agent.conf["kafka"]["brokers"] = [room.kafka.brokers]
    agent.write()
    agent.restart()
    room.publisher().one(room.topic("p0", "temp"), b"9999")
    agent.wait_delivered(3001)
    assert "purged" in {e.data.get("reason") for e in room.events() if e.data["kind"] == "dropped"}
    assert [r.data["value"] for r in room.samples() if r.data["seq"] == 3001] == [9999.0]


def test_purge_without_the_daemon_leaves_the_file_to_its_owner(room):
    agent = held(room)
    agent.stop()
    for name in os.listdir(agent.folder):
        if name.startswith("spool.db"):
            os.chown(os.path.join(agent.folder, name), OTHER, OTHER)
    os.chown(agent.folder, OTHER, OTHER)
    above = os.path.dirname(agent.folder)
    while "pytest" in above:  # however deep the runner makes it
        os.chmod(above, 0o755)
        above = os.path.dirname(above)
    agent.tool("spool", "purge", "--yes", "--spool", agent.spool)
    purged(agent, 3000)
    owners = {os.stat(os.path.join(agent.folder, n)).st_uid for n in os.listdir(agent.folder) if n.startswith("spool.db")}
    assert owners == {OTHER}
    os.chown(agent.folder, 0, 0)
    agent.start(links=False)
    s = agent.status()
    assert (s["accepted"], s["held"], s["dropped"]) == (3000, 0, 3000)


def test_requeue_sends_kept_rows_again_under_their_ids(room):
    agent = room.agent().start()
    room.publisher().publish((room.topic("p0", "temp"), b"%d" % i, i) for i in range(1000))
    agent.wait_delivered(1000)
    assert "11 delivered again, 0 refused" in agent.tool("spool", "requeue", "500-510").stdout
    assert "700 delivered again" in agent.tool("spool", "requeue", "301-1000").stdout
    unique, again = records.by_id(room.samples())
    assert (len(unique), again) == (1000, 711), "the same ids, byte for byte"
    s = agent.status()
    assert (s["accepted"], s["delivered"], s["held"], s["dropped"]) == (1000, 1000, 0, 0)
    agent.tool("spool", "requeue", "5000", code=1)
    for wrong in ("x", "0", "9-3", "5-", "e", "-4"):
        agent.tool("spool", "requeue", "--", wrong, code=2)
    events = room.events()
    agent.tool("spool", "requeue", "e1")
    assert len(room.events()) == len(events) + 1
    agent.stop()
    agent.tool("spool", "requeue", "1", code=69)


def set_rowid(path, table, i, rowid):
    """Of row `i` in the table's only page, as damage would."""
    with sqlite3.connect(path) as c:
        root = c.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()[0]
        page_bytes = c.execute("PRAGMA page_size").fetchone()[0]
    with open(path, "r+b") as f:
        page = (root - 1) * page_bytes
        f.seek(page + 8 + 2 * i)
        at = page + int.from_bytes(f.read(2), "big")
        f.seek(at + 1)
        f.write(bytes([rowid]))


def test_a_requeue_of_a_damaged_table_ends(room):
    agent = room.agent().start()
    room.publisher().publish((room.topic("p0", "temp"), b"%d" % i, i) for i in range(10))
    agent.wait_delivered(10)
    agent.stop()
    with sqlite3.connect(agent.spool) as c:
        c.execute("INSERT INTO dead_letter SELECT v, 'samples', v, 0, 0, 0, 0, 1, 0, 0, 'x', 0 FROM (SELECT 1 AS v UNION SELECT 2)")
        c.execute("INSERT INTO quarantine VALUES (1, 0, 'd', 'o', 'r', 'x'), (2, 0, 'd', 'o', 'r', 'x')")
    c.close()
    set_rowid(agent.spool, "dead_letter", 1, 0)
    set_rowid(agent.spool, "quarantine", 1, 0)
    agent.start()
    done = agent.tool("spool", "requeue", "1-10", code=None)
    assert done.returncode != 0 and "out of order" in done.stdout + done.stderr, (done.stdout, done.stderr)
    done = agent.tool("spool", "quarantine", code=None)
    assert done.returncode != 0 and "out of order" in done.stderr, (done.stdout, done.stderr)
    agent.stop()


def limit(room, n_bytes):
    resource = ConfigResource(ConfigResource.Type.TOPIC, kafkas.SAMPLES, set_config={"max.message.bytes": str(n_bytes)})
    admin = AdminClient(room.kafka.client)  # what it promises dies with it
    for done in admin.alter_configs([resource]).values():
        done.result(20)


def test_dead_letters_go_out_when_the_limit_is_raised(room):
    limit(room, 2000)
    try:
        agent = room.agent().start()
        publisher = room.publisher()
        publisher.publish((room.topic("p0", "text"), b'"%04d%s"' % (i, os.urandom(2000).hex().encode() if i % 10 == 0 else b"x"), i) for i in range(100))
        s = agent.wait("ten dead letters", lambda s: s["dead_lettered"] == 10 and s["held"] == 0, 60)
        assert (s["delivered"], s["dropped"]) == (90, 10)
        refused = agent.tool("spool", "requeue", "1-10", code=1).stdout
        assert "9 delivered again, 1 refused" in refused, refused
    finally:
        limit(room, 1048588)
    # brokers learn of it at once, the producer asks nobody
    assert "100 delivered again, 0 refused" in agent.tool("spool", "requeue", "1-100").stdout
    unique, _ = records.by_id(room.samples())
    assert len(unique) == 100
    agent.wait("the table to be empty", lambda s: not agent.listing("spool", "sql", "SELECT id FROM dead_letter"))
    s = agent.status()
    assert (s["accepted"], s["delivered"], s["dropped"]) == (100, 90, 10), "the ledger does not change"
    agent.tool("spool", "verify")
