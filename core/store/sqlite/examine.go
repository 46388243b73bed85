package sqlite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/sqlite/internal/conn"
	"github.com/octostore/octostore/core/store/sqlite/internal/host"
	"github.com/octostore/octostore/core/store/sqlite/internal/rows"
)

// Examine is [Inspect] that also checks the structure of the whole file, every index
// included. Before it reads the segments after the cut it passes on what the database
// says, and gets what is given each of them, or nil.
//
// It writes nothing, and leaves nothing beside the file, unless there is a write-ahead
// log that has to be read with it. While it reads, the log of a running server grows.
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

// openQuietly opens a database for reading. Where there is no log to be read with it
// SQLite is told that nobody changes the file, so that it makes no files of its own.
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

// Running reports whether a server has the database open, and which process it is as
// far as is known. It changes nothing.
func Running(path string) (who string, is bool, err error) { return host.Running(path) }

// Space returns how many bytes this process may still write to the file system of a
// folder; known is false where that cannot be told.
func Space(dir string) (free int64, known bool) { return host.FreeSpace(dir) }

// KnowsBoot reports whether the clock that counts from the boot can be read. Without it
// a restart of the server gives every lease its whole ttl again.
func KnowsBoot() bool { return host.Clocks{}.OrSystem().Boot() != "" }
