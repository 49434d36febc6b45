-- Format 1 of ledger.db. Released formats are never edited: a change is a new file and a new format.

-- What only ever goes up, and how many rows are kept where; one row.
CREATE TABLE marks (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    position INTEGER NOT NULL,      -- of the last record, kept or not
    last_session INTEGER NOT NULL,  -- the highest session number ever given
    time_mark INTEGER,              -- seconds since 1970, UTC
    records INTEGER NOT NULL,       -- rows of records
    denials INTEGER NOT NULL,       -- rows of denials
    may_lack_holders INTEGER NOT NULL, -- 1: seats may have holders that no session names
    begun TEXT,                     -- how it began after a loss or a restore, as JSON
    server_key TEXT                 -- whose it is, hexadecimal; null: no server had it yet
) STRICT;
INSERT INTO marks VALUES (1, 0, 0, NULL, 0, 0, 0, NULL, NULL);

-- The audit trail, the newest rows of it.
CREATE TABLE records (
    position INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,            -- seconds since 1970, UTC
    kind TEXT AS (body ->> 'kind') VIRTUAL,
    body TEXT NOT NULL              -- the event as JSON
) STRICT;

-- Refused logins, the newest of them.
CREATE TABLE denials (
    position INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    body TEXT NOT NULL              -- the denial as JSON
) STRICT;

-- What the records add up to. None of it depends on a record that is still there.
CREATE TABLE sessions (
    number INTEGER PRIMARY KEY,
    body TEXT NOT NULL              -- the session as JSON
) STRICT;

CREATE TABLE blocked (
    host TEXT NOT NULL,             -- the host's key, hexadecimal
    emulator TEXT NOT NULL,
    run TEXT NOT NULL,              -- hexadecimal
    PRIMARY KEY (host, emulator)
) STRICT, WITHOUT ROWID;

CREATE TABLE versions (
    license_id TEXT PRIMARY KEY,
    version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The second copy of what instances.db knows of retired hosts.
CREATE TABLE retired_hosts (
    host TEXT PRIMARY KEY,          -- the host's key, hexadecimal
    at INTEGER NOT NULL,            -- seconds since 1970, UTC
    name TEXT NOT NULL,
    home TEXT NOT NULL,             -- the license whose instance it had
    identity TEXT                   -- its machine as its provider names it, as JSON, if that is known
) STRICT, WITHOUT ROWID;

-- How many hosts were at home with each license of this server.
CREATE TABLE homed (
    home TEXT PRIMARY KEY,
    count INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE meters (
    license_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    used_ms INTEGER NOT NULL,
    charged_to TEXT NOT NULL,       -- up to when, as JSON; null: not known
    PRIMARY KEY (license_id, version)
) STRICT, WITHOUT ROWID;
