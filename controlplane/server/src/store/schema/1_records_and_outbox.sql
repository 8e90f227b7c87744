-- Both SQLite and PostgreSQL read this file. Times are milliseconds since 1970, ids are as the API prints them, a body is JSON.
-- An index is here for a statement in store/; a test asks SQLite whether each statement has its own.

-- One run of a server. Whether it lives is told by a lock that it holds, not by a time (store/life.rs).
CREATE TABLE instances (
    id TEXT NOT NULL PRIMARY KEY,
    node TEXT NOT NULL,
    -- Where its SIP is, as peers reach it.
    sip TEXT NOT NULL,
    started_ms BIGINT NOT NULL
);

-- Calls that are alive, each with the instance that has it.
CREATE TABLE calls (
    id TEXT NOT NULL PRIMARY KEY,
    instance TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX calls_of_instance ON calls (instance);

-- What was said in a call, as its AI told us, numbered from 0. It outlives the call.
CREATE TABLE turns (
    call TEXT NOT NULL,
    number BIGINT NOT NULL,
    at_ms BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (call, number)
);
CREATE INDEX turns_in_time ON turns (at_ms);

-- What was known of a call beside its turns, as it was last.
CREATE TABLE contexts (
    call TEXT NOT NULL PRIMARY KEY,
    at_ms BIGINT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX contexts_in_time ON contexts (at_ms);

CREATE TABLE handoffs (
    id TEXT NOT NULL PRIMARY KEY,
    call TEXT NOT NULL,
    agent TEXT NOT NULL,
    instance TEXT NOT NULL,
    requested_ms BIGINT NOT NULL,
    -- NULL: it is open.
    closed_ms BIGINT,
    -- The SHA-256 of the token that opens its context, in hexadecimal; empty where nobody was invited.
    token TEXT NOT NULL,
    -- So many turns of the call are its transcript; the body has none of them.
    turns BIGINT NOT NULL,
    -- The longest that something about it took until it was here, where that was long; else 0.
    late_ms BIGINT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX handoffs_in_order ON handoffs (requested_ms, id);
CREATE INDEX handoffs_of_call ON handoffs (call, requested_ms, id);
CREATE INDEX handoffs_of_agent ON handoffs (agent, requested_ms, id);
CREATE INDEX handoffs_open ON handoffs (instance) WHERE closed_ms IS NULL;
CREATE INDEX handoffs_closed ON handoffs (closed_ms) WHERE closed_ms IS NOT NULL;

-- What an Idempotency-Key was answered. Key and body as SHA-256 in hexadecimal.
CREATE TABLE idempotency (
    id TEXT NOT NULL PRIMARY KEY,
    request TEXT NOT NULL,
    handoff TEXT NOT NULL,
    at_ms BIGINT NOT NULL
);
CREATE INDEX idempotency_in_time ON idempotency (at_ms);

CREATE TABLE events (
    id TEXT NOT NULL PRIMARY KEY,
    subject TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    kind TEXT NOT NULL,
    at_ms BIGINT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX events_of_subject ON events (subject, sequence);
CREATE INDEX events_in_time ON events (at_ms);

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
CREATE INDEX deliveries_of_instance ON deliveries (instance, endpoint) WHERE status = 'pending';
CREATE INDEX deliveries_of_subject ON deliveries (subject, sequence, endpoint);
CREATE INDEX deliveries_in_order ON deliveries (queued_ms, event, endpoint);
CREATE INDEX deliveries_pending ON deliveries (queued_ms, event, endpoint) WHERE status = 'pending';
CREATE INDEX deliveries_failed ON deliveries (queued_ms, event, endpoint) WHERE status = 'failed';
