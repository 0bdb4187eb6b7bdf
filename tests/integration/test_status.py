"""The status object: all keys of the contract, and the ledger that balances at every instant."""

from rig.agent import tool
from test_kill9 import Steady

NUMBER = (int, float)
KEYS = {
    "health": str, "gateway": str, "epoch": int, "uptime_s": NUMBER, "accepted": int, "delivered": int, "held": int,
    "dropped": int, "held_bytes": int, "oldest_held_age_s": NUMBER, "spool_bytes": int, "spool_max_bytes": int,
    "spool_usable_bytes": int,
    "accept_rate": NUMBER, "deliver_rate": NUMBER, "drain_eta_s": (*NUMBER, type(None)), "alarms": dict, "drivers": list,
    "uplink": dict, "heartbeat": dict, "flash": dict,
}
INNER = {
    "alarms": {"active": int, "unacked": int},
    "drivers": {"name": str, "kind": str, "state": str, "readings": int, "errors": int, "paused": bool,
                "last_error": str, "last_error_at": (str, type(None))},
    "uplink": {"state": str, "in_flight": int, "paused": bool, "last_error": str, "last_error_at": (str, type(None)), "lanes": list},
    "heartbeat": {"state": str, "why": str, "why_at": (str, type(None))},
    "flash": {"bytes_today": int, "bytes_per_reading": NUMBER},
}


def check(status):
    def typed(where, o, keys):
        for key, kind in keys.items():
            assert key in o, f"{where}{key} is missing"
            assert isinstance(o[key], kind) and (kind is bool or type(o[key]) is not bool), f"{where}{key}: {o[key]!r}"

    typed("", status, KEYS)
    for name, keys in INNER.items():
        for item in status[name] if isinstance(status[name], list) else [status[name]]:
            typed(name + ".", item, keys)
    assert status["health"] in ("ok", "degraded", "failed")
    assert status["accepted"] == status["delivered"] + status["held"] + status["dropped"], status
    assert status["held"] > 0 or status["drain_eta_s"] is None, status
    assert status["held"] > 0 or status["oldest_held_age_s"] == 0, status
    assert all(status[k] >= 0 for k in ("held", "held_bytes", "oldest_held_age_s", "accept_rate", "deliver_rate"))
    assert status["spool_bytes"] <= status["spool_max_bytes"]


def test_every_key_with_its_type_and_a_ledger_that_balances(room):
    agent = room.agent().start()
    check(agent.status())
    steady = Steady(room, 3000)
    seen = [agent.wait("a sample", lambda s: True) for _ in range(120)]
    agent.wait("rates as published", lambda s: 2000 < s["accept_rate"] < 4000 and 2000 < s["deliver_rate"] < 4000)
    acked = steady.finish()
    for s in seen:
        check(s)
        assert s["gateway"] == room.gateway
    for key in ("accepted", "delivered", "uptime_s"):
        assert [s[key] for s in seen] == sorted(s[key] for s in seen), f"{key} fell"
    last = agent.wait_delivered(len(acked))
    check(last)
    assert last["health"] == "ok"
    assert [d["name"] for d in last["drivers"]] == ["plant"] and last["drivers"][0]["kind"] == "mqtt"
    assert last["drivers"][0]["readings"] == len(acked)
    assert last["flash"]["bytes_today"] > 0 and last["flash"]["bytes_per_reading"] > 0


def test_exit_code_says_whether_it_is_healthy(room):
    agent = room.agent().start()
    agent.wait("good health", lambda s: s["health"] == "ok")
    agent.tool("status", code=0)
    agent.stop()
    agent.tool("status", code=1)          # from the file: it does not run
    tool("status", "--spool", room.folder / "nothing.db", "--config", agent.config, code=69)


def test_status_counts_survive_a_restart(room):
    agent = room.agent().start()
    room.publisher().publish((room.topic("p0", "temp"), b"%d" % i, i) for i in range(1000))
    before = agent.wait_delivered(1000)
    agent.restart()
    after = agent.status()
    for key in ("accepted", "delivered", "held", "dropped", "epoch"):
        assert after[key] == before[key], key
    agent.kill()
    agent.start()
    assert agent.status()["accepted"] == 1000
