"""A column store of Parquet files that DuckDB writes and reads: FOLDER/TABLE/*.parquet, one file a batch, never changed once it has its name.

Files and not a database: DuckDB locks a database for the one process that writes, and a dashboard would have to wait for it. Each row has the
place of its record in Kafka, so where the reader is to go on is in the data itself and can't be wrong.

connect() gives a connection with two views of each table: edge_samples_v1 and edge_events_v1 as they came, edge_samples and edge_events with each
id once.
"""

import glob
import os

import duckdb

HERE = os.path.dirname(os.path.realpath(__file__))
TABLES = "edge_samples_v1", "edge_events_v1"


def columns():
    """{table: {column: type}}, as tables.sql says."""
    con = duckdb.connect()
    with open(os.path.join(HERE, "tables.sql"), encoding="utf-8") as f:
        con.execute(f.read())
    return {t: {row[0]: row[1] for row in con.execute(f"DESCRIBE {t}").fetchall()} for t in TABLES}


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def source(folder, table, cols):
    """What to select from: the files there are, or the columns and no row."""
    files = os.path.join(folder, table, "*.parquet")
    if glob.glob(files):
        return f"read_parquet({quoted(files)}, union_by_name = true)"
    return "(SELECT " + ", ".join(f'NULL::{kind} AS "{name}"' for name, kind in cols.items()) + " WHERE false)"


def connect(folder, database=":memory:"):
    con = duckdb.connect(database)
    con.execute("SET TimeZone = 'UTC'")
    con.execute(f"SET VARIABLE folder = {quoted(folder)}")
    for table, cols in columns().items():
        con.execute(f"CREATE OR REPLACE VIEW {table} AS SELECT * FROM {source(folder, table, cols)}")
        con.execute(f"CREATE OR REPLACE VIEW {table.removesuffix('_v1')} AS SELECT * FROM {table} "
                    "QUALIFY row_number() OVER (PARTITION BY id ORDER BY kafka_topic, kafka_partition, kafka_offset) = 1")
    return con
