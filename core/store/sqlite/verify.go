package sqlite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	sqlite3 "modernc.org/sqlite/lib"
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
	if failedWith(err, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR) && !errors.Is(err, ErrDamaged) {
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
func (w *writer) verify(ctx context.Context, path string) error {
	defer w.interruptedBy(ctx)()
	checks := []string{"PRAGMA quick_check(1)"}
	if sizeOf(path) > checkAllBelow {
		checks = []string{"PRAGMA quick_check(leases)", "PRAGMA quick_check(meta)", "PRAGMA quick_check(observers)", "PRAGMA quick_check(tokens)"}
	}
	for _, check := range checks {
		said, err := w.textOf(check)
		if err != nil {
			return cmp.Or(ctx.Err(), err)
		}
		if said != "ok" {
			return damaged("%s", strings.TrimPrefix(said, "*** in database main ***\n"))
		}
	}
	if w.readOnly() { // known once the header has been read
		return damaged("its header says that it cannot be written to")
	}
	if _, err := w.readHead(newestVersion()); err != nil {
		return cmp.Or(ctx.Err(), err)
	}
	if _, err := w.signingKey(); err != nil {
		return err
	}
	if _, err := w.cut(); err != nil {
		return err
	}
	if _, err := w.readTokens(ctx); err != nil {
		return cmp.Or(ctx.Err(), err)
	}
	if _, err := w.readPlaces(); err != nil {
		return err
	}
	_, err := w.readLeases(ctx, instant{})
	return cmp.Or(ctx.Err(), err)
}

// readSums gets ready to check and make the checksums of this database.
func (w *writer) readSums() error {
	secret, err := w.meta("secret")
	if err != nil {
		return err
	}
	if len(secret) != 32 {
		return damaged("the secret has %d bytes, not 32", len(secret))
	}
	w.sums = newSums(secret)
	return nil
}
