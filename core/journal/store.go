package journal

import (
	"context"

	"github.com/octostore/octostore/core/lock"
)

// Store is where a journal is kept, together with the leases its events lead to.
// Load and Commit are called by one goroutine at a time; Segments by any number,
// at any time between Open and Close.
type Store interface {
	lock.Store

	// Segments returns committed segments in order, starting with the one that holds
	// the first event after the given one, until they hold at least events events
	// (so one segment may go over) or the newest is reached. None means there is
	// nothing newer. It ends its read transaction before it returns.
	Segments(ctx context.Context, after lock.Seq, events int) ([]lock.Segment, error)
}
