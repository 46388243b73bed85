package table

import (
	"errors"
	"fmt"
	"time"

	"github.com/octostore/octostore/core/lock"
)

// Owns reports whether this process owns the table: what the table says is true. It is false
// after [Table.Depose], and once Config.Owns is. An answer from memory may leave the process
// only if Owns is true after the answer was built.
func (t *Table) Owns() bool {
	return !t.deposed.Load() && (t.cfg.Owns == nil || t.cfg.Owns())
}

// Depose ends the table at once, because another process may own it from now on. Waiters and
// requests that are not decided yet are answered [lock.ErrDeposed]; what a commit under way has
// decided is answered [lock.ErrOutcomeUnknown], as the commit is given up. Streams end, and
// later requests are refused. Depose does not wait; [Table.Close] does.
func (t *Table) Depose() {
	t.deposeOnce.Do(func() {
		t.moving.Store(true)
		t.deposed.Store(true)
		t.inbox.close(lock.ErrDeposed)
		t.stopBegin()
		t.drain()
		time.AfterFunc(drainingPatience, func() {
			select {
			case <-t.done:
			default: // the store does not give up its commit
				t.giveUpWaiters()
			}
		})
	})
}

// Move is [Table.Drain] of a table that another process is to own after [Table.Close]: acquires
// and waiters, and all requests after Close, are answered [lock.ErrDeposed]. Until Close
// renewals and releases go on.
func (t *Table) Move() {
	t.moving.Store(true)
	t.Drain()
}

// Moved reports whether [Table.Move] or [Table.Depose] has been called, or the loop has found
// that the table is deposed: a request that is refused is for another process.
func (t *Table) Moved() bool { return t.moving.Load() }

// cause returns why a request is refused that nothing was done for: the table has moved, or err.
func (t *Table) cause(err error) error {
	if t.moving.Load() {
		return lock.ErrDeposed
	}
	return err
}

// lost returns what to answer in place of an accepted batch, or nil if the answers are true:
// after the commit this process must still own the table. If it does not, nothing may be
// decided any more.
func (t *Table) lost() error {
	if t.Owns() {
		return nil
	}
	t.fail(lock.ErrDeposed)
	if len(t.m.Events()) > 0 {
		return lock.ErrOutcomeUnknown
	}
	return lock.ErrDeposed
}

// fail notes why the loop ends after a commit. A commit that was given up because the table is
// deposed is no failure of its own.
func (t *Table) fail(err error) {
	deposed := errors.Is(err, lock.ErrDeposed)
	if !deposed && !t.Owns() {
		deposed, err = true, fmt.Errorf("%w; its last commit: %w", lock.ErrDeposed, err)
	}
	if deposed {
		t.Depose()
	}
	t.failed.Store(&err)
}
