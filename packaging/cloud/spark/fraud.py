#!/usr/bin/python3
"""Watches payments with Spark Structured Streaming, and asks for a verification of those that are unlike what a card does.

usage: spark-submit fraud.py, or python3 fraud.py     (on a cluster that runs the driver, too: with --py-files stream.py)

A payment is two readings of one source, the card, with one time: amount, and place as "latitude,longitude". They may come in different
batches. What is asked for:

    velocity    VELOCITY_N payments (default: 5) within VELOCITY_S seconds (60): once for a row of them
    repeat      the same amount at the same place within REPEAT_S seconds (60)
    leap        farther than LEAP_KM (50) from the card's last place, and faster than LEAP_KMH (900); payments at either end of a leap
                that was told are no further leap

State is kept per card, on the payments' own time: the last ten minutes, at most 64 payments and 64 halves, and where the card was. A payment
counts once by its id. One that is older than that state reaches is not judged; a half whose other one never comes (a message without a place)
is judged by nobody. The state of a card that paid nothing for a day goes.

VERIFICATIONS_TOPIC (edge_verifications_v1) is written at least once: after a kill a batch may come again, with the same ids. The variables of all
jobs are in stream.py.
"""

import json
import math
import os
import sys

import pandas
from pyspark.sql import functions as F
from pyspark.sql import types as T
from pyspark.sql.streaming.state import GroupStateTimeout

import stream

ENV = os.environ.get
TOPICS = ENV("TOPICS") or "edge_samples_v1,edge_backfill_v1"
VERIFICATIONS = ENV("VERIFICATIONS_TOPIC") or "edge_verifications_v1"
VELOCITY_N, VELOCITY_US = int(ENV("VELOCITY_N") or 5), int(float(ENV("VELOCITY_S") or 60) * 1e6)
REPEAT_US = int(float(ENV("REPEAT_S") or 60) * 1e6)
LEAP_KM, LEAP_KMH = float(ENV("LEAP_KM") or 50), float(ENV("LEAP_KMH") or 900)
KEPT_US, MOST, DAY_MS = 600_000_000, 64, 86_400_000

READING = T.StructType([T.StructField(name, kind) for name, kind in [
    ("id", T.StringType()), ("gateway", T.StringType()), ("source", T.StringType()), ("tag", T.StringType()), ("ts_us", T.LongType()),
    ("value", T.DoubleType()), ("value_str", T.StringType()), ("quality", T.StringType())]])
HALF = ["ts_us", "tag", "value", "value_str", "id"]
TOLD = "gateway string, source string, rule string, value double, place string, ts_us bigint, sample_id string"


def kilometres(a, b):
    (la, oa), (lb, ob) = (map(math.radians, map(float, each.split(","))) for each in (a, b))
    h = math.sin((lb - la) / 2) ** 2 + math.cos(la) * math.cos(lb) * math.sin((ob - oa) / 2) ** 2
    return 12742 * math.asin(min(1, math.sqrt(h)))


def within_reach(a, b):
    """Whether one card may have paid both: (ts_us, amount, place, id). A place that is none says nothing."""
    try:
        far = kilometres(a[2], b[2])
    except ValueError:
        return True
    return far <= LEAP_KM or far <= LEAP_KMH * abs(a[0] - b[0]) / 3.6e9


def is_velocity(card, p):
    """A row goes on until no minute has so many."""
    ends = [q[0] for q in card["last"] if 0 <= q[0] - p[0] < VELOCITY_US]
    full = [end for end in ends if sum(0 <= end - q[0] < VELOCITY_US for q in card["last"]) >= VELOCITY_N]
    if not full:
        return False
    goes_on = card["row_us"] is not None and abs(full[0] - card["row_us"]) < VELOCITY_US
    card["row_us"] = max(full[-1], card["row_us"] or 0)
    return not goes_on


def is_repeat(card, p):
    return any(q[3] != p[3] and q[1:3] == p[1:3] and abs(q[0] - p[0]) <= REPEAT_US for q in card["last"])


def is_leap(card, p):
    if card["base"] is None or within_reach(card["base"], p):
        card["base"] = max(card["base"] or p, p)
        return False
    known = card["leapt"] is not None and within_reach(card["leapt"], p)
    card["leapt"] = p
    return not known


RULES = {"velocity": is_velocity, "repeat": is_repeat, "leap": is_leap}


def whole(card, ts_us, tag, amount, place, name):
    """The payment that this reading completes: [ts_us, amount, place, id]; or nothing."""
    half = card["halves"].setdefault(str(ts_us), {})
    half.update({"place": place} if tag == "place" else {"amount": amount, "id": name})
    if len(half) == 3:
        del card["halves"][str(ts_us)]
        return [ts_us, half["amount"], half["place"], half["id"]]
    while len(card["halves"]) > MOST:
        del card["halves"][min(card["halves"], key=int)]
    return None


def take(card, p):
    """The rules that a payment breaks."""
    newest = card["last"][-1][0] if card["last"] else p[0]
    if p[0] < newest - KEPT_US or any(q[3] == p[3] for q in card["last"]):
        return []
    card["last"] = sorted(q for q in card["last"] + [p] if q[0] > max(newest, p[0]) - KEPT_US)[-MOST:]
    return [name for name, breaks in RULES.items() if breaks(card, p)]


def judge(key, frames, state):
    """What is to be verified of one card in this batch."""
    told = []
    if state.hasTimedOut:
        state.remove()
    else:
        card = json.loads(state.get[0]) if state.exists else {"last": [], "halves": {}, "row_us": None, "base": None, "leapt": None}
        for reading in sorted((row for f in frames for row in zip(*(f[name] for name in HALF))), key=lambda row: row[:2]):
            p = whole(card, *reading)
            told += [(*key, rule, p[1], p[2], p[0], p[3]) for rule in (take(card, p) if p else [])]
        state.update((json.dumps(card),))
        state.setTimeoutDuration(DAY_MS)
    if told:
        yield pandas.DataFrame(told, columns=[c.split()[0] for c in TOLD.split(", ")])


def verifications(spark):
    read = stream.records(spark, TOPICS, READING).where("quality <> 'bad' and (tag = 'amount' and value is not null or tag = 'place' and value_str is not null)")
    found = read.select("gateway", "source", *HALF).groupBy("gateway", "source").applyInPandasWithState(judge, TOLD, "card string", "append", GroupStateTimeout.ProcessingTimeTimeout)
    name = F.concat_ws(":", F.lit("fraud"), "rule", "sample_id")
    return found.select(name.alias("id"), F.lit("fraud").alias("by"), "gateway", "source", F.lit("amount").alias("tag"), F.lit("active").alias("state"),
                        "rule", "value", "place", "ts_us", "sample_id")


def main():
    return stream.watch([stream.send(verifications(stream.session("millrace-fraud", idle=False)), VERIFICATIONS, "0 seconds")])


if __name__ == "__main__":
    sys.exit(main())
