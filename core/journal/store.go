package journal

import (
	"context"
	"crypto/ed25519"

	"github.com/octostore/octostore/core/lock"
)

// PageBytes bounds what is read at a time, for whoever is slow to pass it on holds it
// meanwhile: several segments come together only if they have no more bytes than this.
const PageBytes = 256 << 10

// recycler is a [Store] that can read into memory that is used again, which matters to
// those who read much.
type recycler interface {
	SegmentsInto(ctx context.Context, after lock.Seq, events int, buf *[]byte) ([]lock.Segment, error)
}

// Store is where a journal is kept, together with the leases its events lead to.
// Load and Commit are called by one goroutine at a time; the others by any number,
// at any time between Open and Close.
type Store interface {
	// Load returns everything a table needs to go on; see table.Store.
	Load(ctx context.Context) (lock.Snapshot, error)

	// Commit makes a batch durable, all of it or nothing; see table.Store for what its
	// errors mean.
	Commit(ctx context.Context, b *lock.Batch) error

	// Segments returns committed segments in order, starting with the one that holds
	// the first event after the given one, until they hold at least events events
	// (so one segment may go over), another would bring them over [PageBytes] (so a
	// larger one comes alone), or the newest is reached. None means there is nothing
	// newer. It ends its read transaction before it returns.
	Segments(ctx context.Context, after lock.Seq, events int) ([]lock.Segment, error)

	// Key returns the key that signs this journal. It is made once per store.
	Key(ctx context.Context) (ed25519.PrivateKey, error)

	// Cut returns what the newest [Store.Prune] was given, the zero Head if there was
	// none.
	Cut(ctx context.Context) (lock.Head, error)

	// Prune forgets all segments up to the one whose last event is cut, and remembers
	// the cut. It works in small steps, between which commits go on; if it fails on the
	// way the cut may be moved with segments before it left, and calling it again
	// removes them. The newest segment is never forgotten: that is an error.
	Prune(ctx context.Context, cut lock.Head) error
}
