package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/octostore/octostore/core/files"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/sqlite/internal/conn"
	"github.com/octostore/octostore/core/store/sqlite/internal/host"
	"github.com/octostore/octostore/core/store/sqlite/internal/rows"
)

// Restoration puts a backup in the place of a database. No server can open the database
// meanwhile. One goroutine uses it: [Restoration.Copy], then [Restoration.Examine], then
// [Restoration.Replace].
//
// Until Replace the database is as it was, whatever happens. Replace exchanges the files in
// one step, so after a crash the database is the old one or the restored one.
type Restoration struct {
	path  string
	lock  *host.SideLock
	inode host.InodeLock
	draft *files.Draft
	done  bool
	step  func(name string) // tests crash here; nil: nothing
	swap  func(a, b string) error
}

// BeginRestore locks the database at path, which need not exist. Errors: [ErrInUse] while a
// server runs on it, and those of the file system.
func BeginRestore(path string) (*Restoration, error) {
	if err := host.Supported(); err != nil {
		return nil, err
	}
	path, err := host.Resolve(path)
	if err != nil {
		return nil, err
	}
	if err := host.MayWrite(filepath.Dir(path)); err != nil {
		return nil, &fs.PathError{Op: "write to", Path: filepath.Dir(path), Err: err}
	}
	held, err := host.TakeSideLock(path)
	if err != nil {
		return nil, err
	}
	r := &Restoration{path: path, lock: held, swap: host.Exchange}
	r.inode, err = host.TakeInodeLock(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		held.Abandon()
		return nil, err
	}
	return r, nil
}

// Path returns the path of the database, without symbolic links.
func (r *Restoration) Path() string { return r.path }

// Present inspects the database that is there. Errors: those of [Inspect];
// [fs.ErrNotExist] if there is none.
func (r *Restoration) Present(ctx context.Context) (Inspection, error) {
	if _, err := os.Lstat(r.path); err != nil {
		return Inspection{}, err
	}
	if err := checkWAL(r.path); err != nil { // Inspect takes the holder of the lock for a server
		return Inspection{}, err
	}
	return Inspect(ctx, r.path, 0, nil)
}

// Copy copies a backup to a draft beside the database, as [Backup] does. The folder of the
// backup may be one in which this process cannot write.
func (r *Restoration) Copy(ctx context.Context, backup string, progress func(done, total int64)) (err error) {
	if r.draft, err = files.NewDraft(r.path); err != nil {
		return err
	}
	if err := fill(ctx, backup, openQuietly, r.draft.Name(), progress); err != nil {
		return fmt.Errorf("copy %s: %w", backup, err)
	}
	return nil
}

// Examine examines the draft, see [Examine].
func (r *Restoration) Examine(ctx context.Context, begin func(Inspection) (each func(lock.Segment) error)) (Inspection, error) {
	return Examine(ctx, r.draft.Name(), begin)
}

// Inspect inspects the draft, see [Inspect].
func (r *Restoration) Inspect(ctx context.Context, after lock.Seq, each func(lock.Segment) error) (Inspection, error) {
	return Inspect(ctx, r.draft.Name(), after, each)
}

// Replace puts the draft in the place of the database, with its owner, readable by the owner
// only. The old database stays beside it under the name that it returns, with its
// write-ahead log; empty if there was none.
func (r *Restoration) Replace(at time.Time) (kept string, err error) {
	if err := r.prepare(); err != nil {
		return "", err
	}
	kept = r.path + ".replaced-" + at.UTC().Format("20060102T150405Z")
	if _, err := os.Lstat(kept); err == nil {
		return "", &fs.PathError{Op: "keep the old database as", Path: kept, Err: fs.ErrExist}
	}
	_, err = os.Lstat(r.path)
	there := err == nil
	if there && r.foldLog() != nil {
		// Of a damaged database the log stays with it, under the name that SQLite expects.
		if err := link(r.path+"-wal", kept+"-wal"); err != nil {
			return "", err
		}
		r.at("linked the log")
	}
	if there {
		err = r.exchange(kept)
	} else {
		kept = ""
		err = os.Rename(r.draft.Name(), r.path)
	}
	if err != nil {
		return "", err
	}
	r.done = true
	r.draft.Close() // its name is gone
	r.at("replaced")
	// Durable before the log goes: the old database without its log would lack commits.
	if err := host.SyncDir(r.path); err != nil {
		return kept, fmt.Errorf("the database is restored, but a power cut may undo that: %w", err)
	}
	// A log that is still there belongs to the old database. A start refuses it.
	for _, suffix := range []string{"-wal", "-shm"} {
		if err := os.Remove(r.path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return kept, fmt.Errorf("the database is restored, but a file of the old one is in its way: %w", err)
		}
		r.at("removed " + suffix)
	}
	return kept, host.SyncDir(r.path)
}

// prepare makes the draft durable, with its owner and its mode. A lock file that is new gets
// the owner, too: a server could not open that of root.
func (r *Restoration) prepare() error {
	name, like := r.draft.Name(), r.path
	if _, err := os.Lstat(like); err != nil {
		like = filepath.Dir(r.path)
	}
	if err := errors.Join(host.CopyOwner(like, name), r.lock.CopyOwner(like)); err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Chmod(0o600); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	r.at("prepared")
	return nil
}

// foldLog moves the write-ahead log of the old database into it, so that its one file is
// complete. It changes nothing of a damaged one.
func (r *Restoration) foldLog() error {
	if host.SizeOf(r.path+"-wal") == 0 {
		return nil
	}
	if err := checkWAL(r.path); err != nil {
		return err
	}
	d, err := rows.Open(r.path, conn.ReadWrite)
	if err != nil {
		return err
	}
	err = rows.CheckOurs(d)
	if err == nil {
		err = d.Checkpoint(conn.Truncate)
	}
	d.Close()
	if err == nil && host.SizeOf(r.path+"-wal") > 0 {
		err = errors.New("the write-ahead log is still there")
	}
	r.at("folded the log")
	return err
}

// exchange puts the draft in the place of the database, and names the old database kept.
func (r *Restoration) exchange(kept string) error {
	// The draft gets that name first, so the swap of the two is the only step.
	if err := os.Rename(r.draft.Name(), kept); err != nil {
		return err
	}
	r.at("named")
	if r.swap(kept, r.path) == nil {
		return nil
	}
	if err := os.Rename(kept, r.draft.Name()); err != nil {
		return err
	}
	// A crash between the next two leaves the old database with two names, with which no
	// server starts; the next restore goes on from there.
	if err := link(r.path, kept); err != nil {
		return err
	}
	r.at("linked the database")
	return os.Rename(r.draft.Name(), r.path)
}

// link gives a file a second name; nothing happens if there is no such file.
func link(name, second string) error {
	err := os.Link(name, second)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (r *Restoration) at(step string) {
	if r.step != nil {
		r.step(step)
	}
}

// Close removes the draft, unless it has become the database, and unlocks the database.
func (r *Restoration) Close() {
	if r.draft != nil && !r.done {
		r.draft.Close()
	}
	r.inode.Release()
	if r.done {
		r.lock.Release()
		return
	}
	r.lock.Abandon()
}
