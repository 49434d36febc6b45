-- Format 1 of instances.db. Released formats are never edited: a change is a new file and a new format.

-- The registry: one row for each host, in the order in which this copy learned of its last change.
-- There is no index of the hosts: keys come in no order, and a commit would touch pages everywhere.
-- The server knows the number of each.
CREATE TABLE hosts (
    number INTEGER PRIMARY KEY,     -- of the last change
    host TEXT NOT NULL,             -- the host's key, hexadecimal
    body TEXT NOT NULL              -- all else that its entry says, as JSON
) STRICT;

-- The numbers that each start of the server gave: those above the last one before it.
CREATE TABLE spans (
    place INTEGER PRIMARY KEY,      -- the oldest first
    id TEXT NOT NULL UNIQUE,        -- its random name, hexadecimal
    after INTEGER NOT NULL
) STRICT;

-- What belongs to this copy of the registry; one row.
CREATE TABLE copy (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    pulled_span TEXT,               -- up to where the peer's changes are in here: the span, hexadecimal
    pulled_number INTEGER,          -- and the number in it
    peer TEXT,                      -- the peer's license ID
    peer_instances INTEGER,
    may_lack_hosts INTEGER NOT NULL, -- 1: it took the place of one that knew more
    server_key TEXT                 -- whose it is, hexadecimal; null: no server had it yet
) STRICT;
INSERT INTO copy VALUES (1, NULL, NULL, NULL, NULL, 0, NULL);
