-- Times are milliseconds since 1970. Ids are the 16 bytes of a UUIDv7, so their order is the order of creation. Numbers
-- for words are those of the SQLite schema: status 0 pending, 1 processing, 2 completed, 3 failed, 4 cancelled, 5 expired;
-- image kind 0 grid, 1 single; verdicts and reasons by their place in the program's tables. Names sort by their bytes, as
-- there.

CREATE TABLE jobs (
    -- The position of its first event, which tells nothing beyond this row and has none of its own in `events`.
    row             BIGINT PRIMARY KEY,
    id              BYTEA  NOT NULL UNIQUE CHECK (length(id) = 16),
    owner           TEXT   COLLATE "C" NOT NULL,
    account         TEXT   COLLATE "C" NOT NULL,
    batch           BYTEA  CHECK (batch IS NULL OR length(batch) = 16),
    status          BIGINT NOT NULL CHECK (status BETWEEN 0 AND 5),
    -- Whether it takes up one of its account's slots.
    holds_slot      BIGINT NOT NULL DEFAULT 0,
    -- When somebody should look at it next, by its life alone.
    due             BIGINT,
    -- The same, but not before its lease has run out: what a claim looks for.
    wake_at         BIGINT,
    lease_epoch     BIGINT NOT NULL DEFAULT 0,
    lease_until     BIGINT,
    version         BIGINT NOT NULL DEFAULT 1,
    sequence        BIGINT NOT NULL DEFAULT 1,
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL,
    -- Its name at the upstream, while it is under way there.
    task            TEXT   COLLATE "C",
    -- What its purses are charged with in all, in thousandths of a credit.
    cost            BIGINT NOT NULL DEFAULT 0,
    -- The last of its charges and its time; NULL where that is all of the cost, and where it was charged when accepted.
    charge          BIGINT,
    charged_at      BIGINT,
    idempotency_key TEXT   COLLATE "C",
    digest          BYTEA,
    -- The place of the job within its request.
    ordinal         BIGINT NOT NULL,
    request         TEXT   NOT NULL,
    -- NULL for the life that every job begins with.
    life            TEXT
);
CREATE INDEX jobs_by_owner_status ON jobs (owner, status, id);
CREATE INDEX jobs_by_batch ON jobs (batch, id) WHERE batch IS NOT NULL;
CREATE INDEX jobs_by_wake ON jobs (account, status, wake_at, id) WHERE wake_at IS NOT NULL;
CREATE INDEX jobs_by_task ON jobs (task, account) WHERE task IS NOT NULL;
CREATE UNIQUE INDEX jobs_by_key ON jobs (owner, idempotency_key, ordinal) WHERE idempotency_key IS NOT NULL;

-- Numbers that writers keep in the transaction of each change. Whoever writes locks the row of the position first: one
-- writes at a time, so that positions come in the order of commits, and what was read before a change still holds.
CREATE TABLE tallies (
    what   TEXT   COLLATE "C" NOT NULL,
    name   TEXT   COLLATE "C" NOT NULL,
    number BIGINT NOT NULL,
    PRIMARY KEY (what, name)
) WITH (fillfactor = 50);
INSERT INTO tallies (what, name, number) VALUES ('position', '', 0), ('relayed', '', 0);

-- The newest turn of each node that was committed, by which a node learns what became of a commit whose answer was lost.
CREATE TABLE commits (
    node     BYTEA       PRIMARY KEY CHECK (length(node) = 16),
    turn     BIGINT      NOT NULL,
    noted_at TIMESTAMPTZ NOT NULL
) WITH (fillfactor = 50);

