-- Sketches by quantilesBFloat16 instead of quantilesDD: one of quantilesDD takes a kilobyte while it is made, and nearly all hold one or
-- two durations. Of a day's roll-up of 57,000 events that was 1.0 s of 3.6; a table of them merges in half the time.
-- A quantilesDD tells its quantiles and no more, so a row of before keeps its own: what several of them come to is an estimate.
-- Until a table is exchanged other nodes may write to the old one: what they did meanwhile follows afterwards.
DROP VIEW IF EXISTS event_counts;

DROP TABLE IF EXISTS event_minute_next;

CREATE TABLE event_minute_next AS event_minute
ENGINE = MergeTree
PARTITION BY (retention_days, intDiv(minute, 43200))
ORDER BY (project_id, funnel_id, funnel_version, run_id, dims, intDiv(minute, 60), value, name, step, minute, version)
TTL toDateTime(minute * 60) + toIntervalDay(retention_days)
SETTINGS ttl_only_drop_parts = 1, index_granularity = 2048;

ALTER TABLE event_minute_next DROP COLUMN latency;

ALTER TABLE event_minute_next ADD COLUMN latency AggregateFunction(quantilesBFloat16(0.5, 0.95), Float64) AFTER revenue;

INSERT INTO event_minute_next
WITH finalizeAggregation(latency) AS told, greatest(intDiv(events, 10), events > 1) AS slow,
    if(isNaN(told[1]), [], arrayConcat(arrayWithConstant(events - slow, told[1]), arrayWithConstant(slow, told[2]))) AS durations
SELECT * REPLACE (arrayReduce('quantilesBFloat16State(0.5, 0.95)', durations) AS latency)
FROM event_minute SETTINGS max_partitions_per_insert_block = 0;

EXCHANGE TABLES event_minute_next AND event_minute;

INSERT INTO event_minute
WITH finalizeAggregation(latency) AS told, greatest(intDiv(events, 10), events > 1) AS slow,
    if(isNaN(told[1]), [], arrayConcat(arrayWithConstant(events - slow, told[1]), arrayWithConstant(slow, told[2]))) AS durations
SELECT * REPLACE (arrayReduce('quantilesBFloat16State(0.5, 0.95)', durations) AS latency)
FROM event_minute_next WHERE (minute, version) NOT IN (SELECT minute, version FROM event_minute)
SETTINGS max_partitions_per_insert_block = 0;

DROP TABLE event_minute_next;

DROP TABLE IF EXISTS endpoint_minute_next;

CREATE TABLE endpoint_minute_next AS endpoint_minute
ENGINE = MergeTree
PARTITION BY (retention_days, intDiv(minute, 43200))
ORDER BY (project_id, funnel_id, funnel_version, run_id, intDiv(minute, 60), endpoint, step, minute, version)
TTL toDateTime(minute * 60) + toIntervalDay(retention_days)
SETTINGS ttl_only_drop_parts = 1;

ALTER TABLE endpoint_minute_next DROP COLUMN latency;

ALTER TABLE endpoint_minute_next ADD COLUMN latency AggregateFunction(quantilesBFloat16(0.5, 0.95), Float64) AFTER events;

INSERT INTO endpoint_minute_next
WITH finalizeAggregation(latency) AS told, greatest(intDiv(events, 10), events > 1) AS slow,
    if(isNaN(told[1]), [], arrayConcat(arrayWithConstant(events - slow, told[1]), arrayWithConstant(slow, told[2]))) AS durations
SELECT * REPLACE (arrayReduce('quantilesBFloat16State(0.5, 0.95)', durations) AS latency)
FROM endpoint_minute SETTINGS max_partitions_per_insert_block = 0;

EXCHANGE TABLES endpoint_minute_next AND endpoint_minute;

INSERT INTO endpoint_minute
WITH finalizeAggregation(latency) AS told, greatest(intDiv(events, 10), events > 1) AS slow,
    if(isNaN(told[1]), [], arrayConcat(arrayWithConstant(events - slow, told[1]), arrayWithConstant(slow, told[2]))) AS durations
SELECT * REPLACE (arrayReduce('quantilesBFloat16State(0.5, 0.95)', durations) AS latency)
FROM endpoint_minute_next WHERE (minute, version) NOT IN (SELECT minute, version FROM endpoint_minute)
SETTINGS max_partitions_per_insert_block = 0;

DROP TABLE endpoint_minute_next;

CREATE VIEW event_counts AS
SELECT
    fromUnixTimestamp(toInt64(minute) * 60) AS at, minute, project_id, funnel_id, funnel_version, step, name, error_code, currency, dims, value,
    sum(events) AS events, sum(sessions) AS sessions, sum(orders) AS orders, sum(units) AS units, sum(revenue) AS revenue,
    quantilesBFloat16MergeState(0.5, 0.95)(latency) AS latency
FROM event_minute
WHERE run_id = '' AND (project_id, funnel_id, minute, version) IN (
    SELECT project_id, funnel_id, minute, max(version) FROM rollup_minutes WHERE run_id = '' GROUP BY project_id, funnel_id, minute)
GROUP BY minute, project_id, funnel_id, funnel_version, step, name, error_code, currency, dims, value;
