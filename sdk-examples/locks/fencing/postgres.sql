-- Writes guarded by fencing tokens, for PostgreSQL 9.5 or newer. README.md beside it shows a write.

-- For each lock, the highest fencing token that has written.
CREATE TABLE IF NOT EXISTS fence (
    lock  text PRIMARY KEY,
    token bigint NOT NULL
);

-- fence(LOCK, TOKEN) is the first statement of each transaction that writes under a lock. It fails if a higher token
-- has written, and keeps other holders out until the transaction ends.
--
-- In READ COMMITTED, the default, a second transaction waits here for the row of the first, and then looks at the row
-- as the first has left it. In stricter levels it fails instead (SQLSTATE 40001), and has to be run again.
CREATE OR REPLACE FUNCTION fence(the_lock text, the_token bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO fence AS f (lock, token) VALUES (the_lock, the_token)
        ON CONFLICT (lock) DO UPDATE SET token = excluded.token
        WHERE f.token <= excluded.token;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'fencing token % of % is stale', the_token, the_lock;
    END IF;
END
$$;
