-- One row an event, the fields of core.events.Event one to one. Sorted so that a visitor's hour lies together: dimensions
-- compress in runs, and a roll-up reads few granules. A block sent twice under one token is dropped; the same message in
-- two blocks is folded at merge.
CREATE TABLE events
(
    project_id UInt32,
    message_id String,
    name LowCardinality(String),
    ts DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    received_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    skew_ms Int32,
    time_mark LowCardinality(String),
    visitor_id String,
    user_id String,
    session_id String,
    channel LowCardinality(String),
    library LowCardinality(String),
    test Bool,
    bot Bool,
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
    variants Array(LowCardinality(String)),
    page_path String,
    referrer LowCardinality(String),
    currency LowCardinality(String),
    value Nullable(Decimal(18, 4)),
    order_id String,
    category LowCardinality(String),
    coupon LowCardinality(String),
    payment_provider LowCardinality(String),
    payment_method LowCardinality(String),
    shipping_method LowCardinality(String),
    stock_state LowCardinality(String),
    error_code LowCardinality(String),
    duration_ms Nullable(Float64),
    item_sku Array(String),
    item_category Array(LowCardinality(String)),
    item_quantity Array(Int32),
    item_price Array(Nullable(Decimal(18, 4))),
    properties String CODEC(ZSTD(3)),
    retention_days UInt16,
    inserted_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    INDEX inserted inserted_at TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY (retention_days, toYYYYMM(ts))
ORDER BY (project_id, toStartOfHour(ts), visitor_id, ts, message_id)
TTL toDateTime(ts) + toIntervalDay(retention_days)
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000;

-- When each visitor was first seen: new or returning without reading a visitor's past. A minimum is safe to feed twice.
CREATE TABLE visitors
(
    project_id UInt32,
    visitor_id String,
    first_ts SimpleAggregateFunction(min, DateTime64(3, 'UTC'))
)
ENGINE = AggregatingMergeTree
ORDER BY (project_id, visitor_id);

CREATE MATERIALIZED VIEW visitors_from_events TO visitors AS
SELECT project_id, if(visitor_id != '', visitor_id, user_id) AS visitor_id, min(ts) AS first_ts
FROM events
WHERE NOT bot AND NOT test AND channel != 'server'
GROUP BY project_id, visitor_id;

-- The last hour of ingest with its step notes and drop reasons, scrubbed, for the live view. Expires by the engine's own clock:
-- `at` may be a simulated time.
CREATE TABLE ingest_recent
(
    project_id UInt32,
    at DateTime64(3, 'UTC'),
    message_id String,
    name String,
    outcome LowCardinality(String),
    notes String,
    scrubbed String,
    stored_at DateTime('UTC') DEFAULT now('UTC')
)
ENGINE = MergeTree
PARTITION BY toStartOfHour(stored_at)
ORDER BY (project_id, at)
TTL stored_at + toIntervalHour(1)
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000;

-- What a detector remembers between ticks. The newest row of a name and version wins.
CREATE TABLE detector_states
(
    project_id UInt32,
    run_id String,
    name LowCardinality(String),
    version UInt32,
    at DateTime64(3, 'UTC'),
    state String CODEC(ZSTD(3))
)
ENGINE = ReplacingMergeTree(at)
ORDER BY (project_id, run_id, name, version);
