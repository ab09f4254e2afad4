-- What dashboards and notebooks read: the live counts as they stand, one row per (minute, step, cohort, delay) or event class. Which
-- version of a minute counts is settled here: the newest, whatever steps were collected when it was made.
CREATE VIEW funnel_counts AS
SELECT
    fromUnixTimestamp(toInt64(minute) * 60) AS at, minute, project_id, funnel_id, funnel_version, step, dims, value, delay, sum(entered) AS entered
FROM funnel_minute
WHERE run_id = '' AND (project_id, funnel_id, minute, version) IN (
    SELECT project_id, funnel_id, minute, max(version) FROM rollup_minutes WHERE run_id = '' GROUP BY project_id, funnel_id, minute)
GROUP BY minute, project_id, funnel_id, funnel_version, step, dims, value, delay;

CREATE VIEW event_counts AS
SELECT
    fromUnixTimestamp(toInt64(minute) * 60) AS at, minute, project_id, funnel_id, funnel_version, step, name, error_code, currency, dims, value,
    sum(events) AS events, sum(sessions) AS sessions, sum(orders) AS orders, sum(units) AS units, sum(revenue) AS revenue,
    quantilesDDMergeState(0.01, 0.5, 0.95)(latency) AS latency
FROM event_minute
WHERE run_id = '' AND (project_id, funnel_id, minute, version) IN (
    SELECT project_id, funnel_id, minute, max(version) FROM rollup_minutes WHERE run_id = '' GROUP BY project_id, funnel_id, minute)
GROUP BY minute, project_id, funnel_id, funnel_version, step, name, error_code, currency, dims, value;
