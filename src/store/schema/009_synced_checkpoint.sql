-- A checkpoint is a register too (`checkpoint:<id>`), so that devices exchange it; this table is its readable form. What a
-- position holds of a stream is named with the device that writes it: names as shown change with what devices do.
ALTER TABLE checkpoint ADD COLUMN field TEXT NOT NULL DEFAULT '';
UPDATE checkpoint SET
    field = 'checkpoint:' || lower(hex(randomblob(16))),
    streams = (
        SELECT json_group_array(json_object('name', e.value ->> 'name', 'generation', e.value ->> 'generation',
                                            'length', e.value ->> 'length', 'origin', o.name))
          FROM json_each(checkpoint.streams) e
          LEFT JOIN stream s ON s.session = checkpoint.session AND coalesce(s.shown, s.name) = e.value ->> 'name'
                            AND s.generation = e.value ->> 'generation'
          LEFT JOIN origin o ON o.id = s.origin);
UPDATE change SET number = number + 1 WHERE EXISTS (SELECT 1 FROM checkpoint);
INSERT INTO register (session, field, value, counter, device, changed)
    SELECT session, field,
           json_object('name', name, 'leaf', leaf, 'streams', json(streams), 'created_at', created_at), 1,
           coalesce((SELECT name FROM origin ORDER BY id LIMIT 1), ''), (SELECT number FROM change)
      FROM checkpoint;

-- What a server of the first contract (SessionFS 0.1) has of a session: it keeps one archive of each, and replaces it.
CREATE TABLE copy (
    remote  INTEGER NOT NULL REFERENCES remote (id) ON DELETE CASCADE,
    id      TEXT NOT NULL,                   -- ses_… there; a session may have several copies
    session INTEGER NOT NULL REFERENCES session (id) ON DELETE CASCADE,
    seen    TEXT NOT NULL,                   -- the ETag of the archive that was taken in, or sent, last
    sent    BLOB,                            -- Store::etag of ours when the archive there was made of it; NULL: it was not
    PRIMARY KEY (remote, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX copy_by_session ON copy (session);
