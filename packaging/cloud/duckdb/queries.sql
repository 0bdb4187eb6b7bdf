-- The latest of each tag of a source, and how old it is.
SELECT tag, arg_max(coalesce(value::VARCHAR, value_str, value_bool::VARCHAR, value_int::VARCHAR), ts_us) AS latest, any_value(unit) AS unit,
       max(ts) AS at, now()::TIMESTAMP - max(ts) AS age
FROM edge_samples WHERE source = 'press-1' GROUP BY tag ORDER BY tag;

-- A curve by minutes in which an outage is a gap: the minutes without a reading are there, as NULL.
WITH of_it AS (SELECT time_bucket(INTERVAL 1 minute, ts) AS minute, value FROM edge_samples WHERE source = 'press-1' AND tag = 'temp'),
     minutes AS (SELECT unnest(generate_series(min(minute), max(minute), INTERVAL 1 minute)) AS minute FROM of_it)
SELECT minutes.minute, count(value) AS n, round(avg(value), 3) AS mean, min(value) AS least, max(value) AS greatest
FROM minutes LEFT JOIN of_it USING (minute) GROUP BY ALL ORDER BY ALL;

-- Is it all there? Of each gateway and epoch: numbers that are missing, less those that the gateway itself says it dropped.
WITH had AS (SELECT gateway, epoch, min(seq) AS first, max(seq) AS last, count(DISTINCT seq) AS n FROM edge_samples WHERE agg IS NULL GROUP BY ALL),
     told AS (SELECT gateway, epoch, sum(n) AS dropped FROM edge_events WHERE kind = 'dropped' GROUP BY ALL)
SELECT had.*, last - first + 1 - n AS missing, coalesce(dropped, 0) AS dropped FROM had LEFT JOIN told USING (gateway, epoch) ORDER BY ALL;

-- Which tags make the most of it, and what of it was bad.
SELECT source, tag, count(*) AS n, count(*) FILTER (quality = 'bad') AS bad, mode(reason) AS mostly
FROM edge_samples GROUP BY ALL ORDER BY bad DESC, n DESC, source, tag LIMIT 10;

-- The alarms of an hour: how often, how long until they returned.
WITH each AS (SELECT source, tag, limit_kind, event_id, min(ts) FILTER (state = 'active') AS since, max(ts) FILTER (state = 'returned') AS until
              FROM edge_events WHERE kind = 'alarm' GROUP BY ALL)
SELECT source, tag, limit_kind, count(*) AS activations, avg(until - since) AS mean_length, count(*) FILTER (until IS NULL) AS still
FROM each GROUP BY ALL ORDER BY activations DESC, source, tag, limit_kind LIMIT 10;

-- How much of the disk a reading takes here.
WITH written AS (SELECT count(DISTINCT file_name) AS files, sum(total_compressed_size)::BIGINT AS bytes
                 FROM parquet_metadata(getvariable('folder') || '/edge_samples_v1/*.parquet')),
     had AS (SELECT count(*) AS readings FROM edge_samples_v1)
SELECT *, round(bytes / readings, 1) AS bytes_each FROM written, had;
