-- Who is told what happens to jobs.
CREATE TABLE subscriptions (
    row           INTEGER PRIMARY KEY,
    id            BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
    owner         TEXT    NOT NULL,
    url           TEXT    NOT NULL,
    events        TEXT    NOT NULL,
    since         INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    disabled_at   INTEGER,
    -- Its place in `DisabledReason::ALL`.
    disabled_why  INTEGER,
    generation    INTEGER NOT NULL,
    rotated_at    INTEGER NOT NULL,
    failing_since INTEGER,
    paused_until  INTEGER
) STRICT;

-- What they are told.
CREATE TABLE deliveries (
    row          INTEGER PRIMARY KEY,
    id           BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
    owner        TEXT    NOT NULL,
    -- NULL for one to an address that its job named.
    subscription BLOB    REFERENCES subscriptions (id) ON DELETE CASCADE,
    -- What messages to the same receiver have in common.
    lane         TEXT    NOT NULL,
    job          BLOB    CHECK (job IS NULL OR length(job) = 16),
    kind         TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    -- 0 waiting, 1 delivered, 2 dead; due then, or so since then.
    state        INTEGER NOT NULL CHECK (state BETWEEN 0 AND 2),
    state_at     INTEGER NOT NULL,
    -- Its place in `DeadReason::ALL`.
    why          INTEGER,
    attempts     INTEGER NOT NULL,
    -- The last try: a status, with the pause that was asked for, or why there was no answer.
    last_at      INTEGER,
    last_status  INTEGER,
    last_pause   INTEGER,
    last_error   TEXT,
    epoch        INTEGER NOT NULL DEFAULT 0,
    leased_until INTEGER,
    -- When it can be claimed; NULL where it is over.
    wake_at      INTEGER,
    address      TEXT,
    body         TEXT    NOT NULL
) STRICT;
CREATE INDEX deliveries_by_owner ON deliveries (owner, id);
CREATE INDEX deliveries_by_subscription ON deliveries (subscription, id) WHERE subscription IS NOT NULL;
CREATE INDEX deliveries_by_job ON deliveries (job, id) WHERE job IS NOT NULL;
CREATE INDEX deliveries_by_wake ON deliveries (lane, wake_at, id) WHERE wake_at IS NOT NULL;
CREATE INDEX deliveries_on_their_way ON deliveries (lane, leased_until) WHERE leased_until IS NOT NULL;
CREATE INDEX deliveries_over ON deliveries (created_at) WHERE wake_at IS NULL;

-- The last event whose deliveries are all there. Nobody asked to be told about what came before.
INSERT INTO tallies (what, name, number) SELECT 'relayed', '', number FROM tallies WHERE what = 'position';
