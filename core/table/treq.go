package table

import (
	"context"
	"time"

	"github.com/octostore/octostore/core/lock"
)

// Recheck is called when a request, having waited, is first in line for a free lock. It
// runs in a goroutine of its own, never in the table's loop; its ctx ends with the
// request, whether it has answered or not, and its panic becomes one of
// [Table.AcquireWith]. A non-nil error takes the request out of the queue and is what
// AcquireWith returns; [lock.ErrGone] says that the client has left, which keeps the place of
// an attempt for a while as any departure does.
type Recheck func(ctx context.Context, at lock.Turn) (lock.Opinion, error)

// Grant is a lease as its holder gets it.
type Grant struct {
	Lease   *lock.Lease
	LeaseID string        // proves the hold to renew and release; a secret of the holder
	Waited  time.Duration // in the queue
	Repeat  bool          // an earlier request with the same key had been given this lease

	undoable bool // this answer may be the only one with the lease
}

// Query selects names for a listing.
type Query struct {
	Prefix  string    // bytes, see [lock.CheckPrefix]
	Account string    // only locks held by this account; empty: all
	After   lock.Name // only names greater than this one
	Limit   int       // at least 1
	// Visible, if not nil, is asked for every name; false leaves it out. It must be
	// quick and must not call the table.
	Visible func(lock.Name) bool
}
