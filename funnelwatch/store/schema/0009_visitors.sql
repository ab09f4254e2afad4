-- A minute's roll-up looks some hundred visitors up, each in a granule of its own: with granules of 8,192 rows that came to five million
-- rows read in a shop with history. Of ten million visitors 600 are found in 55 ms instead of 170 (in 75 with granules of 256).
-- The view goes on writing to the table of that name; what it wrote between the copy and the exchange is copied after.
DROP TABLE IF EXISTS visitors_next;

CREATE TABLE visitors_next AS visitors
ENGINE = AggregatingMergeTree
PARTITION BY (retention_days, toYYYYMM(first_ts))
ORDER BY (project_id, visitor_id)
TTL toDateTime(first_ts) + toIntervalDay(retention_days)
SETTINGS ttl_only_drop_parts = 1, index_granularity = 1024;

INSERT INTO visitors_next SELECT * FROM visitors SETTINGS max_partitions_per_insert_block = 0;

EXCHANGE TABLES visitors_next AND visitors;

INSERT INTO visitors SELECT * FROM visitors_next SETTINGS max_partitions_per_insert_block = 0;

DROP TABLE visitors_next;
