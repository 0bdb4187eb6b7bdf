-- The columns of readings and events. They are what is taken from a record: a further name of an MQTT topic (a label) is a column here, or it is left
-- out. Times are UTC. A column may be added at any time; older files have none of it, and say NULL.
CREATE TABLE edge_samples_v1 (
    kafka_topic VARCHAR, kafka_partition INTEGER, kafka_offset BIGINT,
    id VARCHAR, gateway VARCHAR, source VARCHAR, tag VARCHAR, line VARCHAR,
    ts TIMESTAMP, ts_us BIGINT, arrival_us BIGINT,
    value DOUBLE, value_str VARCHAR, value_bool BOOLEAN, value_int BIGINT, unit VARCHAR,
    quality VARCHAR, reason VARCHAR, clock VARCHAR, "time" VARCHAR, historical BOOLEAN, retained BOOLEAN, test BOOLEAN,
    agg VARCHAR, n BIGINT, min DOUBLE, max DOUBLE,
    epoch BIGINT, seq BIGINT
);

CREATE TABLE edge_events_v1 (
    kafka_topic VARCHAR, kafka_partition INTEGER, kafka_offset BIGINT,
    id VARCHAR, event_id VARCHAR, gateway VARCHAR, source VARCHAR, tag VARCHAR,
    ts TIMESTAMP, ts_us BIGINT, kind VARCHAR, severity INTEGER, state VARCHAR,
    rule VARCHAR, limit_kind VARCHAR, alarm_state VARCHAR, active BOOLEAN, unacked BOOLEAN, activations BIGINT,
    value DOUBLE, limit_value DOUBLE, sample_seq BIGINT, grouped BOOLEAN, operator VARCHAR, comment VARCHAR,
    driver VARCHAR, why VARCHAR, reason VARCHAR, n BIGINT, first_seq BIGINT, last_seq BIGINT,
    epoch BIGINT, seq BIGINT
);
