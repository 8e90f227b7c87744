-- Both SQLite and PostgreSQL read this file.

-- Who is to have a caller who is called back, in order: a JSON list of targets. Empty: a promise of an older version, of its target, or of
-- whoever the playbook names.
ALTER TABLE callbacks ADD COLUMN humans TEXT NOT NULL DEFAULT '[]';
-- A digest of it: it may be too long for an index.
ALTER TABLE callbacks ADD COLUMN team TEXT NOT NULL DEFAULT '';
DROP INDEX callbacks_of_number;
CREATE INDEX callbacks_of_number ON callbacks (number) WHERE closed_ms IS NULL;
-- Those that are for the same are looked at together.
DROP INDEX callbacks_due;
CREATE INDEX callbacks_due ON callbacks (machine, target, team, until_ms, due_ms) WHERE state = 'scheduled';

-- The number that a live call comes from or goes to; empty: none that is known.
ALTER TABLE calls ADD COLUMN number TEXT NOT NULL DEFAULT '';
CREATE INDEX calls_of_number ON calls (number) WHERE number <> '';