-- What is signed with and must be alike on every node.
CREATE TABLE own_secrets (
    name  TEXT COLLATE "C" PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE spending (
    purse  TEXT   COLLATE "C" NOT NULL,
    day    BIGINT NOT NULL,
    amount BIGINT NOT NULL,
    PRIMARY KEY (purse, day)
);

CREATE TABLE events (
    position BIGINT PRIMARY KEY,
    job      BIGINT NOT NULL REFERENCES jobs (row) ON DELETE CASCADE,
    sequence BIGINT NOT NULL,
    at       BIGINT NOT NULL,
    body     TEXT   NOT NULL,
    UNIQUE (job, sequence)
);

CREATE TABLE images (
    id         BYTEA  PRIMARY KEY CHECK (length(id) = 16),
    job        BYTEA  NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    owner      TEXT   COLLATE "C" NOT NULL,
    kind       BIGINT NOT NULL,
    number     BIGINT NOT NULL,
    key        TEXT   COLLATE "C" NOT NULL,
    digest     BYTEA  NOT NULL CHECK (length(digest) = 32),
    bytes      BIGINT NOT NULL,
    media_type TEXT   NOT NULL,
    width      BIGINT,
    height     BIGINT,
    source_url TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    pinned     BIGINT NOT NULL DEFAULT 0,
    -- With a space between them.
    tags       TEXT   NOT NULL DEFAULT '',
    UNIQUE (job, kind, number)
);
CREATE INDEX images_by_owner ON images (owner, id);

-- What the pictures of a job are filed under.
CREATE TABLE library (
    job   BIGINT   PRIMARY KEY REFERENCES jobs (row) ON DELETE CASCADE,
    terms TSVECTOR NOT NULL
);
CREATE INDEX library_by_term ON library USING gin (terms);

-- Files of pictures whose rows were removed, until the files are gone too.
CREATE TABLE leftovers (
    key TEXT COLLATE "C" PRIMARY KEY
);

CREATE TABLE uploads (
    id         BYTEA  PRIMARY KEY CHECK (length(id) = 16),
    owner      TEXT   COLLATE "C" NOT NULL,
    key        TEXT   COLLATE "C" NOT NULL,
    digest     BYTEA  NOT NULL CHECK (length(digest) = 32),
    bytes      BIGINT NOT NULL,
    media_type TEXT   NOT NULL,
    width      BIGINT,
    height     BIGINT,
    created_at BIGINT NOT NULL
);

CREATE TABLE callbacks (
    row         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id          BYTEA  NOT NULL UNIQUE CHECK (length(id) = 16),
    received_at BIGINT NOT NULL,
    account     TEXT   COLLATE "C",
    job         BYTEA  CHECK (job IS NULL OR length(job) = 16),
    task        TEXT   COLLATE "C",
    verdict     BIGINT NOT NULL,
    detail      TEXT   NOT NULL,
    bytes       BIGINT NOT NULL,
    source      TEXT,
    -- What tells it from others; NULL for one that was refused.
    mark        BYTEA  CHECK (mark IS NULL OR length(mark) = 32)
);
CREATE UNIQUE INDEX callbacks_by_mark ON callbacks (mark) WHERE mark IS NOT NULL;
CREATE INDEX callbacks_heeded ON callbacks (row) WHERE mark IS NOT NULL;
CREATE INDEX callbacks_refused ON callbacks (row) WHERE mark IS NULL;
CREATE INDEX callbacks_by_job ON callbacks (job, id) WHERE job IS NOT NULL;

CREATE TABLE subscriptions (
    id            BYTEA  PRIMARY KEY CHECK (length(id) = 16),
    owner         TEXT   COLLATE "C" NOT NULL,
    url           TEXT   NOT NULL,
    events        TEXT   NOT NULL,
    since         BIGINT NOT NULL,
    created_at    BIGINT NOT NULL,
    disabled_at   BIGINT,
    disabled_why  BIGINT,
    generation    BIGINT NOT NULL,
    rotated_at    BIGINT NOT NULL,
    failing_since BIGINT,
    paused_until  BIGINT
);

CREATE TABLE deliveries (
    row          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id           BYTEA  NOT NULL UNIQUE CHECK (length(id) = 16),
    owner        TEXT   COLLATE "C" NOT NULL,
    -- NULL for one to an address that its job named.
    subscription BYTEA  REFERENCES subscriptions (id) ON DELETE CASCADE,
    -- What messages to the same receiver have in common.
    lane         TEXT   COLLATE "C" NOT NULL,
    job          BYTEA  CHECK (job IS NULL OR length(job) = 16),
    kind         TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    -- 0 waiting, 1 delivered, 2 dead; due then, or so since then.
    state        BIGINT NOT NULL CHECK (state BETWEEN 0 AND 2),
    state_at     BIGINT NOT NULL,
    why          BIGINT,
    attempts     BIGINT NOT NULL,
    -- The last try: a status, with the pause that was asked for, or why there was no answer.
    last_at      BIGINT,
    last_status  BIGINT,
    last_pause   BIGINT,
    last_error   TEXT,
    epoch        BIGINT NOT NULL DEFAULT 0,
    leased_until BIGINT,
    -- When it can be claimed; NULL where it is over.
    wake_at      BIGINT,
    address      TEXT,
    body         TEXT   NOT NULL
);
CREATE INDEX deliveries_by_owner ON deliveries (owner, id);
CREATE INDEX deliveries_by_subscription ON deliveries (subscription, id) WHERE subscription IS NOT NULL;
CREATE INDEX deliveries_by_job ON deliveries (job, id) WHERE job IS NOT NULL;
CREATE INDEX deliveries_by_wake ON deliveries (lane, wake_at, id) WHERE wake_at IS NOT NULL;
CREATE INDEX deliveries_on_their_way ON deliveries (lane, leased_until) WHERE leased_until IS NOT NULL;
CREATE INDEX deliveries_over ON deliveries (created_at) WHERE wake_at IS NULL;
