-- Writes guarded by fencing tokens, for SQLite 3.24 or newer. README.md beside it shows a write.

-- For each lock, the highest fencing token that has written.
CREATE TABLE IF NOT EXISTS fence (
    lock  TEXT PRIMARY KEY NOT NULL,
    token INTEGER NOT NULL CHECK (typeof(token) = 'integer')
);

-- This is the first statement of each transaction that writes under a lock:
--
--     INSERT INTO fence VALUES (LOCK, TOKEN) ON CONFLICT (lock) DO UPDATE SET token = excluded.token;
--
-- It fails if a higher token has written. SQLite has one writer at a time, so nobody else writes until the transaction
-- ends; and as the transaction begins with a write, it has read nothing that could be old by then.
CREATE TRIGGER IF NOT EXISTS fence_refuses_stale_tokens BEFORE UPDATE ON fence WHEN new.token < old.token
BEGIN
    SELECT RAISE(ABORT, 'the fencing token is stale');
END;
