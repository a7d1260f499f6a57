-- Who may see a session beside its owner. A link is a share that is for nobody in particular.

CREATE TABLE share (
    id             TEXT PRIMARY KEY,       -- UUID
    owner          TEXT NOT NULL REFERENCES account (id),
    session        TEXT NOT NULL,          -- ses_…, in the owner's archive
    email          TEXT,                   -- whom it is for, normalised; NULL: whoever has the link
    grantee        TEXT REFERENCES account (id), -- NULL: a link, or it waits for its claim code
    lookup         BLOB NOT NULL,          -- the first 8 bytes of the hash
    hash           BLOB NOT NULL UNIQUE,   -- SHA-256 of the claim code, or of the link's token
    can_write      INTEGER NOT NULL DEFAULT 0,
    is_handoff     INTEGER NOT NULL DEFAULT 0,
    message        TEXT,
    created_at     INTEGER NOT NULL,       -- ms, as all that follow
    expires_at     INTEGER,
    accepted_at    INTEGER,                -- the grantee reads from then on, and not before
    dismissed_at   INTEGER,
    last_opened_at INTEGER,
    revoked_at     INTEGER
) STRICT;
CREATE UNIQUE INDEX share_by_address ON share (owner, session, email) WHERE email IS NOT NULL AND revoked_at IS NULL;
CREATE INDEX share_by_lookup ON share (lookup);
CREATE INDEX share_by_grantee ON share (grantee);

-- Devices that came into an owner's archive through a share: who brought them may go on writing as them, nobody else.
CREATE TABLE share_origin (
    owner   TEXT NOT NULL REFERENCES account (id),
    origin  TEXT NOT NULL,
    grantee TEXT NOT NULL REFERENCES account (id),
    PRIMARY KEY (owner, origin)
) STRICT, WITHOUT ROWID;
