-- What the pictures of a job are filed under; the row is the job's. Terms are letters and digits with the signs named here,
-- between spaces: the whole text is indexed and none of it kept.
CREATE VIRTUAL TABLE library USING fts5 (
    terms,
    content = '', contentless_delete = 1, detail = none,
    tokenize = "ascii tokenchars ':=.-_'"
);
