package sqlite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/octostore/octostore/core/store/sqlite/internal/conn"
	"github.com/octostore/octostore/core/store/sqlite/internal/host"
)

// ErrDamaged says that a database is not as it was written: the disk, or somebody,
// changed it. Nothing in it should be relied on, so it is neither served nor written
// to.
var ErrDamaged = errors.New("the database is damaged; keep its files for a closer look and put a backup in their place")

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...))
}

// asDamage makes plain what the codes mean by which SQLite says the same. The plain
// SQLITE_ERROR is of a statement that does not fit the schema; ours fit ours.
func asDamage(err error) error {
	if conn.FailedWith(err, conn.CodeCorrupt, conn.CodeNotADB, conn.CodeError) && !errors.Is(err, ErrDamaged) {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return err
}

// checkAllBelow is the size up to which the structure of the whole file is checked
// at each start. It takes about as long as reading the file does; of a larger one
// only what decides about locks is checked.
const checkAllBelow = 32 << 20

// verify looks for damage before anything is written or served: in the structure of
// the file, in each lease and token, in what the journal is signed with, and in the newest segment,
// which it goes on from.
// Older segments are checked when they are read.
func (d *database) verify(ctx context.Context, path string) error {
	defer d.InterruptedBy(ctx)()
	checks := []string{"PRAGMA quick_check(1)"}
	if host.SizeOf(path) > checkAllBelow {
		checks = []string{"PRAGMA quick_check(leases)", "PRAGMA quick_check(meta)", "PRAGMA quick_check(observers)", "PRAGMA quick_check(tokens)"}
	}
	for _, check := range checks {
		said, err := d.TextOf(check)
		if err != nil {
			return cmp.Or(ctx.Err(), err)
		}
		if said != "ok" {
			return damaged("%s", strings.TrimPrefix(said, "*** in database main ***\n"))
		}
	}
	if d.ReadOnly() { // known once the header has been read
		return damaged("its header says that it cannot be written to")
	}
	if _, err := d.readHead(newestVersion()); err != nil {
		return cmp.Or(ctx.Err(), err)
	}
	if _, err := d.signingKey(); err != nil {
		return err
	}
	if _, err := d.cut(); err != nil {
		return err
	}
	if _, err := d.readTokens(ctx); err != nil {
		return cmp.Or(ctx.Err(), err)
	}
	if _, err := d.readPlaces(); err != nil {
		return err
	}
	_, err := d.readLeases(ctx, host.Instant{})
	return cmp.Or(ctx.Err(), err)
}

// readSums gets ready to check and make the checksums of this database.
func (d *database) readSums() error {
	secret, err := d.meta("secret")
	if err != nil {
		return err
	}
	if len(secret) != 32 {
		return damaged("the secret has %d bytes, not 32", len(secret))
	}
	d.sums = newSums(secret)
	return nil
}
