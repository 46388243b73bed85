package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/octostore/octostore/core/files"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/content"
	"github.com/octostore/octostore/core/store/sqlite/internal/conn"
	"github.com/octostore/octostore/core/store/sqlite/internal/host"
	"github.com/octostore/octostore/core/store/sqlite/internal/rows"
)

// Read reads a whole database on which no server runs, and lets none start meanwhile; see
// [content.Reader]. It changes nothing. Every lease may run for all the time it ever had, for
// the clocks of this machine may say nothing where it goes on.
//
// Errors: [ErrInUse], those of [Inspect], and one for a database that an older version wrote.
func Read(ctx context.Context, path string, begin func(content.Table) (each func(lock.Segment) error, err error)) error {
	path, err := host.Resolve(path)
	if err != nil {
		return err
	}
	if _, err := os.Stat(path); err != nil {
		return err
	}
	held, err := host.TakeSideLock(path)
	if err != nil {
		return fmt.Errorf("read database %s: %w", path, err)
	}
	defer held.Abandon()
	if err := read(ctx, path, begin); err != nil {
		return fmt.Errorf("read database %s: %w", path, rows.AsDamage(err))
	}
	return nil
}

func read(ctx context.Context, path string, begin func(content.Table) (func(lock.Segment) error, error)) error {
	if err := checkWAL(path); err != nil {
		return err
	}
	d, err := rows.Open(path, conn.ReadOnly)
	if err != nil {
		return err
	}
	defer d.Close()
	var t content.Table
	_, err = inspectWith(ctx, d, func(in Inspection) error {
		version, err := d.Version()
		if err != nil {
			return err
		}
		if version < rows.NewestVersion() {
			return errors.New("an older version wrote it; start a server of this version on it once")
		}
		t.Head, t.Cut, t.Leases = in.Head, in.Cut, in.Leases
		if err := readWhole(ctx, d, &t); err != nil {
			return err
		}
		each, err := begin(t)
		if err != nil || each == nil {
			return err
		}
		return d.EachSegment(ctx, t.Cut.Seq, each)
	})
	return err
}

// readWhole reads what an inspection leaves out.
func readWhole(ctx context.Context, d *rows.DB, t *content.Table) (err error) {
	if t.Secret, err = d.Meta("secret"); err != nil {
		return err
	}
	if t.Key, err = d.SigningKey(); err != nil {
		return err
	}
	if t.Tokens, err = d.ReadTokens(ctx); err != nil {
		return err
	}
	if t.Cursors, err = d.ReadObserverCursors(); err != nil {
		return err
	}
	t.Bytes, err = d.SegmentBytes()
	return err
}

// Import fills a database that does not exist yet; see [content.Writer]. It has its name only
// once it is whole.
type Import struct {
	path  string
	lock  *host.SideLock
	draft *files.Draft
	w     *rows.Writer
	table content.Table
	now   host.Instant

	pending, bytes int // in the open transaction
	done           bool
}

var _ content.Writer = (*Import)(nil)

// NewImport begins a database at path with the content of a table. Errors: [fs.ErrExist],
// [ErrInUse], and those of the file system.
func NewImport(ctx context.Context, path string, t content.Table) (*Import, error) {
	if err := host.Supported(); err != nil {
		return nil, err
	}
	path, err := host.Resolve(path)
	if err != nil {
		return nil, err
	}
	held, err := host.TakeSideLock(path)
	if err != nil {
		return nil, err
	}
	im := &Import{path: path, lock: held, table: t}
	if err := im.begin(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("make database %s: %w", path, err), im.Abort())
	}
	return im, nil
}

func (im *Import) begin(ctx context.Context) (err error) {
	for _, name := range []string{im.path, im.path + "-wal"} {
		if _, err := os.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
			return &fs.PathError{Op: "create", Path: name, Err: fs.ErrExist}
		}
	}
	if im.draft, err = files.NewDraft(im.path); err != nil {
		return err
	}
	if im.w, err = rows.OpenWriter(ctx, im.draft.Name(), defaultWAL); err != nil {
		return err
	}
	clocks := host.Clocks{}.OrSystem()
	im.now = clocks.Read()
	return im.w.Adopt(im.table.Secret, im.table.Key, clocks.Boot())
}

// Bounds of one transaction of an import.
const (
	importSegments = 10_000
	importBytes    = 32 << 20
)

// Add adds the next segment.
func (im *Import) Add(_ context.Context, g lock.Segment) error {
	if im.pending == 0 {
		if err := im.w.Begin.Run(); err != nil {
			return err
		}
	}
	if err := im.w.AddSegment(&g); err != nil {
		return err
	}
	im.pending, im.bytes = im.pending+1, im.bytes+len(g.Bytes)
	if im.pending >= importSegments || im.bytes >= importBytes {
		return im.flush()
	}
	return nil
}

// flush commits the open transaction, and moves it into the file.
func (im *Import) flush() error {
	if im.pending == 0 {
		return nil
	}
	im.pending, im.bytes = 0, 0
	if err := im.w.Exec("COMMIT"); err != nil {
		return err
	}
	return im.w.Checkpoint(conn.Restart)
}

// Begin says up to where the journal was pruned.
func (im *Import) Begin(_ context.Context, cut lock.Head) error {
	if cut == (lock.Head{}) {
		return nil
	}
	return im.w.SetCut(cut)
}

// Finish writes everything but the segments, and gives the database its name.
func (im *Import) Finish(context.Context) error {
	if err := im.finish(); err != nil {
		return fmt.Errorf("make database %s: %w", im.path, err)
	}
	return nil
}

func (im *Import) finish() error {
	if err := im.flush(); err != nil {
		return err
	}
	if err := im.w.Transaction(im.addRest); err != nil {
		return err
	}
	err := im.w.Close() // which moves the log into the file
	im.w = nil
	if err != nil {
		return err
	}
	if err := im.draft.Create(); err != nil { // never over another file
		return err
	}
	im.done = true
	return host.SyncDir(im.path)
}

func (im *Import) addRest() error {
	for i := range im.table.Leases {
		if err := im.w.AddLease(&im.table.Leases[i], im.now); err != nil {
			return err
		}
	}
	for i := range im.table.Tokens {
		if err := im.w.PutToken(&im.table.Tokens[i]); err != nil {
			return err
		}
	}
	return im.w.SetObserverCursors(im.table.Cursors, nil)
}

// Abort removes what there is of a database that is not whole, and releases it.
func (im *Import) Abort() error {
	if im.w != nil {
		im.w.Close()
		im.w = nil
	}
	if im.draft != nil {
		for _, suffix := range []string{"-wal", "-shm"} {
			os.Remove(im.draft.Name() + suffix)
		}
		im.draft.Close()
	}
	if im.done {
		im.lock.Release()
		return nil
	}
	im.lock.Abandon()
	return nil
}
