#!/usr/bin/python3
"""Watches readings with Spark Structured Streaming: windows of ten seconds per tag, and an alert when a tag leaves what is usual for it.

usage: spark-submit watch.py, or python3 watch.py     (on a cluster that runs the driver, too: with --py-files stream.py)

Works on the readings' own time.

The detector keeps mean and variance of each tag with exponential forgetting, and tells transitions only: active, returned. It takes a tag's
readings in the order of ts_us, and one that is not newer than the last is not judged: so a repeated one counts once, however late it is, and
no watermark leaves out what a gateway held through an outage while others went on. What is abnormal does not teach.

Windows count each reading once by its id. What comes later than WATERMARK behind the newest reading of all is in no window; a cluster's outage
is longer than that, so windows over a backlog are a job of their own, from object storage.

Both topics are written at least once: after a kill a batch may come again, with the same id for the same window or transition.

The variables of all jobs are in stream.py.
"""

import os
import sys

import pandas
from pyspark.sql import functions as F
from pyspark.sql import types as T
from pyspark.sql.streaming.state import GroupStateTimeout

import stream

ENV = os.environ.get
TOPICS = ENV("TOPICS") or "edge_samples_v1,edge_backfill_v1"
ALERTS, WINDOWS = ENV("ALERTS_TOPIC") or "edge_alerts_v1", ENV("WINDOWS_TOPIC") or "edge_windows_v1"
WATERMARK = ENV("WATERMARK") or "2 minutes"
SIGMA, FORGET, WARM_UP = float(ENV("SIGMA") or 6), 0.02, 40
KEY = ["gateway", "source", "tag"]

READING = T.StructType([T.StructField(name, kind) for name, kind in [
    ("id", T.StringType()), ("gateway", T.StringType()), ("source", T.StringType()), ("tag", T.StringType()), ("ts_us", T.LongType()),
    ("value", T.DoubleType()), ("quality", T.StringType())]])
TOLD = "gateway string, source string, tag string, state string, value double, mean double, sd double, ts_us bigint, sample_id string"
KEPT = "n bigint, mean double, var double, active boolean, last_us bigint"
FIT = "quality <> 'bad' and value is not null"


def readings(spark):
    return stream.records(spark, TOPICS, READING)


def once(read):
    return read.withColumn("at", F.timestamp_micros("ts_us")).withWatermark("at", WATERMARK).dropDuplicatesWithinWatermark(["id"])


def judge(key, frames, state):
    """The transitions of one tag in this batch. Most have none, and no frame is made of nothing: it costs more than all the rest."""
    n, mean, var, active, last_us = state.get if state.exists else (0, 0.0, 0.0, False, 0)
    told = []
    for ts_us, value, name in sorted(row for f in frames for row in zip(f["ts_us"], f["value"], f["id"])):
        if ts_us <= last_us:
            continue
        last_us, sd, away = ts_us, max(var, 1e-12) ** 0.5, value - mean
        hit = n >= WARM_UP and abs(away) > SIGMA * sd
        if hit != active:
            active = hit
            told.append((*key, "active" if hit else "returned", value, mean, sd, ts_us, name))
        if not hit:
            a = max(FORGET, 1.0 / (n + 1))
            mean, var, n = mean + a * away, (1 - a) * (var + a * away * away), n + 1
    state.update((n, mean, var, active, last_us))
    if told:
        yield pandas.DataFrame(told, columns=[c.split()[0] for c in TOLD.split(", ")])


def alerts(read):
    found = read.where(FIT).select(*KEY, "ts_us", "value", "id").groupBy(*KEY).applyInPandasWithState(judge, TOLD, KEPT, "append", GroupStateTimeout.NoTimeout)
    name = F.concat_ws(":", F.lit("spark"), F.concat_ws("/", *KEY), "ts_us", "state")
    return found.select(name.alias("id"), F.lit("spark").alias("by"), *KEY, "state", "value", "mean", "sd", "ts_us", "sample_id")


def windows(read):
    found = (once(read).where(FIT).groupBy(F.window("at", "10 seconds").alias("w"), *KEY)
             .agg(F.count("*").alias("n"), F.min("value").alias("min"), F.max("value").alias("max"), F.avg("value").alias("mean")))
    start = F.unix_micros("w.start")
    return found.select(F.concat_ws(":", F.concat_ws("/", *KEY), start).alias("id"), *KEY, start.alias("start_us"), "n", "min", "max", "mean")


def main():
    spark = stream.session("millrace-watch")
    # A window is told two minutes after its end at the earliest: that query has time, and leaves the processors to the other one.
    every = ENV("WINDOWS_EVERY") or "30 seconds"
    return stream.watch([stream.send(alerts(readings(spark)), ALERTS, "0 seconds"), stream.send(windows(readings(spark)), WINDOWS, every)])


if __name__ == "__main__":
    sys.exit(main())
