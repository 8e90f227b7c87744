-- Both SQLite and PostgreSQL read this file. Times are milliseconds since 1970, ids are as the API prints them, a body is JSON.

-- One run of a server. Whether it lives is told by a lock that it holds, not by a time (store/life.rs).
CREATE TABLE instances (
    id TEXT NOT NULL PRIMARY KEY,
    node TEXT NOT NULL,
    started_ms BIGINT NOT NULL
);

-- Calls that are alive, each with the instance that has it.
CREATE TABLE calls (
    id TEXT NOT NULL PRIMARY KEY,
    instance TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX calls_of_instance ON calls (instance);

CREATE TABLE handoffs (
    id TEXT NOT NULL PRIMARY KEY,
    call TEXT NOT NULL,
    agent TEXT NOT NULL,
    instance TEXT NOT NULL,
    requested_ms BIGINT NOT NULL,
    is_open BIGINT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX handoffs_in_order ON handoffs (requested_ms, id);
CREATE INDEX handoffs_of_call ON handoffs (call);
CREATE INDEX handoffs_open ON handoffs (instance) WHERE is_open = 1;

CREATE TABLE events (
    id TEXT NOT NULL PRIMARY KEY,
    subject TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    kind TEXT NOT NULL,
    at_ms BIGINT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX events_of_subject ON events (subject, sequence);

-- What each webhook endpoint is still to be told, by which instance, and what became of the rest.
CREATE TABLE deliveries (
    event TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    instance TEXT NOT NULL,
    subject TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    kind TEXT NOT NULL,
    status TEXT NOT NULL,
    -- The first one of its subject that is pending at this endpoint: the others wait for it.
    is_head BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    answer TEXT,
    queued_ms BIGINT NOT NULL,
    due_ms BIGINT NOT NULL,
    finished_ms BIGINT,
    PRIMARY KEY (event, endpoint)
);
CREATE INDEX deliveries_waiting ON deliveries (endpoint, subject, sequence) WHERE status = 'pending';
CREATE INDEX deliveries_due ON deliveries (instance, endpoint, due_ms) WHERE status = 'pending' AND is_head = 1;
CREATE INDEX deliveries_of_subject ON deliveries (subject, sequence);
