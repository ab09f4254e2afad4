-- A report asks for one set of dimensions over days, so its rows stand together: dims before the hour, and small granules. Ten days,
-- 7.6 million rows: the report 472 -> 173 ms, cut by country 552 -> 252 ms, the tick's four hours of all cohorts 262 -> 229 ms.
-- A table cannot change its order, so each is made anew and copied; a copy that was cut short is begun again.
DROP TABLE IF EXISTS funnel_minute_next;

CREATE TABLE funnel_minute_next AS funnel_minute
ENGINE = MergeTree
PARTITION BY (retention_days, intDiv(minute, 43200))
ORDER BY (project_id, funnel_id, funnel_version, run_id, dims, intDiv(minute, 60), value, step, minute, version)
TTL toDateTime(minute * 60) + toIntervalDay(retention_days)
SETTINGS ttl_only_drop_parts = 1, index_granularity = 2048;

INSERT INTO funnel_minute_next SELECT * FROM funnel_minute;

EXCHANGE TABLES funnel_minute_next AND funnel_minute;

DROP TABLE funnel_minute_next;

DROP TABLE IF EXISTS event_minute_next;

CREATE TABLE event_minute_next AS event_minute
ENGINE = MergeTree
PARTITION BY (retention_days, intDiv(minute, 43200))
ORDER BY (project_id, funnel_id, funnel_version, run_id, dims, intDiv(minute, 60), value, name, step, minute, version)
TTL toDateTime(minute * 60) + toIntervalDay(retention_days)
SETTINGS ttl_only_drop_parts = 1, index_granularity = 2048;

INSERT INTO event_minute_next SELECT * FROM event_minute;

EXCHANGE TABLES event_minute_next AND event_minute;

DROP TABLE event_minute_next;
