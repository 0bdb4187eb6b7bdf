-- Vertica: the tables of readings and events. NOT TESTED: no Vertica was at hand; written from its manual, and each record of a feed is held
-- against that by vertica/lint, which reads the columns of this file.
--
-- Flex tables with real columns: what has a column is typed, any further member (a label, `limit`, what v1 adds later) stays in __raw__ and is
-- asked for by its name. A width is in octets: three or four for a Korean letter or an emoji. value_int is no BIGINT, because Vertica's has no
-- -2^63. The words of SQL among the members, `limit` alone, have a neighbour that is none: limit_value.
--
-- What a gateway sends again after a crash is a second row with the same id: ask the views.
CREATE FLEX TABLE IF NOT EXISTS edge_samples_v1 (
    id VARCHAR(320) NOT NULL,
    gateway VARCHAR(256) NOT NULL,
    source VARCHAR(256) NOT NULL,
    tag VARCHAR(256) NOT NULL,
    ts TIMESTAMPTZ NOT NULL,
    ts_us INTEGER NOT NULL,
    value FLOAT,
    value_str VARCHAR(65000),
    value_bool BOOLEAN,
    value_int NUMERIC(20,0),
    unit VARCHAR(256),
    quality VARCHAR(16) NOT NULL,
    reason VARCHAR(32),
    clock VARCHAR(16),
    "time" VARCHAR(64),
    historical BOOLEAN,
    retained BOOLEAN,
    test BOOLEAN,
    arrival_us INTEGER,
    agg VARCHAR(8),
    n INTEGER,
    "min" FLOAT,
    "max" FLOAT,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL
);

CREATE FLEX TABLE IF NOT EXISTS edge_events_v1 (
    id VARCHAR(320) NOT NULL,
    event_id VARCHAR(64) NOT NULL,
    gateway VARCHAR(256) NOT NULL,
    source VARCHAR(256),
    tag VARCHAR(256),
    ts TIMESTAMPTZ NOT NULL,
    ts_us INTEGER NOT NULL,
    kind VARCHAR(64) NOT NULL,
    severity INTEGER NOT NULL,
    state VARCHAR(64),
    rule VARCHAR(256),
    limit_kind VARCHAR(32),
    alarm_state VARCHAR(32),
    active BOOLEAN,
    unacked BOOLEAN,
    activations INTEGER,
    value FLOAT,
    limit_value FLOAT,
    sample_seq INTEGER,
    grouped BOOLEAN,
    operator VARCHAR(256),
    comment VARCHAR(4096),
    why VARCHAR(4096),
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL
);

-- One row an id.
CREATE OR REPLACE VIEW edge_samples AS SELECT * FROM edge_samples_v1 LIMIT 1 OVER (PARTITION BY id ORDER BY ts_us);
CREATE OR REPLACE VIEW edge_events AS SELECT * FROM edge_events_v1 LIMIT 1 OVER (PARTITION BY id ORDER BY ts_us);
