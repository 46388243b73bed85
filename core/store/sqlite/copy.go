package sqlite

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/sleep"
	"github.com/octostore/octostore/core/store/sqlite/internal/conn"
	"github.com/octostore/octostore/core/store/sqlite/internal/host"
	"github.com/octostore/octostore/core/store/sqlite/internal/rows"
)

// ErrCopying says that there is a copy of the database already, which another client still
// reads: a second one would need its space, too.
var ErrCopying = errors.New("another backup is under way; there is one at a time")

// draftSuffix ends the name of a copy that is being written. Nothing else may have such a
// name: a start deletes what a crash has left there.
const draftSuffix = "-backup.partial"

// Free space that a copy leaves to the commits.
const (
	spareBefore = 64 << 20 // or it does not begin
	spareDuring = 16 << 20 // or it is given up
	spaceEvery  = 50 * time.Millisecond
)

// Copy is a copy of the database of a running store at one moment: a complete database,
// compact, in a file that has no name any more. The caller closes it, which frees its space;
// a crash does so, too.
type Copy struct {
	Size   int64
	SHA256 [sha256.Size]byte

	*os.File
	end func()
}

// Close frees the space of the copy. Then the next copy may be made. No-op if already closed.
func (c *Copy) Close() error {
	err := c.File.Close()
	c.end()
	return err
}

// Copy copies the database to a file beside it. Commits go on meanwhile; the WAL cannot
// start over and grows with each of them.
//
// Errors: [ErrCopying] if there is another copy that is not closed yet; [lock.ErrFull] if
// there is no space for a copy, or not any more; [ErrClosed] if the store is closed
// meanwhile; that of ctx.
func (s *Store) Copy(ctx context.Context) (*Copy, error) {
	if !s.copies.begin() {
		return nil, ErrCopying
	}
	c, err := s.copy(ctx)
	if err != nil {
		s.copies.end()
		return nil, fmt.Errorf("copy the database %s: %w", s.path, err)
	}
	c.end = sync.OnceFunc(s.copies.end)
	return c, nil
}

func (s *Store) copy(ctx context.Context) (*Copy, error) {
	s.copies.making.Lock() // [Store.Close] waits for it
	defer s.copies.making.Unlock()
	select {
	case <-s.stop:
		return nil, ErrClosed
	default:
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	closing := make(chan struct{})
	defer close(closing)
	go func() {
		select {
		case <-s.stop:
			cancel(ErrClosed)
		case <-closing:
		}
	}()
	draft := s.path + draftSuffix
	f, err := os.OpenFile(draft, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	c := &Copy{File: f}
	err = s.fillCopy(ctx, cancel, c, draft)
	removeDraft(s.path)
	if err != nil {
		f.Close()
		return nil, err
	}
	return c, nil
}

func (s *Store) fillCopy(ctx context.Context, cancel context.CancelCauseFunc, c *Copy, draft string) error {
	d, err := rows.Open(s.path, conn.ReadOnly)
	if err != nil {
		return err
	}
	defer d.Close()
	d.BusyTimeout(beginTimeout)
	if err := s.checkSpaceFor(d); err != nil {
		return err
	}
	watched := s.watchSpace(ctx, cancel)
	err = d.VacuumInto(ctx, draft)
	cancel(nil) // no-op if there is a cause
	watched()
	switch cause := context.Cause(ctx); {
	case err == nil:
	case errors.Is(cause, lock.ErrFull), conn.NoSpace(err):
		return lock.ErrFull
	case errors.Is(cause, ErrClosed):
		return ErrClosed
	default:
		return err
	}
	sum := sha256.New()
	if c.Size, err = io.Copy(sum, c.File); err != nil {
		return err
	}
	sum.Sum(c.SHA256[:0])
	_, err = c.Seek(0, io.SeekStart)
	return err
}

// checkSpaceFor returns [lock.ErrFull] if a copy would fill the disk.
func (s *Store) checkSpaceFor(d *rows.DB) error {
	need, err := d.Used()
	if err != nil {
		return err
	}
	if free, known := s.spaceLeft(); s.Full() || known && free < need+spareBefore {
		return lock.ErrFull
	}
	return nil
}

// watchSpace cancels a copy when the disk is about to be full: the WAL grows meanwhile, and
// others write to the disk, too. The caller calls done after ctx has ended.
func (s *Store) watchSpace(ctx context.Context, cancel context.CancelCauseFunc) (done func()) {
	var watching sync.WaitGroup
	watching.Go(func() {
		for sleep.For(ctx, spaceEvery) == nil {
			if free, known := s.spaceLeft(); s.Full() || known && free < spareDuring {
				cancel(lock.ErrFull)
			}
		}
	})
	return watching.Wait
}

func (s *Store) spaceLeft() (free int64, known bool) {
	if s.cfg.freeSpace != nil {
		return s.cfg.freeSpace()
	}
	return host.FreeSpace(filepath.Dir(s.path))
}

// removeDraft removes an unfinished copy of the database at path.
func removeDraft(path string) {
	os.Remove(path + draftSuffix)
	os.Remove(path + draftSuffix + "-journal")
}

// copies is the state of [Store.Copy].
type copies struct {
	making sync.Mutex // held while a copy is written

	mu   sync.Mutex
	some bool // there is a copy that is not closed
}

func (c *copies) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.some {
		return false
	}
	c.some = true
	return true
}

func (c *copies) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.some = false
}

// beingMade reports whether a copy is being written, which keeps the WAL from starting over.
func (c *copies) beingMade() bool {
	if !c.making.TryLock() {
		return true
	}
	c.making.Unlock()
	return false
}

// LastBackup returns the time of the newest backup on record, the zero time if there is
// none. It does not wait for commits.
func (s *Store) LastBackup() time.Time {
	if at := s.lastBackup.Load(); at != nil {
		return *at
	}
	return time.Time{}
}

// RecordBackup puts on record, for [Store.LastBackup] after restarts, too, that a backup was
// complete at that time. On a full disk it does nothing but return [lock.ErrFull]. After any
// other error it can be called again, unless the store has stopped.
func (s *Store) RecordBackup(at time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.stopReason() != nil:
		return s.stopReason()
	case s.Full():
		return lock.ErrFull
	}
	if err := s.transactLocked(func() error { return s.w.SetLastBackup(at) }); err != nil {
		return fmt.Errorf("record the backup in %s: %w", s.path, err)
	}
	s.lastBackup.Store(&at)
	return nil
}

// loadLastBackup reads the record of [Store.RecordBackup] at a start.
func (s *Store) loadLastBackup() error {
	at, err := s.w.LastBackup()
	if err == nil && !at.IsZero() {
		s.lastBackup.Store(&at)
	}
	return err
}
