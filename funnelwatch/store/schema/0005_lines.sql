-- Spooled lines go in as they are. Their times are whole milliseconds, which a DateTime64 takes for seconds: they come in these.
ALTER TABLE events
    ADD COLUMN ts_ms Int64 EPHEMERAL,
    ADD COLUMN received_ms Int64 EPHEMERAL,
    MODIFY COLUMN ts DEFAULT fromUnixTimestamp64Milli(ts_ms, 'UTC'),
    MODIFY COLUMN received_at DEFAULT fromUnixTimestamp64Milli(received_ms, 'UTC');
