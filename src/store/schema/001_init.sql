-- Three classes of data, never mixed.
--   streams:  exact bytes of what tools wrote (session, stream, chunk, pack, tail, stream_chunk)
--   primary:  what only we know (session's own columns, tag, setting, native_file)
--   derived:  dropped and rebuilt from the streams at will (summary, message, message_text, usage, note, reader)

CREATE TABLE origin (
    id      INTEGER PRIMARY KEY,
    name    TEXT NOT NULL UNIQUE,      -- minted once, random
    machine TEXT NOT NULL              -- hash of the machine's id: a cloned database mints a new origin
) STRICT;

CREATE TABLE session (
    id         INTEGER PRIMARY KEY,
    account    INTEGER NOT NULL DEFAULT 0,   -- 0 is the local archive
    public_id  TEXT NOT NULL,                -- ses_…
    tool       TEXT NOT NULL,
    native_id  TEXT NOT NULL,
    title      TEXT,                         -- given by a person, here
    deleted_at INTEGER,                      -- ms; hidden, not gone
    parent     TEXT,                         -- public id of the session this one continues
    relation   TEXT,                         -- 'resume' | 'fork'
    inherited  INTEGER NOT NULL DEFAULT 0,   -- bytes at the start of `main` that we wrote into the tool ourselves
    UNIQUE (account, public_id)
) STRICT;

CREATE TABLE tag (
    session INTEGER NOT NULL REFERENCES session (id) ON DELETE CASCADE,
    tag     TEXT NOT NULL,
    PRIMARY KEY (session, tag)
) STRICT, WITHOUT ROWID;

CREATE TABLE stream (
    id          INTEGER PRIMARY KEY,
    session     INTEGER NOT NULL REFERENCES session (id),
    origin      INTEGER NOT NULL REFERENCES origin (id),
    name        TEXT NOT NULL,               -- main, subagents/…, facts
    generation  INTEGER NOT NULL,            -- counts rewrites of the native file
    format      TEXT NOT NULL,
    native_path TEXT,                        -- relative to the tool's folder
    length      INTEGER NOT NULL DEFAULT 0,
    cut         INTEGER NOT NULL DEFAULT 0,  -- so many of them are in chunks, the rest is the tail
    chain       BLOB NOT NULL DEFAULT x'',   -- SHA-256(chain before, chunk's hash), one link a chunk
    tail_hash   BLOB NOT NULL DEFAULT x'',   -- SHA-256 of the tail's bytes
    UNIQUE (session, name, origin, generation)
) STRICT;

-- Chunks lie together in packs, so that zstd sees what repeats between them.
CREATE TABLE pack (
    id         INTEGER PRIMARY KEY,
    raw_length INTEGER NOT NULL,
    data       BLOB NOT NULL                 -- one zstd frame
) STRICT;

CREATE TABLE chunk (
    id     INTEGER PRIMARY KEY,
    hash   BLOB NOT NULL UNIQUE,             -- SHA-256 of the bytes
    length INTEGER NOT NULL,
    pack   INTEGER NOT NULL,
    start  INTEGER NOT NULL                  -- in the pack's raw bytes
) STRICT;

CREATE TABLE stream_chunk (
    stream INTEGER NOT NULL REFERENCES stream (id),
    start  INTEGER NOT NULL,
    chunk  INTEGER NOT NULL REFERENCES chunk (id),
    PRIMARY KEY (stream, start)
) STRICT, WITHOUT ROWID;

CREATE TABLE tail (
    id         INTEGER PRIMARY KEY,
    stream     INTEGER NOT NULL REFERENCES stream (id),
    start      INTEGER NOT NULL,
    raw_length INTEGER NOT NULL,
    data       BLOB NOT NULL                 -- zstd frame where raw_length differs from its length, else the bytes
) STRICT;
CREATE INDEX tail_by_stream ON tail (stream, start);

-- Where capture stands with each native file.
CREATE TABLE native_file (
    id          INTEGER PRIMARY KEY,
    tool        TEXT NOT NULL,
    path        TEXT NOT NULL UNIQUE,        -- absolute
    stream      INTEGER,                     -- no REFERENCES: an update of such a column is a savepoint, see store/mod.rs
    size        INTEGER NOT NULL,
    mtime_ns    INTEGER NOT NULL,
    inode       INTEGER NOT NULL,
    head        BLOB NOT NULL,               -- SHA-256 of the first bytes (4 KiB or fewer)
    captured_at INTEGER NOT NULL,            -- ms
    gone_at     INTEGER,                     -- ms; the tool deleted it, we have it
    error       TEXT
) STRICT;
CREATE INDEX native_file_by_stream ON native_file (stream);

CREATE TABLE setting (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL                      -- JSON
) STRICT, WITHOUT ROWID;

-- Derived from here on.

CREATE TABLE summary (
    session             INTEGER PRIMARY KEY REFERENCES session (id),
    tool_title          TEXT,
    tool_title_rank     INTEGER NOT NULL DEFAULT 0,
    prompt_title        TEXT,
    project             TEXT,
    model               TEXT,
    tool_version        TEXT,
    interface           TEXT,
    git_branch          TEXT,
    git_commit          TEXT,
    git_remote          TEXT,
    forked_from         TEXT,                -- native id
    created_at          INTEGER,             -- ms
    updated_at          INTEGER,             -- ms
    message_count       INTEGER NOT NULL DEFAULT 0,
    turn_count          INTEGER NOT NULL DEFAULT 0,
    tool_call_count     INTEGER NOT NULL DEFAULT 0,
    input_tokens        INTEGER NOT NULL DEFAULT 0,
    output_tokens       INTEGER NOT NULL DEFAULT 0,
    cache_read_tokens   INTEGER NOT NULL DEFAULT 0,
    cache_write_tokens  INTEGER NOT NULL DEFAULT 0,
    cost_usd            REAL NOT NULL DEFAULT 0,
    unpriced_replies    INTEGER NOT NULL DEFAULT 0  -- replies of models without a known price
) STRICT;
CREATE INDEX summary_by_update ON summary (updated_at);

-- Where each message stands; its content is read from the stream.
CREATE TABLE message (
    id      INTEGER PRIMARY KEY,             -- also the row in message_text
    session INTEGER NOT NULL,
    stream  INTEGER NOT NULL,
    start   INTEGER NOT NULL,                -- the line's first byte
    length  INTEGER NOT NULL,
    line    INTEGER NOT NULL,
    part    INTEGER NOT NULL,                -- a line can hold several messages
    role    INTEGER NOT NULL,
    flags   INTEGER NOT NULL,
    at      INTEGER                          -- ms
) STRICT;
CREATE INDEX message_by_session ON message (session);

CREATE VIRTUAL TABLE message_text USING fts5 (text, content = '', contentless_delete = 1);
-- What a transaction adds to the full-text index is sorted in memory up to so many bytes: fewer, larger pieces to merge.
INSERT INTO message_text (message_text, rank) VALUES ('hashsize', 16777216);

CREATE TABLE usage (
    key                INTEGER PRIMARY KEY,  -- 64 bits of a hash over account and the reply's key
    session            INTEGER NOT NULL,
    at                 INTEGER,
    model              TEXT,
    input_tokens       INTEGER NOT NULL,
    output_tokens      INTEGER NOT NULL,
    cache_read_tokens  INTEGER NOT NULL,
    cache_write_tokens INTEGER NOT NULL
) STRICT;

CREATE TABLE note (
    stream INTEGER NOT NULL,
    line   INTEGER NOT NULL,
    reason TEXT NOT NULL
) STRICT;
CREATE INDEX note_by_stream ON note (stream);

CREATE TABLE reader (
    stream  INTEGER PRIMARY KEY,
    read_to INTEGER NOT NULL,                -- the first byte not yet read
    line    INTEGER NOT NULL,                -- its line number
    skip    INTEGER NOT NULL,                -- 1 inside a line that is too long to be read
    state   TEXT                             -- what the tool's reader wants back
) STRICT;
