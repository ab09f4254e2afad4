-- Everything about a shop goes after its retention, in whole partitions: roll-ups and visitors take over what events carry.
-- A table cannot change its partitions, so each is made anew and copied; a copy that was cut short is begun again. What is there
-- already keeps the 400 days it was stored under; imported history older than that stays, as its events do.
DROP TABLE IF EXISTS journey_next;

CREATE TABLE journey_next
(
    project_id UInt32,
    funnel_id UInt32,
    funnel_version UInt32,
    run_id LowCardinality(String),
    version UInt64,
    minute UInt32 CODEC(Delta, ZSTD(1)),
    multi LowCardinality(String),
    multi_value LowCardinality(String),
    session UInt64,
    visitor_id String,
    step UInt8,
    name LowCardinality(String),
    at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    known_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    prev_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    first_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    error_code LowCardinality(String),
    order_id String,
    value Decimal(18, 4),
    units UInt32,
    duration_ms Nullable(Float64),
    device LowCardinality(String),
    os LowCardinality(String),
    os_version LowCardinality(String),
    browser LowCardinality(String),
    browser_version LowCardinality(String),
    country LowCardinality(String),
    region LowCardinality(String),
    source LowCardinality(String),
    medium LowCardinality(String),
    campaign LowCardinality(String),
    app_version LowCardinality(String),
    consent LowCardinality(String),
    landing_page LowCardinality(String),
    new_or_returning LowCardinality(String),
    payment_provider LowCardinality(String),
    payment_method LowCardinality(String),
    shipping_method LowCardinality(String),
    coupon LowCardinality(String),
    stock_state LowCardinality(String),
    currency LowCardinality(String),
    retention_days UInt16
)
ENGINE = MergeTree
PARTITION BY (retention_days, intDiv(minute, 43200))
ORDER BY (project_id, funnel_id, funnel_version, run_id, intDiv(minute, 60), multi, version, minute, session)
TTL toDateTime(minute * 60) + toIntervalDay(retention_days)
SETTINGS ttl_only_drop_parts = 1;

INSERT INTO journey_next SELECT * EXCEPT (retention_days), if(toDateTime(minute * 60) < now() - toIntervalDay(400), 14600, 400) FROM journey;

EXCHANGE TABLES journey_next AND journey;

DROP TABLE journey_next;

DROP TABLE IF EXISTS funnel_minute_next;

CREATE TABLE funnel_minute_next
(
    project_id UInt32,
    funnel_id UInt32,
    funnel_version UInt32,
    run_id LowCardinality(String),
    version UInt64,
    minute UInt32 CODEC(Delta, ZSTD(1)),
    step UInt8,
    dims LowCardinality(String),
    value LowCardinality(String),
    lag UInt16,
    delay UInt16,
    entered UInt32,
    retention_days UInt16
)
ENGINE = MergeTree
PARTITION BY (retention_days, intDiv(minute, 43200))
ORDER BY (project_id, funnel_id, funnel_version, run_id, intDiv(minute, 60), dims, value, step, minute, version)
TTL toDateTime(minute * 60) + toIntervalDay(retention_days)
SETTINGS ttl_only_drop_parts = 1;

INSERT INTO funnel_minute_next SELECT * EXCEPT (retention_days), if(toDateTime(minute * 60) < now() - toIntervalDay(400), 14600, 400) FROM funnel_minute;

EXCHANGE TABLES funnel_minute_next AND funnel_minute;

DROP TABLE funnel_minute_next;

DROP TABLE IF EXISTS event_minute_next;

CREATE TABLE event_minute_next
(
    project_id UInt32,
    funnel_id UInt32,
    funnel_version UInt32,
    run_id LowCardinality(String),
    version UInt64,
    minute UInt32 CODEC(Delta, ZSTD(1)),
    step UInt8,
    name LowCardinality(String),
    error_code LowCardinality(String),
    currency LowCardinality(String),
    dims LowCardinality(String),
    value LowCardinality(String),
    lag UInt16,
    events UInt32,
    sessions UInt32,
    orders UInt32,
    units UInt32,
    revenue Decimal(18, 4),
    latency AggregateFunction(quantilesDD(0.01, 0.5, 0.95), Float64),
    retention_days UInt16
)
ENGINE = MergeTree
PARTITION BY (retention_days, intDiv(minute, 43200))
ORDER BY (project_id, funnel_id, funnel_version, run_id, intDiv(minute, 60), dims, value, name, step, minute, version)
TTL toDateTime(minute * 60) + toIntervalDay(retention_days)
SETTINGS ttl_only_drop_parts = 1;

INSERT INTO event_minute_next SELECT * EXCEPT (retention_days), if(toDateTime(minute * 60) < now() - toIntervalDay(400), 14600, 400) FROM event_minute;

EXCHANGE TABLES event_minute_next AND event_minute;

DROP TABLE event_minute_next;

-- A visitor has a row for every month with events, so who comes on coming stays known when the first month has gone.
DROP VIEW IF EXISTS visitors_from_events;

DROP TABLE IF EXISTS visitors_next;

CREATE TABLE visitors_next
(
    project_id UInt32,
    visitor_id String,
    first_ts SimpleAggregateFunction(min, DateTime64(3, 'UTC')),
    retention_days UInt16
)
ENGINE = AggregatingMergeTree
PARTITION BY (retention_days, toYYYYMM(first_ts))
ORDER BY (project_id, visitor_id)
TTL toDateTime(first_ts) + toIntervalDay(retention_days)
SETTINGS ttl_only_drop_parts = 1;

INSERT INTO visitors_next
SELECT project_id, if(visitor_id != '', visitor_id, user_id) AS visitor_id, min(ts) AS first_ts, retention_days
FROM events
WHERE NOT bot AND NOT test AND channel != 'server'
GROUP BY project_id, visitor_id, retention_days, toYYYYMM(ts)
SETTINGS max_partitions_per_insert_block = 0;

EXCHANGE TABLES visitors_next AND visitors;

DROP TABLE visitors_next;

CREATE MATERIALIZED VIEW visitors_from_events TO visitors AS
SELECT project_id, if(visitor_id != '', visitor_id, user_id) AS visitor_id, min(ts) AS first_ts, retention_days
FROM events
WHERE NOT bot AND NOT test AND channel != 'server'
GROUP BY project_id, visitor_id, retention_days, toYYYYMM(ts);
