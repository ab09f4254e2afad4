-- How long requests took, by the step people were at: slow payment calls are a cause, and not every shop's slow pages are.
ALTER TABLE journey ADD COLUMN IF NOT EXISTS endpoint LowCardinality(String) AFTER duration_ms;

DROP TABLE IF EXISTS endpoint_minute;

-- A request's path with ids taken out, or a web vital's name; everyone together, so that endpoints do not multiply cohorts.
CREATE TABLE endpoint_minute
(
    project_id UInt32,
    funnel_id UInt32,
    funnel_version UInt32,
    run_id LowCardinality(String),
    version UInt64,
    minute UInt32 CODEC(Delta, ZSTD(1)),
    step UInt8,
    name LowCardinality(String),
    endpoint LowCardinality(String),
    lag UInt16,
    events UInt32,
    latency AggregateFunction(quantilesDD(0.01, 0.5, 0.95), Float64),
    retention_days UInt16
)
ENGINE = MergeTree
PARTITION BY (retention_days, intDiv(minute, 43200))
ORDER BY (project_id, funnel_id, funnel_version, run_id, intDiv(minute, 60), endpoint, step, minute, version)
TTL toDateTime(minute * 60) + toIntervalDay(retention_days)
SETTINGS ttl_only_drop_parts = 1;
