#!/usr/bin/python3
"""Watches readings with Spark Structured Streaming: windows of ten seconds per tag, and an alert when a tag leaves what is usual for it.

usage: spark-submit watch.py, or python3 watch.py     (master: SPARK_MASTER, default local[2])

Works on the readings' own time. Each reading counts once: repeated ones have the same id. What comes later than WATERMARK behind the newest
reading is in no window; a cluster's outage is longer than that, so windows over a backlog are a job of their own, from object storage.

The detector keeps mean and variance of each tag with exponential forgetting, and tells transitions only: active, returned. It takes a tag's
readings in the order of ts_us, and one that is not newer than the last is not judged. What is abnormal does not teach.

Both topics are written at least once: after a kill a batch may come again, with the same id for the same window or transition. Offsets and
state are in STATE; without it everything is judged anew, with the same ids.
"""

import glob
import json
import os
import sys
import time

import pandas
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T
from pyspark.sql.streaming.state import GroupStateTimeout

ENV = os.environ.get
STATE = os.environ["STATE"]
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


def session():
    made = (SparkSession.builder.appName("millrace-watch").master(ENV("SPARK_MASTER") or "local[2]")
            .config("spark.jars", ",".join(sorted(glob.glob(os.environ["SPARK_JARS"] + "/*.jar"))))
            .config("spark.driver.memory", "600m").config("spark.driver.bindAddress", "127.0.0.1").config("spark.driver.host", "127.0.0.1")
            .config("spark.driver.extraJavaOptions", "-XX:+UseSerialGC -XX:ReservedCodeCacheSize=96m -Duser.timezone=UTC")
            .config("spark.sql.session.timeZone", "UTC").config("spark.sql.shuffle.partitions", ENV("SPARK_PARTITIONS") or "2")
            .config("spark.ui.enabled", "false").config("spark.ui.showConsoleProgress", "false")
            .config("spark.sql.streaming.minBatchesToRetain", "4").config("spark.sql.streaming.pollingDelay", "50ms")
            .config("spark.sql.streaming.checkpointLocation", STATE).config("spark.local.dir", STATE + "/tmp").getOrCreate())
    made.sparkContext.setLogLevel("WARN")
    return made


def cluster():
    """Options of source and sink; KAFKA_CLIENT has a Java client's properties, one a line."""
    lines = [line.split("=", 1) for line in (ENV("KAFKA_CLIENT") or "").splitlines() if "=" in line]
    return {"kafka.bootstrap.servers": os.environ["KAFKA_BROKERS"], **{"kafka." + name: value for name, value in lines}}


def readings(spark):
    """Numbers of a quality that can be judged, each once. What is no JSON has no id and falls out."""
    raw = (spark.readStream.format("kafka").options(**cluster()).option("subscribe", TOPICS)
           .option("startingOffsets", "earliest").option("maxOffsetsPerTrigger", ENV("PER_TRIGGER") or "20000").option("failOnDataLoss", "true").load())
    read = raw.select(F.from_json(F.col("value").cast("string"), READING).alias("r")).select("r.*").withColumn("at", F.timestamp_micros("ts_us"))
    return (read.where("id is not null").withWatermark("at", WATERMARK).dropDuplicatesWithinWatermark(["id"])
            .where("quality <> 'bad' and value is not null"))


def judge(key, frames, state):
    """The transitions of one tag in this batch."""
    n, mean, var, active, last_us = state.get if state.exists else (0, 0.0, 0.0, False, 0)
    told = []
    for r in pandas.concat(list(frames)).sort_values("ts_us").itertuples(index=False):
        if r.ts_us <= last_us:
            continue
        last_us, sd, away = r.ts_us, max(var, 1e-12) ** 0.5, r.value - mean
        hit = n >= WARM_UP and abs(away) > SIGMA * sd
        if hit != active:
            active = hit
            told.append((*key, "active" if hit else "returned", r.value, mean, sd, r.ts_us, r.id))
        if not hit:
            a = max(FORGET, 1.0 / (n + 1))
            mean, var, n = mean + a * away, (1 - a) * (var + a * away * away), n + 1
    state.update((n, mean, var, active, last_us))
    yield pandas.DataFrame(told, columns=[c.split()[0] for c in TOLD.split(", ")])


def alerts(once):
    found = once.groupBy(*KEY).applyInPandasWithState(judge, TOLD, KEPT, "append", GroupStateTimeout.NoTimeout)
    name = F.concat_ws(":", F.lit("spark"), F.concat_ws("/", *KEY), "ts_us", "state")
    return found.select(name.alias("id"), F.lit("spark").alias("by"), *KEY, "state", "value", "mean", "sd", "ts_us", "sample_id")


def windows(once):
    found = (once.groupBy(F.window("at", "10 seconds").alias("w"), *KEY)
             .agg(F.count("*").alias("n"), F.min("value").alias("min"), F.max("value").alias("max"), F.avg("value").alias("mean")))
    start = F.unix_micros("w.start")
    return found.select(F.concat_ws(":", F.concat_ws("/", *KEY), start).alias("id"), *KEY, start.alias("start_us"), "n", "min", "max", "mean")


def send(rows, topic, every):
    record = rows.select(F.concat_ws("/", "gateway", "source").alias("key"), F.to_json(F.struct("*")).alias("value"))
    return (record.writeStream.queryName(topic).outputMode("append").format("kafka").options(**cluster()).option("topic", topic)
            .option("checkpointLocation", f"{STATE}/{topic}").trigger(processingTime=every).start())


def main():
    spark = session()
    running = [send(alerts(readings(spark)), ALERTS, "0 seconds"), send(windows(readings(spark)), WINDOWS, "2 seconds")]
    print("started", flush=True)
    while all(q.isActive for q in running):
        time.sleep(2)
        for q in running:
            if q.lastProgress:
                p = q.lastProgress
                print(json.dumps({"query": q.name, "batch": p["batchId"], "rows": p["numInputRows"], "ms": p["durationMs"].get("triggerExecution")}), flush=True)
    for q in running:
        if q.exception():
            print(q.exception(), file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
