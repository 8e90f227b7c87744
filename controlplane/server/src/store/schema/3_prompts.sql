-- Both SQLite and PostgreSQL read this file.

-- Prompts that were uploaded.
CREATE TABLE prompts (
    name TEXT NOT NULL PRIMARY KEY,
    at_ms BIGINT NOT NULL,
    -- Of the file as it came.
    sha256 TEXT NOT NULL,
    length_ms BIGINT NOT NULL,
    -- Samples a second, of those that are played.
    rate_hz BIGINT NOT NULL,
    -- The file, in Base64.
    wav TEXT NOT NULL
);
