-- Both SQLite and PostgreSQL read this file.

-- Callers who were promised to be called back.
CREATE TABLE callbacks (
    id TEXT NOT NULL PRIMARY KEY,
    -- The call in which it was promised; its handoff, empty where its AI promised it.
    call TEXT NOT NULL,
    handoff TEXT NOT NULL,
    -- The AI agent of that call: whose keys may see it.
    agent TEXT NOT NULL,
    trunk TEXT NOT NULL,
    -- Its URI, as the call had it, and the number in it.
    caller TEXT NOT NULL,
    number TEXT NOT NULL,
    -- The machine that promised it, by whose hours it is made; empty: none.
    machine TEXT NOT NULL,
    -- Who is to have the caller; empty: the targets in order.
    target TEXT NOT NULL,
    reason TEXT NOT NULL,
    -- A context package.
    context TEXT NOT NULL,
    zone TEXT NOT NULL,
    -- The slot; the end is not in it.
    from_ms BIGINT NOT NULL,
    until_ms BIGINT NOT NULL,
    -- scheduled, calling, done, missed, cancelled.
    state TEXT NOT NULL,
    -- NULL: the caller has not said yes to the slot.
    confirmed_ms BIGINT,
    attempts BIGINT NOT NULL,
    -- Not tried before.
    due_ms BIGINT NOT NULL,
    -- Who calls; else empty.
    instance TEXT NOT NULL,
    -- The attempts, a JSON list.
    calls TEXT NOT NULL,
    -- Why it was missed.
    cause TEXT,
    -- So long after the end of its slot the first attempt was made.
    late_ms BIGINT NOT NULL,
    booked_ms BIGINT NOT NULL,
    -- NULL: it is open.
    closed_ms BIGINT
);
CREATE INDEX callbacks_in_order ON callbacks (booked_ms, id);
CREATE INDEX callbacks_in_slots ON callbacks (until_ms);
CREATE INDEX callbacks_of_number ON callbacks (number, target) WHERE state = 'scheduled';
CREATE INDEX callbacks_due ON callbacks (due_ms) WHERE state = 'scheduled';
CREATE INDEX callbacks_calling ON callbacks (instance) WHERE state = 'calling';
CREATE INDEX callbacks_open ON callbacks (id) WHERE closed_ms IS NULL;
CREATE INDEX callbacks_closed ON callbacks (closed_ms) WHERE closed_ms IS NOT NULL;

-- Its row is locked by who takes a slot until that is committed: nobody else takes the same one meanwhile.
CREATE TABLE callback_slots (taken BIGINT NOT NULL);
INSERT INTO callback_slots (taken) VALUES (0);
