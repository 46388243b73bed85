package rows

import (
	"cmp"
	"context"
	"strings"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/sqlite/internal/host"
)

// checkAllBelow is the file size up to which each start checks the structure of the whole
// file. The check takes about as long as reading the file. Of a larger file a start checks
// only the tables that decide about locks.
const checkAllBelow = 32 << 20

// verify looks for damage before anything is written or served: in the structure of the
// file, in each lease and token, in the signing key, and in the newest segment, which the
// journal continues. Older segments are checked when they are read.
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
	if d.ReadOnly() { // SQLite knows after it has read the header
		return Damaged("its header marks it as read-only")
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
	err := d.eachLease(ctx, host.Instant{}, func(*lock.Loaded) {})
	return cmp.Or(ctx.Err(), err)
}

// CheckStructure checks the structure of the whole file, with every index.
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

// VacuumInto writes a compact copy of the database to path.
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
