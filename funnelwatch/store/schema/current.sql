CREATE TABLE cohort_values
(
    `project_id` UInt32,
    `funnel_id` UInt32,
    `run_id` LowCardinality(String),
    `from_minute` UInt32,
    `dims` LowCardinality(String),
    `value` String,
    `sessions` UInt64
)
ENGINE = ReplacingMergeTree
ORDER BY (project_id, funnel_id, run_id, from_minute, dims, value)
SETTINGS index_granularity = 8192;

CREATE TABLE detector_states
(
    `project_id` UInt32,
    `run_id` String,
    `name` LowCardinality(String),
    `version` UInt32,
    `at` DateTime64(3, 'UTC'),
    `state` String CODEC(ZSTD(3))
)
ENGINE = ReplacingMergeTree(at)
ORDER BY (project_id, run_id, name, version)
SETTINGS index_granularity = 8192;

CREATE TABLE endpoint_minute
(
    `project_id` UInt32,
    `funnel_id` UInt32,
    `funnel_version` UInt32,
    `run_id` LowCardinality(String),
    `version` UInt64,
    `minute` UInt32 CODEC(Delta(4), ZSTD(1)),
    `step` UInt8,
    `name` LowCardinality(String),
    `endpoint` LowCardinality(String),
    `lag` UInt16,
    `events` UInt32,
    `latency` AggregateFunction(quantilesBFloat16(0.5, 0.95), Float64),
    `retention_days` UInt16
)
ENGINE = MergeTree
PARTITION BY (retention_days, intDiv(minute, 43200))
ORDER BY (project_id, funnel_id, funnel_version, run_id, intDiv(minute, 60), endpoint, step, minute, version)
TTL toDateTime(minute * 60) + toIntervalDay(retention_days)
SETTINGS ttl_only_drop_parts = 1, index_granularity = 8192;

CREATE VIEW event_counts
(
    `at` DateTime,
    `minute` UInt32,
    `project_id` UInt32,
    `funnel_id` UInt32,
    `funnel_version` UInt32,
    `step` UInt8,
    `name` LowCardinality(String),
    `error_code` LowCardinality(String),
    `currency` LowCardinality(String),
    `dims` LowCardinality(String),
    `value` LowCardinality(String),
    `events` UInt64,
    `sessions` UInt64,
    `orders` UInt64,
    `units` UInt64,
    `revenue` Decimal(38, 4),
    `latency` AggregateFunction(quantilesBFloat16(0.5, 0.95), Float64)
)
AS SELECT
    fromUnixTimestamp(toInt64(minute) * 60) AS at,
    minute,
    project_id,
    funnel_id,
    funnel_version,
    step,
    name,
    error_code,
    currency,
    dims,
    value,
    sum(events) AS events,
    sum(sessions) AS sessions,
    sum(orders) AS orders,
    sum(units) AS units,
    sum(revenue) AS revenue,
    quantilesBFloat16MergeState(0.5, 0.95)(latency) AS latency
FROM default.event_minute
WHERE (run_id = '') AND ((project_id, funnel_id, minute, version) IN (
    SELECT
        project_id,
        funnel_id,
        minute,
        max(version)
    FROM default.rollup_minutes
    WHERE run_id = ''
    GROUP BY
        project_id,
        funnel_id,
        minute
))
GROUP BY
    minute,
    project_id,
    funnel_id,
    funnel_version,
    step,
    name,
    error_code,
    currency,
    dims,
    value;

CREATE TABLE event_minute
(
    `project_id` UInt32,
    `funnel_id` UInt32,
    `funnel_version` UInt32,
    `run_id` LowCardinality(String),
    `version` UInt64,
    `minute` UInt32 CODEC(Delta(4), ZSTD(1)),
    `step` UInt8,
    `name` LowCardinality(String),
    `error_code` LowCardinality(String),
    `currency` LowCardinality(String),
    `dims` LowCardinality(String),
    `value` LowCardinality(String),
    `lag` UInt16,
    `events` UInt32,
    `sessions` UInt32,
    `orders` UInt32,
    `units` UInt32,
    `revenue` Decimal(18, 4),
    `latency` AggregateFunction(quantilesBFloat16(0.5, 0.95), Float64),
    `retention_days` UInt16
)
ENGINE = MergeTree
PARTITION BY (retention_days, intDiv(minute, 43200))
ORDER BY (project_id, funnel_id, funnel_version, run_id, dims, intDiv(minute, 60), value, name, step, minute, version)
TTL toDateTime(minute * 60) + toIntervalDay(retention_days)
SETTINGS ttl_only_drop_parts = 1, index_granularity = 2048;

