-- A session imported from a .sfs folder keeps the id that it has there, so the id no longer tells tool and native id.
CREATE INDEX session_by_native ON session (account, tool, native_id);
