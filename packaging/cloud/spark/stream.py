"""What the jobs of this folder share: the session, the way in and out of Kafka, and a line for each batch.

    SPARK_MASTER      default local[4]: two queries on two cores, and the small one need not wait for a task of the large one
    SPARK_JARS        folder of the jars, as lib.sh fetched them
    SPARK_PARTITIONS  of the state (default: 2). Fixed by the first start: with another number STATE must be empty
    KAFKA_BROKERS, KAFKA_CLIENT    the latter a Java client's properties, one a line
    STATE             folder of offsets and state; without it everything is judged anew, with the same ids
"""

import glob
import json
import os
import sys
import time

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

ENV = os.environ.get
STATE = os.environ["STATE"]


def session(name, idle=True):
    """idle: batches without readings are made, too, where a query asks for them: to close windows, or to end a state in time."""
    made = (SparkSession.builder.appName(name).master(ENV("SPARK_MASTER") or "local[4]")
            .config("spark.jars", ",".join(sorted(glob.glob(os.environ["SPARK_JARS"] + "/*.jar"))))
            .config("spark.driver.memory", "600m").config("spark.driver.bindAddress", "127.0.0.1").config("spark.driver.host", "127.0.0.1")
            .config("spark.driver.extraJavaOptions", "-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=96m -Duser.timezone=UTC")
            .config("spark.sql.session.timeZone", "UTC").config("spark.sql.shuffle.partitions", ENV("SPARK_PARTITIONS") or "2")
            .config("spark.ui.enabled", "false").config("spark.ui.showConsoleProgress", "false")
            .config("spark.sql.streaming.noDataMicroBatches.enabled", str(idle).lower())
            .config("spark.sql.streaming.minBatchesToRetain", "4").config("spark.sql.streaming.pollingDelay", "50ms")
            .config("spark.sql.streaming.checkpointLocation", STATE).config("spark.local.dir", STATE + "/tmp").getOrCreate())
    made.sparkContext.setLogLevel("WARN")
    return made


def cluster():
    """Options of source and sink."""
    lines = [line.split("=", 1) for line in (ENV("KAFKA_CLIENT") or "").splitlines() if "=" in line]
    return {"kafka.bootstrap.servers": os.environ["KAFKA_BROKERS"], **{"kafka." + name: value for name, value in lines}}


def records(spark, topics, schema):
    """The records of topics as columns. What is no JSON has no id and falls out."""
    raw = (spark.readStream.format("kafka").options(**cluster()).option("subscribe", topics)
           .option("startingOffsets", "earliest").option("maxOffsetsPerTrigger", ENV("PER_TRIGGER") or "20000").option("failOnDataLoss", "true").load())
    return raw.select(F.from_json(F.col("value").cast("string"), schema).alias("r")).select("r.*").where("id is not null")


def send(rows, topic, every):
    record = rows.select(F.concat_ws("/", "gateway", "source").alias("key"), F.to_json(F.struct("*")).alias("value"))
    return (record.writeStream.queryName(topic).outputMode("append").format("kafka").options(**cluster()).option("topic", topic)
            .option("checkpointLocation", f"{STATE}/{topic}").trigger(processingTime=every).start())


def watch(running):
    """Until one of the queries ends, which none does by itself: exit status 1, with its reason."""
    print("started", flush=True)
    told = {}
    while all(q.isActive for q in running):
        time.sleep(0.5)
        for q in running:
            p = q.lastProgress
            if p and p["batchId"] != told.get(q.name) and p["numInputRows"]:
                told[q.name] = p["batchId"]
                print(json.dumps({"query": q.name, "batch": p["batchId"], "at": p["timestamp"], "rows": p["numInputRows"], "ms": p["durationMs"]}), flush=True)
    for q in running:
        if q.exception():
            print(q.exception(), file=sys.stderr)
    return 1
