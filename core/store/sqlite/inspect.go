package sqlite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/content"
	"github.com/octostore/octostore/core/store/sqlite/internal/conn"
	"github.com/octostore/octostore/core/store/sqlite/internal/host"
	"github.com/octostore/octostore/core/store/sqlite/internal/rows"
)

// Inspection is the content of a database at one moment.
type Inspection = content.Inspection

// Inspect reads a database without changing anything, whether a server runs on it or not,
// also one of an older schema. It calls each, if not nil, with all segments after the given
// event, in order; a segment is valid until each returns. All of it is of one moment.
//
// Errors: [ErrNewer], [ErrForeign], [ErrDamaged], and those of the file system and of each.
func Inspect(ctx context.Context, path string, after lock.Seq, each func(lock.Segment) error) (Inspection, error) {
	in, err := inspect(ctx, path, after, each)
	if err != nil {
		return Inspection{}, fmt.Errorf("read database %s: %w", path, rows.AsDamage(err))
	}
	return in, nil
}

func inspect(ctx context.Context, path string, after lock.Seq, each func(lock.Segment) error) (in Inspection, err error) {
	if path, err = host.Resolve(path); err != nil {
		return in, err
	}
	if err := checkLog(path); err != nil {
		return in, err
	}
	d, err := rows.Open(path, conn.ReadOnly)
	if err != nil {
		return in, err
	}
	defer d.Close()
	return inspectWith(ctx, d, func(Inspection) error {
		if each == nil {
			return nil
		}
		return d.EachSegment(ctx, after, each)
	})
}

// inspectWith reads the database and calls more in the same read transaction.
func inspectWith(ctx context.Context, d *rows.DB, more func(Inspection) error) (in Inspection, err error) {
	d.BusyTimeout(rows.BusyTimeout)
	if err := rows.CheckOurs(d); err != nil {
		return in, err
	}
	if err := d.Exec("BEGIN"); err != nil {
		return in, err
	}
	defer d.Exec("COMMIT")
	if err := d.ReadSecret(); err != nil {
		return in, err
	}
	version, err := d.Version()
	if err != nil {
		return in, err
	}
	if in.Head, err = d.ReadHead(version); err != nil {
		return in, err
	}
	if in.Cut, err = d.Cut(); err != nil {
		return in, err
	}
	if in.Leases, err = d.ReadLeases(ctx, host.Instant{}); err != nil {
		return in, err
	}
	if in.Tokens, in.Key, err = d.TokensAndKey(ctx, version); err != nil {
		return in, err
	}
	return in, more(in)
}

// Examine is [Inspect] that also checks the structure of the whole file with every index.
// It calls begin before it reads the segments after the cut; begin returns the function
// that gets them, or nil.
//
// It writes nothing, and leaves no new files, unless there is a write-ahead log to be read
// with the database. While it reads, the log of a running server grows.
func Examine(ctx context.Context, path string, begin func(Inspection) (each func(lock.Segment) error)) (Inspection, error) {
	in, err := examine(ctx, path, begin)
	if err != nil {
		return Inspection{}, fmt.Errorf("read database %s: %w", path, rows.AsDamage(err))
	}
	return in, nil
}

func examine(ctx context.Context, path string, begin func(Inspection) func(lock.Segment) error) (in Inspection, err error) {
	if path, err = host.Resolve(path); err != nil {
		return in, err
	}
	if err := checkLog(path); err != nil {
		return in, err
	}
	d, err := openQuietly(path)
	if err != nil {
		return in, err
	}
	defer d.Close()
	return inspectWith(ctx, d, func(in Inspection) error {
		if err := d.CheckStructure(ctx); err != nil {
			return err
		}
		if each := begin(in); each != nil {
			return d.EachSegment(ctx, in.Cut.Seq, each)
		}
		return nil
	})
}

// openQuietly opens a database for reading. Without a log to read it tells SQLite that the
// file does not change, so that SQLite creates no files of its own.
func openQuietly(path string) (*rows.DB, error) {
	if fi, err := os.Stat(path); err != nil || !fi.Mode().IsRegular() {
		return nil, cmp.Or(err, errors.New("it is not a file"))
	}
	if _, running, err := Running(path); err != nil || running || host.SizeOf(path+"-wal") > 0 {
		return rows.Open(path, conn.ReadOnly)
	}
	name := url.URL{Scheme: "file", Path: path, RawQuery: "immutable=1"}
	return rows.Open(name.String(), conn.ReadOnly|conn.URI)
}
