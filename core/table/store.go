package table

import (
	"context"

	"github.com/octostore/octostore/core/lock"
)

// Store keeps one table. One goroutine at a time uses it.
type Store interface {
	// Load returns everything a table needs to go on. It is called once, before
	// the first Commit.
	Load(ctx context.Context) (lock.Snapshot, error)

	// Commit makes the batch durable, all of it or nothing. It returns
	//
	//   - nil: the batch survives a power cut;
	//   - [lock.ErrFull]: surely not applied, the store is clean and goes on;
	//   - [lock.ErrDeposed]: surely not applied, this table is no longer the owner;
	//   - anything else: the outcome is unknown and the table is dead.
	//
	// When ctx ends, a commit that has not begun may be given up with an unknown outcome; a
	// commit that has begun goes on. Only a store that is remote may give that up too, with an
	// unknown outcome: it may become durable later, or never.
	Commit(ctx context.Context, b *lock.Batch) error
}
