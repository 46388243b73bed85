package rows

import (
	"crypto/rand"
	"fmt"

	"github.com/octostore/octostore/core/store/sqlite/internal/dbfile"
)

// migrations lead from each PRAGMA user_version to the next. A released one never changes;
// a new one goes to the end.
//
// All times are integers: nanoseconds since 1970 for the wall clock, nanoseconds since the
// boot for CLOCK_BOOTTIME.
var migrations = []string{
	`-- The journal. A segment is the batch of one commit; first and last are the
	-- sequence numbers of its events, bytes their lines.
	CREATE TABLE segments (
		first INTEGER PRIMARY KEY,
		last  INTEGER NOT NULL,
		count INTEGER NOT NULL,
		time  INTEGER NOT NULL,
		bytes BLOB    NOT NULL,
		sum   INTEGER NOT NULL  -- of all the rest
	) STRICT;

	-- What is held, and what it takes to go on after a restart.
	CREATE TABLE leases (
		name      TEXT PRIMARY KEY,
		token     INTEGER NOT NULL,
		account   TEXT    NOT NULL,
		holder    TEXT    NOT NULL,
		reason    TEXT    NOT NULL,
		metadata  TEXT,             -- a JSON object
		ttl       INTEGER NOT NULL,
		granted   INTEGER NOT NULL,
		remaining INTEGER NOT NULL, -- when the row was written
		wall_end  INTEGER NOT NULL,
		boot_end  INTEGER NOT NULL, -- of the boot that meta names
		attempt   BLOB,             -- key and parameters, 32 + 16 bytes
		sum       INTEGER NOT NULL  -- of all but the two ends
	) WITHOUT ROWID, STRICT;

	-- secret: what lease ids are derived from, and checksums begin with.
	-- boot_id: the boot that boot_end of every lease is of.
	CREATE TABLE meta (
		key   TEXT PRIMARY KEY,
		value ANY NOT NULL
	) WITHOUT ROWID, STRICT;`,
	`-- Many segments have one event; then span takes no space, which last did.
	ALTER TABLE segments RENAME COLUMN last TO span; -- last - first
	UPDATE segments SET span = span - first, sum = iif(sum < 1 << 31, sum, sum - (1 << 32)); -- signed is shorter

	-- meta also has:
	-- signing_key: what checkpoints and exports are signed with.
	-- cut: up to where segments have been pruned; not there before the first time.`,
	`-- How far those who observe the journal have come.
	CREATE TABLE observers (
		name   TEXT PRIMARY KEY,
		after  INTEGER NOT NULL, -- everything up to this event is done
		parked INTEGER NOT NULL, -- how many events were given up
		sum    INTEGER NOT NULL
	) WITHOUT ROWID, STRICT;`,
	`-- Tokens. Those that were revoked stay: that there was one keeps the door closed.
	CREATE TABLE tokens (
		id      TEXT PRIMARY KEY,
		hash    BLOB    NOT NULL UNIQUE, -- SHA-256 of the secret
		name    TEXT    NOT NULL,
		account TEXT    NOT NULL,
		scopes  TEXT    NOT NULL,
		created INTEGER NOT NULL,
		expires INTEGER NOT NULL, -- this and the next two are 0 for never
		used    INTEGER NOT NULL,
		revoked INTEGER NOT NULL,
		sum     INTEGER NOT NULL  -- of all but used
	) WITHOUT ROWID, STRICT;`,
	`-- Wider names and unconfirmed leases. Names of up to 512 bytes, with more characters
	-- than before, need no other column; but an older program would refuse them or cut them
	-- short, and would run an unconfirmed lease for its whole ttl, so it must refuse the file.
	ALTER TABLE leases ADD COLUMN confirm INTEGER NOT NULL DEFAULT 0; -- how long the lease was granted for; 0: it is confirmed`,
	`-- What a login said an account is a member of, for policies: each followed by a line feed;
	-- empty: it is not known.
	ALTER TABLE tokens ADD COLUMN member_of TEXT NOT NULL DEFAULT '';`,
}

// A database that is only read is not migrated, so its readers ask for the version. These
// are the first versions with what they name.
const (
	keyVersion     = 2 // the signing key, and the column span of segments
	tokensVersion  = 4
	ConfirmVersion = 5 // the column confirm of leases
	groupsVersion  = 6 // the column member_of of tokens
)

// migrate brings the schema of a new or older file up to date, in one transaction. The file
// has passed checkOrigin and checkVersion.
func migrate(d *DB) error {
	version, err := d.Version()
	if err != nil {
		return err
	}
	if int(version) == len(migrations) {
		return nil
	}
	return d.Transaction(func() error {
		for v := int(version); v < len(migrations); v++ {
			if err := step(d, v); err != nil {
				return fmt.Errorf("migrate the schema to version %d: %w", v+1, err)
			}
		}
		return nil
	})
}

// NewestVersion is the version of the schema that this program writes.
func NewestVersion() int64 { return int64(len(migrations)) }

// Version returns the version of the schema.
func (d *DB) Version() (int64, error) { return d.IntOf("PRAGMA user_version") }

// checkVersion refuses a file that a newer program has migrated.
func checkVersion(d *DB) error {
	version, err := d.Version()
	if err != nil {
		return err
	}
	if version < 0 {
		return Damaged("its schema has version %d", version)
	}
	if version > int64(len(migrations)) {
		return fmt.Errorf("%w: its schema has version %d, this program knows versions up to %d", ErrNewer, version, len(migrations))
	}
	return nil
}

// checkOrigin refuses a database of another program.
func checkOrigin(d *DB) error {
	id, err := d.IntOf("PRAGMA application_id")
	if err != nil {
		return err
	}
	objects, err := d.IntOf("SELECT count(*) FROM sqlite_schema")
	if err != nil {
		return err
	}
	fresh := id == 0 && objects == 0
	if id != dbfile.ApplicationID && !fresh {
		return ErrForeign
	}
	return nil
}

func step(d *DB, version int) error {
	if err := d.Exec(migrations[version]); err != nil {
		return err
	}
	made := map[int]func(*DB) error{0: identify, 1: makeKey}
	if fill := made[version]; fill != nil {
		if err := fill(d); err != nil {
			return err
		}
	}
	return d.Exec(fmt.Sprintf("PRAGMA user_version = %d", version+1))
}

// identify creates the secret and the mark of a new database.
func identify(d *DB) error {
	secret := make([]byte, 32)
	rand.Read(secret)
	if err := d.setMeta("secret", secret); err != nil {
		return err
	}
	return d.Exec(fmt.Sprintf("PRAGMA application_id = %d", dbfile.ApplicationID))
}

// CheckOurs refuses a database of another program, or of a newer version of this one: its
// copy would look like a backup and be none.
func CheckOurs(d *DB) error {
	id, err := d.IntOf("PRAGMA application_id")
	if err != nil {
		return err
	}
	if id != dbfile.ApplicationID {
		return ErrForeign
	}
	return checkVersion(d)
}
