"""What a consumer can check: the record contract v1, and the invariants of nothing lost, nothing twice."""

import functools
import json
import re
import unicodedata
from collections import defaultdict
from datetime import datetime, timezone
from pathlib import Path

import fastjsonschema

NUMBER = re.compile(rb'"value":(-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)[,}]')
VALUE_KEYS = ("value", "value_str", "value_bool", "value_int")
REQUIRED = {"id", "gateway", "source", "tag", "ts", "ts_us", "quality", "epoch", "seq"}


@functools.cache
def schema(kind):
    path = Path(__file__).parents[3] / "packaging" / "schemas" / f"{kind}.schema.json"
    return fastjsonschema.compile(json.loads(path.read_text()))


def must_be(kind, data):
    """By the published schema: sample, event or status."""
    try:
        schema(kind)(data)
    except fastjsonschema.JsonSchemaException as e:
        raise AssertionError(f"not a {kind} of contract v1: {e}: {data}") from e


def is_name(s):
    """By the contract: 1 to 64 letters (with their marks) and digits of any script, _ - and a dot, in normal form C."""
    letters = ("L", "M", "Nd", "Nl")
    return 1 <= len(s) <= 64 and unicodedata.is_normalized("NFC", s) and all(c in "_-." or unicodedata.category(c).startswith(letters) for c in s)


def of_gateway(records, gateway):
    """The records of one gateway, parsed and held against the schema; every other test has a gateway of its own."""
    mine = []
    mark = b'"' + gateway.encode() + b'"'
    for r in records:
        if mark in r.value:
            r.data = json.loads(r.value)
            if r.data["gateway"] == gateway:
                must_be("event" if "event_id" in r.data else "sample", r.data)
                mine.append(r)
    return mine


def check_contract(r):
    """One sample record, key by key."""
    d = r.data
    where = r.value[:300]
    assert b"\n" not in r.value, where
    assert REQUIRED <= d.keys(), f"missing {REQUIRED - d.keys()} in {where}"
    assert d["id"] == f'{d["gateway"]}:{d["epoch"]}:{d["seq"]}', where
    assert r.key == f'{d["gateway"]}/{d["source"]}'.encode(), (r.key, where)
    assert is_name(d["source"]) and is_name(d["tag"]), where
    assert all(type(d[k]) is int for k in ("ts_us", "epoch", "seq")), where
    iso = datetime.fromtimestamp(d["ts_us"] // 1000000, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
    assert d["ts"] == f'{iso}.{d["ts_us"] % 1000000:06d}Z', where
    assert d["quality"] in ("good", "uncertain", "bad"), where
    values = [k for k in VALUE_KEYS if k in d]
    assert len(values) == (0 if d["quality"] == "bad" else 1), where
    if "value" in d:
        text = NUMBER.search(r.value)
        assert text and re.search(rb"[.eE]", text.group(1)), f"the value has neither fraction nor exponent: {where}"
        assert type(d["value"]) is float, where
    assert "value_bool" not in d or type(d["value_bool"]) is bool, where
    assert "value_str" not in d or type(d["value_str"]) is str, where
    assert "value_int" not in d or (type(d["value_int"]) is int and abs(d["value_int"]) > 2**53), where
    headers = dict(r.headers)
    assert headers.get("content-type") == b"application/json", headers
    assert headers.get("millrace-schema") == b"1", headers


def check_kafka_time(r):
    assert r.ts_ms == r.data["ts_us"] // 1000, (r.ts_ms, r.value[:300])


def check_gapless(mine, first=1):
    """seq runs first, first + 1, … without gap and duplicate, in one epoch."""
    assert len({r.data["epoch"] for r in mine}) <= 1, "more than one epoch"
    seqs = sorted(r.data["seq"] for r in mine)
    assert len(seqs) == len(set(seqs)), f"{len(seqs) - len(set(seqs))} records twice"
    want = list(range(first, first + len(seqs)))
    assert seqs == want, f"seq has gaps: {len(seqs)} records from {seqs[0]} to {seqs[-1]}, expected {want[0]} to {want[-1]}"


def check_order(mine):
    """Per key the order in Kafka is the order of seq; per tag ts_us only grows. `mine` is by partition and offset."""
    last_seq, last_ts, place = {}, {}, {}
    for r in mine:
        d = r.data
        assert place.setdefault(r.key, r.partition) == r.partition, f"{r.key} is in two partitions"
        assert d["seq"] > last_seq.get(r.key, 0), f"{r.key}: seq {d['seq']} after {last_seq[r.key]}"
        last_seq[r.key] = d["seq"]
        tag = (d["source"], d["tag"])
        assert d["ts_us"] > last_ts.get(tag, 0), f"{tag}: ts_us {d['ts_us']} after {last_ts[tag]}"
        last_ts[tag] = d["ts_us"]


def by_id(mine):
    """id -> record. A duplicate must be the same, byte for byte; returns (records, number of duplicates)."""
    seen, again = {}, 0
    for r in mine:
        first = seen.setdefault(r.data["id"], r)
        if first is not r:
            again += 1
            assert first.value == r.value, f"the same id with other bytes:\n{first.value}\n{r.value}"
            assert first.key == r.key and first.ts_ms == r.ts_ms, f"the same id with another key or time: {r.value}"
    return seen, again


def once_each(records):
    """value -> id; two ids for one published value are a reading taken twice."""
    ids = defaultdict(set)
    for r in records:
        ids[r.data["value"]].add(r.data["id"])
    double = {v: sorted(i) for v, i in ids.items() if len(i) > 1}
    assert not double, f"{len(double)} published values were taken twice: {dict(list(double.items())[:5])}"
    return ids
