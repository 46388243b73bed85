package sqlite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/octostore/octostore/core/files"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/sleep"
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
// the original. It appears as target once it is complete. Progress, if not nil, is told
// several times a second how many bytes are written, and of how many, about; by one
// goroutine at a time.
//
// Errors: [ErrNewer], [ErrForeign], [lock.ErrFull], also if a server on the same disk would be
// left with less than 64 MiB, and those of the file system. After an
// error there is no target.
func Backup(ctx context.Context, source, target string, progress func(done, total int64)) error {
	if err := backup(ctx, source, target, progress); err != nil {
		return fmt.Errorf("back up %s to %s: %w", source, target, err)
	}
	return nil
}

func backup(ctx context.Context, source, target string, progress func(done, total int64)) error {
	to, err := host.Resolve(target)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(to); err == nil {
		return &fs.PathError{Op: "create", Path: to, Err: fs.ErrExist}
	}
	draft, err := files.NewDraft(to)
	if err != nil {
		return err
	}
	defer draft.Close()
	if err := fill(ctx, source, openLive, draft.Name(), progress); err != nil {
		return err
	}
	if err := draft.Create(); err != nil {
		return err
	}
	return host.SyncDir(to)
}

// BackupTo is [Backup] to a stream. The copy is made and checked beside the source first,
// in a file that is removed.
func BackupTo(ctx context.Context, source string, w io.Writer, progress func(done, total int64)) error {
	if err := backupTo(ctx, source, w, progress); err != nil {
		return fmt.Errorf("back up %s: %w", source, err)
	}
	return nil
}

func backupTo(ctx context.Context, source string, w io.Writer, progress func(done, total int64)) error {
	from, err := host.Resolve(source)
	if err != nil {
		return err
	}
	draft, err := files.NewDraft(from + "-backup")
	if err != nil {
		return err
	}
	defer draft.Close()
	if err := fill(ctx, source, openLive, draft.Name(), progress); err != nil {
		return err
	}
	f, _, err := files.Open(draft.Name())
	if err != nil {
		return err
	}
	defer f.Close()
	draft.Close() // a consumer may take its time, and this process may be killed meanwhile
	_, err = io.Copy(w, f)
	return err
}

// openLive opens a database for reading on which a server may run, or begin to.
func openLive(path string) (*rows.DB, error) { return rows.Open(path, conn.ReadOnly) }

// fill copies the database at source, opened with open, into the empty file to, and checks it.
func fill(ctx context.Context, source string, open func(string) (*rows.DB, error), to string, progress func(done, total int64)) error {
	from, err := host.Resolve(source)
	if err != nil {
		return err
	}
	if err := checkLog(from); err != nil {
		return err
	}
	d, err := open(from)
	if err != nil {
		return err
	}
	defer d.Close()
	d.BusyTimeout(rows.BusyTimeout)
	if err := rows.CheckOurs(d); err != nil {
		return err
	}
	total, err := d.Used()
	if err != nil {
		return err
	}
	if err := checkSpaceBeside(from, to, total); err != nil {
		return err
	}
	done := reportSize(ctx, to, total, progress)
	err = d.VacuumInto(ctx, to)
	done()
	if err != nil {
		return err
	}
	if err := checkIntegrity(ctx, to); err != nil {
		return fmt.Errorf("check the copy: %w", err)
	}
	return nil
}

// checkSpaceBeside returns [lock.ErrFull] if there is no space for a copy of this size at to, or
// if it would take that of a server that runs on the database from.
func checkSpaceBeside(from, to string, size int64) error {
	dir := filepath.Dir(to)
	free, known := host.FreeSpace(dir)
	if !known {
		return nil
	}
	if free < size {
		return fmt.Errorf("%w: the copy takes %d MiB, and %d MiB are free in %s", lock.ErrFull, size>>20, free>>20, dir)
	}
	if _, running, _ := Running(from); running && free < size+spareBefore && host.SameDisk(filepath.Dir(from), dir) {
		return fmt.Errorf("%w: beside the copy of %d MiB the server needs %d MiB, and %d MiB are free in %s",
			lock.ErrFull, size>>20, spareBefore>>20, free>>20, dir)
	}
	return nil
}

// reportSize reports the size of a file that grows, until done is called.
func reportSize(ctx context.Context, path string, total int64, progress func(done, total int64)) (done func()) {
	if progress == nil {
		return func() {}
	}
	const every = 100 * time.Millisecond
	ctx, cancel := context.WithCancel(ctx)
	var reporting sync.WaitGroup
	reporting.Go(func() {
		for sleep.For(ctx, every) == nil {
			progress(min(host.SizeOf(path), total), total)
		}
	})
	return func() {
		cancel()
		reporting.Wait()
		progress(min(host.SizeOf(path), total), total)
	}
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
