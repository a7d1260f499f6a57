-- What a person says of a session: one register a thing said. Of two writes the one with the greater (counter, device)
-- wins, on every device alike. session.title, session.deleted_at and tag are their readable, indexed form.
CREATE TABLE register (
    session INTEGER NOT NULL REFERENCES session (id) ON DELETE CASCADE,
    field   TEXT NOT NULL,                   -- title, deleted_at, purged_at, tag:<tag>
    value   TEXT,                            -- NULL: taken back
    counter INTEGER NOT NULL,                -- Lamport: one more than any that the writer knew of this session
    device  TEXT NOT NULL,                   -- the name of the writer's origin
    PRIMARY KEY (session, field)
) STRICT, WITHOUT ROWID;

INSERT INTO register (session, field, value, counter, device)
    SELECT id, 'title', title, 1, coalesce((SELECT name FROM origin ORDER BY id LIMIT 1), '')
      FROM session WHERE title IS NOT NULL
    UNION ALL
    SELECT id, 'deleted_at', CAST(deleted_at AS TEXT), 1, coalesce((SELECT name FROM origin ORDER BY id LIMIT 1), '')
      FROM session WHERE deleted_at IS NOT NULL
    UNION ALL
    SELECT session, 'tag:' || tag, '', 1, coalesce((SELECT name FROM origin ORDER BY id LIMIT 1), '') FROM tag;

CREATE INDEX tag_by_tag ON tag (tag);

-- ms; its bytes were dropped here, for good. A fact of this archive: other devices that learn of it only hide the session.
ALTER TABLE session ADD COLUMN purged_at INTEGER;

-- Whose chunk is this, and what else lies in the pack: what a purge has to know.
CREATE INDEX stream_chunk_by_chunk ON stream_chunk (chunk);
CREATE INDEX chunk_by_pack ON chunk (pack, start);

-- What was done with sessions. Append-only.
CREATE TABLE audit (
    id      INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,                -- ms
    event   TEXT NOT NULL,
    session TEXT,                            -- public id; kept when the session goes
    detail  TEXT NOT NULL                    -- JSON object
) STRICT;
CREATE INDEX audit_by_session ON audit (session);
CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit BEGIN SELECT raise(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_is_never_cut BEFORE DELETE ON audit BEGIN SELECT raise(ABORT, 'the audit log is append-only'); END;
