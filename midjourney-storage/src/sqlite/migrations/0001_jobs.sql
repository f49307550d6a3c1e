-- Times are milliseconds since 1970. Ids are the 16 bytes of a UUIDv7, so their order is the order of creation.
-- Numbers for words: status 0 pending, 1 processing, 2 completed, 3 failed, 4 cancelled, 5 expired;
-- image kind 0 grid, 1 single.

-- Rows keep a rowid: they are too wide for WITHOUT ROWID, whose inner pages would hold six of them instead of
-- hundreds of keys. The two wide columns come last, so that reading the others never follows overflow pages.
CREATE TABLE jobs (
    -- The position of its first event, which tells nothing beyond this row and has none of its own in `events`.
    row             INTEGER PRIMARY KEY,
    id              BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
    owner           TEXT    NOT NULL,
    account         TEXT    NOT NULL,
    batch           BLOB             CHECK (batch IS NULL OR length(batch) = 16),
    status          INTEGER NOT NULL CHECK (status BETWEEN 0 AND 5),
    -- Whether it takes up one of its account's slots.
    holds_slot      INTEGER NOT NULL DEFAULT 0,
    -- When somebody should look at it next, by its life alone.
    due             INTEGER,
    -- The same, but not before its lease has run out: what a claim looks for.
    wake_at         INTEGER,
    lease_epoch     INTEGER NOT NULL DEFAULT 0,
    lease_until     INTEGER,
    version         INTEGER NOT NULL DEFAULT 1,
    sequence        INTEGER NOT NULL DEFAULT 1,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    -- Its name at the upstream, while it is under way there.
    task            TEXT,
    -- What its purses are charged with in all, in thousandths of a credit.
    cost            INTEGER NOT NULL DEFAULT 0,
    -- The last of its charges and its time; NULL where that is all of the cost, and where it was charged when accepted.
    charge          INTEGER,
    charged_at      INTEGER,
    idempotency_key TEXT,
    digest          BLOB,
    -- The place of the job within its request.
    ordinal         INTEGER NOT NULL,
    request         TEXT    NOT NULL,
    -- NULL for the life that every job begins with.
    life            TEXT
) STRICT;

-- An index costs a new job nearly as much as its row does, so this one serves the lists by owner and by status too: as
-- several walks in the order of the pages, one for each status or owner.
CREATE INDEX jobs_by_owner_status ON jobs (owner, status, id);
CREATE INDEX jobs_by_batch ON jobs (batch, id) WHERE batch IS NOT NULL;
-- Only jobs that are not over: what a start after a crash reads, however long the history is.
CREATE INDEX jobs_by_wake ON jobs (account, status, wake_at, id) WHERE wake_at IS NOT NULL;
CREATE INDEX jobs_by_task ON jobs (task, account) WHERE task IS NOT NULL;
CREATE UNIQUE INDEX jobs_by_key ON jobs (owner, idempotency_key, ordinal) WHERE idempotency_key IS NOT NULL;

-- Numbers that the writer keeps in the transaction of each change, since counting a million rows costs fifty pages of
-- them. They share one page, which every commit writes: the position of the newest event ('position'), so that none is
-- ever given twice, even after the newest events were removed; how many jobs there are of a status ('status'); how many
-- of an account wait ('pending') and how many hold one of its slots ('running').
CREATE TABLE tallies (
    what   TEXT    NOT NULL,
    name   TEXT    NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (what, name)
) STRICT, WITHOUT ROWID;
INSERT INTO tallies (what, name, number) VALUES ('position', '', 0);

-- What was spent from each purse on each day (counted from 1970-01-01, UTC), in thousandths of a credit, less what was
-- given back. Purses are 'account:NAME' and 'owner:NAME'.
CREATE TABLE spending (
    purse  TEXT    NOT NULL,
    day    INTEGER NOT NULL,
    amount INTEGER NOT NULL,
    PRIMARY KEY (purse, day)
) STRICT, WITHOUT ROWID;

-- What happened to jobs after they were accepted.
CREATE TABLE events (
    position INTEGER PRIMARY KEY,
    -- The job's row, not its id: half the size in table and index, and the check that it exists costs less.
    job      INTEGER NOT NULL REFERENCES jobs (row) ON DELETE CASCADE,
    sequence INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    body     TEXT    NOT NULL,
    UNIQUE (job, sequence)
) STRICT;

CREATE TABLE images (
    row        INTEGER PRIMARY KEY,
    id         BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
    job        BLOB    NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    owner      TEXT    NOT NULL,
    kind       INTEGER NOT NULL,
    number     INTEGER NOT NULL,
    key        TEXT    NOT NULL,
    digest     BLOB    NOT NULL CHECK (length(digest) = 32),
    bytes      INTEGER NOT NULL,
    media_type TEXT    NOT NULL,
    width      INTEGER,
    height     INTEGER,
    source_url TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    pinned     INTEGER NOT NULL DEFAULT 0,
    -- With a space between them.
    tags       TEXT    NOT NULL DEFAULT '',
    UNIQUE (job, kind, number)
) STRICT;
CREATE INDEX images_by_owner ON images (owner, id);

-- Files of pictures whose rows were removed, until the files are gone too.
CREATE TABLE leftovers (
    key TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;
