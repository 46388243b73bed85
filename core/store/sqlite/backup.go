package sqlite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/octostore/octostore/core/store/sqlite/internal/conn"
	"github.com/octostore/octostore/core/store/sqlite/internal/host"
	"github.com/octostore/octostore/core/store/sqlite/internal/rows"
)

// Backup writes a copy of the database at source to target, a file that must not exist yet,
// and checks the copy. A server may run on the source and go on committing: the copy is of
// one moment after the call. Meanwhile the WAL of the source cannot start over and grows
// with every commit.
//
// The copy is complete on its own, compact, readable by its owner only, and as secret as
// the original. Errors: [ErrNewer], [ErrForeign], and those of the file system. After an
// error there is no target.
func Backup(ctx context.Context, source, target string) error {
	if err := backup(ctx, source, target); err != nil {
		return fmt.Errorf("back up %s to %s: %w", source, target, err)
	}
	return nil
}

func backup(ctx context.Context, source, target string) error {
	from, err := host.Resolve(source)
	if err != nil {
		return err
	}
	to, err := host.Resolve(target)
	if err != nil {
		return err
	}
	if err := checkLog(from); err != nil {
		return err
	}
	d, err := rows.Open(from, conn.ReadOnly)
	if err != nil {
		return err
	}
	defer d.Close()
	d.BusyTimeout(rows.BusyTimeout)
	if err := rows.CheckOurs(d); err != nil {
		return err
	}
	f, err := os.OpenFile(to, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := fill(ctx, d, f, to); err != nil {
		os.Remove(to)
		return err
	}
	return nil
}

func fill(ctx context.Context, d *rows.DB, f *os.File, to string) error {
	if err := d.VacuumInto(ctx, to); err != nil {
		return err
	}
	if err := checkIntegrity(ctx, to); err != nil {
		return fmt.Errorf("check the copy: %w", err)
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return host.SyncDir(to)
}

func checkIntegrity(ctx context.Context, path string) error {
	c, err := conn.Open(path, conn.ReadOnly)
	if err != nil {
		return err
	}
	defer c.Close()
	defer c.InterruptedBy(ctx)()
	said, err := c.TextOf("PRAGMA integrity_check(1)")
	if err != nil {
		return cmp.Or(ctx.Err(), err)
	}
	if said != "ok" {
		return errors.New(said)
	}
	return ctx.Err()
}
