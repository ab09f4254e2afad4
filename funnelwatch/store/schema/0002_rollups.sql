-- Roll-up rows are written under a fresh version and count once rollup_minutes names that version for their minute: readers
-- take the greatest one. Minutes are epoch minutes; run_id is '' for the live watch and names a replay otherwise.
CREATE TABLE rollup_minutes
(
    project_id UInt32,
    funnel_id UInt32,
    funnel_version UInt32,
    run_id LowCardinality(String),
    minute UInt32,
    version UInt64
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY intDiv(minute, 43200)
ORDER BY (project_id, funnel_id, funnel_version, run_id, minute);

-- What happened in a session: its arrival at each step (name = '') and its noteworthy events, with the dimensions known by then.
-- A session appears once with multi = '', and once under every value of each multi-valued dimension. `step` is the arrival's
-- step, or the deepest step reached before the event (0 = none); `prev_at` the arrival at the step before.
CREATE TABLE journey
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
    currency LowCardinality(String)
)
ENGINE = MergeTree
PARTITION BY intDiv(minute, 43200)
ORDER BY (project_id, funnel_id, funnel_version, run_id, intDiv(minute, 60), multi, version, minute, session);

-- Arrivals at a step by minute, cohort (dims 'os,browser' with values joined by \x1f), minutes until known and minutes since the
-- step before. The state as of minute T is the sum where minute + lag <= T.
CREATE TABLE funnel_minute
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
    entered UInt32
)
ENGINE = MergeTree
PARTITION BY intDiv(minute, 43200)
ORDER BY (project_id, funnel_id, funnel_version, run_id, intDiv(minute, 60), dims, value, step, minute, version);

-- Noteworthy events by minute and cohort: errors by class and code, orders, units, revenue a currency, latency sketches.
CREATE TABLE event_minute
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
    latency AggregateFunction(quantilesDD(0.01, 0.5, 0.95), Float64)
)
ENGINE = MergeTree
PARTITION BY intDiv(minute, 43200)
ORDER BY (project_id, funnel_id, funnel_version, run_id, intDiv(minute, 60), dims, value, name, step, minute, version);

-- The cohort values counted by name from a minute on; any other value of those dimensions is pooled as "other".
CREATE TABLE cohort_values
(
    project_id UInt32,
    funnel_id UInt32,
    run_id LowCardinality(String),
    from_minute UInt32,
    dims LowCardinality(String),
    value String,
    sessions UInt64
)
ENGINE = ReplacingMergeTree
ORDER BY (project_id, funnel_id, run_id, from_minute, dims, value);
