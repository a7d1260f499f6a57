-- Derived: where several devices have a stream of this name, one of them is shown under it, the others as `name@device`
-- with what follows the bytes that they share with it (capture/branches.rs).
ALTER TABLE stream ADD COLUMN shown TEXT;
ALTER TABLE stream ADD COLUMN shared INTEGER NOT NULL DEFAULT 0;
