-- What upstreams posted, and what came of it. Numbers for the verdict: its place in `Verdict::ALL`.
CREATE TABLE callbacks (
    row         INTEGER PRIMARY KEY,
    id          BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
    received_at INTEGER NOT NULL,
    account     TEXT,
    job         BLOB             CHECK (job IS NULL OR length(job) = 16),
    task        TEXT,
    verdict     INTEGER NOT NULL,
    detail      TEXT    NOT NULL,
    bytes       INTEGER NOT NULL,
    source      TEXT,
    -- What tells it from others; NULL for one that was refused.
    mark        BLOB             CHECK (mark IS NULL OR length(mark) = 32)
) STRICT;
CREATE UNIQUE INDEX callbacks_by_mark ON callbacks (mark) WHERE mark IS NOT NULL;
CREATE INDEX callbacks_heeded ON callbacks (row) WHERE mark IS NOT NULL;
CREATE INDEX callbacks_refused ON callbacks (row) WHERE mark IS NULL;
CREATE INDEX callbacks_by_job ON callbacks (job, id) WHERE job IS NOT NULL;
