-- Both SQLite and PostgreSQL read this file.

-- Events in the order in which they were committed: whoever has read up to a place has missed none before it. The row is locked by
-- the transaction that takes a place until it ends, so no other server's commit comes between a place and what is written there.
CREATE TABLE event_places (last BIGINT NOT NULL);

ALTER TABLE events ADD COLUMN place BIGINT NOT NULL DEFAULT 0;
-- The agent of its call: whose keys may see it.
ALTER TABLE events ADD COLUMN agent TEXT NOT NULL DEFAULT '';
UPDATE events SET place = placed.place
    FROM (SELECT id, ROW_NUMBER() OVER (ORDER BY at_ms, id) AS place FROM events) AS placed WHERE placed.id = events.id;
INSERT INTO event_places (last) SELECT COALESCE(MAX(place), 0) FROM events;
CREATE UNIQUE INDEX events_in_order ON events (place);

-- What the human thought of the handoff, JSON.
ALTER TABLE handoffs ADD COLUMN feedback TEXT;
