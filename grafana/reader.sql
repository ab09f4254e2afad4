-- A ClickHouse user for Grafana, Superset and notebooks that can read and do nothing else. Run it as an administrator:
--   clickhouse-client --param_password='a long random one' --queries-file grafana/reader.sql
-- readonly = 2 and not 1: both programs set time-outs of their own, which 1 forbids. What it may read are the counts, the raw
-- events (pseudonymous), and nothing of the detectors; FunnelWatch's database is called funnelwatch here.
CREATE USER IF NOT EXISTS funnelwatch_reader IDENTIFIED WITH sha256_password BY {password:String}
    SETTINGS readonly = 2, max_execution_time = 30, max_memory_usage = 4000000000;

GRANT SELECT ON funnelwatch.funnel_counts TO funnelwatch_reader;
GRANT SELECT ON funnelwatch.event_counts TO funnelwatch_reader;
GRANT SELECT ON funnelwatch.funnel_minute TO funnelwatch_reader;
GRANT SELECT ON funnelwatch.event_minute TO funnelwatch_reader;
GRANT SELECT ON funnelwatch.rollup_minutes TO funnelwatch_reader;
GRANT SELECT ON funnelwatch.events TO funnelwatch_reader;
