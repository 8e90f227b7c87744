-- Both SQLite and PostgreSQL read this file.

-- Human agents.
CREATE TABLE agents (
    id TEXT NOT NULL PRIMARY KEY,
    -- What is said of it, JSON.
    body TEXT NOT NULL
);
