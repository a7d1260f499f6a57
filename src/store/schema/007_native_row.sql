-- Where capture stands with a tool whose sessions are rows of a database: the newest archived version of each row.
CREATE TABLE native_row (
    stream  INTEGER NOT NULL,
    key     INTEGER NOT NULL,                -- 64 bits of a hash over the row's key
    rowid   INTEGER NOT NULL,                -- in the tool's database
    content INTEGER NOT NULL,                -- 64 bits of a hash over what was archived of it
    place   INTEGER NOT NULL,                -- its line's first byte in the stream
    open    INTEGER NOT NULL,                -- 1: to be looked at again although the row did not change
    PRIMARY KEY (stream, key)
) STRICT, WITHOUT ROWID;
