package rows

import (
	"cmp"
	"context"
	"strings"

	"github.com/octostore/octostore/core/store/sqlite/internal/host"
)

// checkAllBelow is the size up to which the structure of the whole file is checked
// at each start. It takes about as long as reading the file does; of a larger one
// only what decides about locks is checked.
const checkAllBelow = 32 << 20

// verify looks for damage before anything is written or served: in the structure of
// the file, in each lease and token, in what the journal is signed with, and in the newest segment,
// which it goes on from.
// Older segments are checked when they are read.
func (d *DB) verify(ctx context.Context, size int64) error {
	defer d.InterruptedBy(ctx)()
	checks := []string{"PRAGMA quick_check(1)"}
	if size > checkAllBelow {
		checks = []string{"PRAGMA quick_check(leases)", "PRAGMA quick_check(meta)", "PRAGMA quick_check(observers)", "PRAGMA quick_check(tokens)"}
	}
	for _, check := range checks {
		said, err := d.TextOf(check)
		if err != nil {
			return cmp.Or(ctx.Err(), err)
		}
		if said != "ok" {
			return Damaged("%s", strings.TrimPrefix(said, "*** in database main ***\n"))
		}
	}
	if d.ReadOnly() { // known once the header has been read
		return Damaged("its header says that it cannot be written to")
	}
	if _, err := d.ReadHead(NewestVersion()); err != nil {
		return cmp.Or(ctx.Err(), err)
	}
	if _, err := d.SigningKey(); err != nil {
		return err
	}
	if _, err := d.Cut(); err != nil {
		return err
	}
	if _, err := d.ReadTokens(ctx); err != nil {
		return cmp.Or(ctx.Err(), err)
	}
	if _, err := d.ReadObserverCursors(); err != nil {
		return err
	}
	_, err := d.ReadLeases(ctx, host.Instant{})
	return cmp.Or(ctx.Err(), err)
}

func (d *DB) CheckStructure(ctx context.Context) error {
	defer d.InterruptedBy(ctx)()
	said, err := d.TextOf("PRAGMA integrity_check(1)")
	if err != nil {
		return cmp.Or(ctx.Err(), err)
	}
	if said != "ok" {
		return Damaged("%s", strings.TrimPrefix(said, "*** in database main ***\n"))
	}
	return nil
}

func (d *DB) VacuumInto(ctx context.Context, path string) error {
	q, err := d.Prepare("VACUUM INTO ?1")
	if err != nil {
		return err
	}
	defer q.Close()
	q.Reserve(len(path))
	q.BindText(1, path)
	defer d.InterruptedBy(ctx)()
	if err := q.Run(); err != nil {
		return cmp.Or(ctx.Err(), err)
	}
	return ctx.Err()
}