CREATE TABLE events
(
    `project_id` UInt32,
    `message_id` String,
    `name` LowCardinality(String),
    `ts` DateTime64(3, 'UTC') DEFAULT fromUnixTimestamp64Milli(ts_ms, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    `received_at` DateTime64(3, 'UTC') DEFAULT fromUnixTimestamp64Milli(received_ms, 'UTC') CODEC(Delta(8), ZSTD(1)),
    `skew_ms` Int32,
    `time_mark` LowCardinality(String),
    `visitor_id` String,
    `user_id` String,
    `session_id` String,
    `channel` LowCardinality(String),
    `library` LowCardinality(String),
    `test` Bool,
    `bot` Bool,
    `device` LowCardinality(String),
    `os` LowCardinality(String),
    `os_version` LowCardinality(String),
    `browser` LowCardinality(String),
    `browser_version` LowCardinality(String),
    `country` LowCardinality(String),
    `region` LowCardinality(String),
    `source` LowCardinality(String),
    `medium` LowCardinality(String),
    `campaign` LowCardinality(String),
    `app_version` LowCardinality(String),
    `consent` LowCardinality(String),
    `variants` Array(LowCardinality(String)),
    `page_path` String,
    `referrer` LowCardinality(String),
    `currency` LowCardinality(String),
    `value` Nullable(Decimal(18, 4)),
    `order_id` String,
    `category` LowCardinality(String),
    `coupon` LowCardinality(String),
    `payment_provider` LowCardinality(String),
    `payment_method` LowCardinality(String),
    `shipping_method` LowCardinality(String),
    `stock_state` LowCardinality(String),
    `error_code` LowCardinality(String),
    `duration_ms` Nullable(Float64),
    `endpoint` LowCardinality(String) DEFAULT multiIf(duration_ms IS NULL, '', (name IN ('http_error', 'resource_error')), substring(arrayStringConcat(arrayMap(part -> if(match(part, '^\\d+$|\\d{4}|^[0-9a-fA-F-]{16,}$'), '*', part), splitByChar('/', path(JSONExtractString(properties, 'url')))), '/'), 1, 200), name = 'web_vital', JSONExtractString(properties, 'metric'), ''),
    `item_sku` Array(String),
    `item_category` Array(LowCardinality(String)),
    `item_quantity` Array(Int32),
    `item_price` Array(Nullable(Decimal(18, 4))),
    `properties` String CODEC(ZSTD(3)),
    `retention_days` UInt16,
    `inserted_at` DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    `ts_ms` Int64 EPHEMERAL defaultValueOfTypeName('Int64'),
    `received_ms` Int64 EPHEMERAL defaultValueOfTypeName('Int64'),
    INDEX inserted inserted_at TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY (retention_days, toYYYYMM(ts))
ORDER BY (project_id, toStartOfHour(ts), visitor_id, ts, message_id)
TTL toDateTime(ts) + toIntervalDay(retention_days)
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000, index_granularity = 8192;

CREATE VIEW funnel_counts
(
    `at` DateTime,
    `minute` UInt32,
    `project_id` UInt32,
    `funnel_id` UInt32,
    `funnel_version` UInt32,
    `step` UInt8,
    `dims` LowCardinality(String),
    `value` LowCardinality(String),
    `delay` UInt16,
    `entered` UInt64
)
AS SELECT
    fromUnixTimestamp(toInt64(minute) * 60) AS at,
    minute,
    project_id,
    funnel_id,
    funnel_version,
    step,
    dims,
    value,
    delay,
    sum(entered) AS entered
FROM default.funnel_minute
WHERE (run_id = '') AND ((project_id, funnel_id, minute, version) IN (
    SELECT
        project_id,
        funnel_id,
        minute,
        max(version)
    FROM default.rollup_minutes
    WHERE run_id = ''
    GROUP BY
        project_id,
        funnel_id,
        minute
))
GROUP BY
    minute,
    project_id,
    funnel_id,
    funnel_version,
    step,
    dims,
    value,
    delay;

CREATE TABLE funnel_minute
(
    `project_id` UInt32,
    `funnel_id` UInt32,
    `funnel_version` UInt32,
    `run_id` LowCardinality(String),
    `version` UInt64,
    `minute` UInt32 CODEC(Delta(4), ZSTD(1)),
    `step` UInt8,
    `dims` LowCardinality(String),
    `value` LowCardinality(String),
    `lag` UInt16,
    `delay` UInt16,
    `entered` UInt32,
    `retention_days` UInt16
)
ENGINE = MergeTree
PARTITION BY (retention_days, intDiv(minute, 43200))
ORDER BY (project_id, funnel_id, funnel_version, run_id, dims, intDiv(minute, 60), value, step, minute, version)
TTL toDateTime(minute * 60) + toIntervalDay(retention_days)
SETTINGS ttl_only_drop_parts = 1, index_granularity = 2048;

CREATE TABLE ingest_recent
(
    `project_id` UInt32,
    `at` DateTime64(3, 'UTC'),
    `message_id` String,
    `name` String,
    `outcome` LowCardinality(String),
    `notes` String,
    `scrubbed` String,
    `stored_at` DateTime('UTC') DEFAULT now('UTC')
)
ENGINE = MergeTree
PARTITION BY toStartOfHour(stored_at)
ORDER BY (project_id, at)
TTL stored_at + toIntervalHour(1)
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000, index_granularity = 8192;

CREATE TABLE journey
(
    `project_id` UInt32,
    `funnel_id` UInt32,
    `funnel_version` UInt32,
    `run_id` LowCardinality(String),
    `version` UInt64,
    `minute` UInt32 CODEC(Delta(4), ZSTD(1)),
    `multi` LowCardinality(String),
    `multi_value` LowCardinality(String),
    `session` UInt64,
    `visitor_id` String,
    `step` UInt8,
    `name` LowCardinality(String),
    `at` DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    `known_at` DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    `prev_at` DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    `first_at` DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    `error_code` LowCardinality(String),
    `order_id` String,
    `value` Decimal(18, 4),
    `units` UInt32,
    `duration_ms` Nullable(Float64),
    `endpoint` LowCardinality(String),
    `device` LowCardinality(String),
    `os` LowCardinality(String),
    `os_version` LowCardinality(String),
    `browser` LowCardinality(String),
    `browser_version` LowCardinality(String),
    `country` LowCardinality(String),
    `region` LowCardinality(String),
    `source` LowCardinality(String),
    `medium` LowCardinality(String),
    `campaign` LowCardinality(String),
    `app_version` LowCardinality(String),
    `consent` LowCardinality(String),
    `landing_page` LowCardinality(String),
    `new_or_returning` LowCardinality(String),
    `payment_provider` LowCardinality(String),
    `payment_method` LowCardinality(String),
    `shipping_method` LowCardinality(String),
    `coupon` LowCardinality(String),
    `stock_state` LowCardinality(String),
    `currency` LowCardinality(String),
    `retention_days` UInt16
)
ENGINE = MergeTree
PARTITION BY (retention_days, intDiv(minute, 43200))
ORDER BY (project_id, funnel_id, funnel_version, run_id, intDiv(minute, 60), multi, version, minute, session)
TTL toDateTime(minute * 60) + toIntervalDay(retention_days)
SETTINGS ttl_only_drop_parts = 1, index_granularity = 8192;

CREATE TABLE rollup_minutes
(
    `project_id` UInt32,
    `funnel_id` UInt32,
    `funnel_version` UInt32,
    `run_id` LowCardinality(String),
    `minute` UInt32,
    `version` UInt64
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY intDiv(minute, 43200)
ORDER BY (project_id, funnel_id, funnel_version, run_id, minute)
SETTINGS index_granularity = 8192;

CREATE TABLE visitors
(
    `project_id` UInt32,
    `visitor_id` String,
    `first_ts` SimpleAggregateFunction(min, DateTime64(3, 'UTC')),
    `retention_days` UInt16
)
ENGINE = AggregatingMergeTree
PARTITION BY (retention_days, toYYYYMM(first_ts))
ORDER BY (project_id, visitor_id)
TTL toDateTime(first_ts) + toIntervalDay(retention_days)
SETTINGS ttl_only_drop_parts = 1, index_granularity = 1024;

CREATE MATERIALIZED VIEW visitors_from_events TO default.visitors
(
    `project_id` UInt32,
    `visitor_id` String,
    `first_ts` DateTime64(3, 'UTC'),
    `retention_days` UInt16
)
AS SELECT
    project_id,
    if(visitor_id != '', visitor_id, user_id) AS visitor_id,
    min(ts) AS first_ts,
    retention_days
FROM default.events
WHERE (NOT bot) AND (NOT test) AND (channel != 'server')
GROUP BY
    project_id,
    visitor_id,
    retention_days,
    toYYYYMM(ts);

