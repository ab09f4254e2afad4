-- What took an event's duration: a request's path with ids as "*", else a web vital's name. Worked out once, at the insert, so that
-- a roll-up need not read every event's properties.
ALTER TABLE events ADD COLUMN IF NOT EXISTS endpoint LowCardinality(String) DEFAULT multiIf(
    duration_ms IS NULL, '',
    name IN ('http_error', 'resource_error'), substring(arrayStringConcat(arrayMap(
        part -> if(match(part, '^\\d+$|\\d{4}|^[0-9a-fA-F-]{16,}$'), '*', part), splitByChar('/', path(JSONExtractString(properties, 'url')))), '/'), 1, 200),
    name = 'web_vital', JSONExtractString(properties, 'metric'),
    '') AFTER duration_ms;
