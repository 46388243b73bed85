package journal

import (
	"context"
	"crypto/ed25519"

	"github.com/octostore/octostore/core/lock"
)

// PageBytes limits how much is read at a time, because a slow reader keeps it in memory
// meanwhile. Several segments come together only if they fit.
const PageBytes = 256 << 10

// bufferReader is a [Store] that can read into a buffer of its caller, which saves garbage
// in long exports.
type bufferReader interface {
	SegmentsInto(ctx context.Context, after lock.Seq, events int, buf *[]byte) ([]lock.Segment, error)
}

// backwardReader is a [Store] that can be read from the end. All stores of this module are.
type backwardReader interface {
	// SegmentsBefore returns the committed segments that begin before the given event, the
	// newest first. It stops as Segments does: when they have at least events events, when
	// one more would exceed [PageBytes] (a larger segment comes alone), or at the oldest.
	SegmentsBefore(ctx context.Context, before lock.Seq, events int) ([]lock.Segment, error)
}

// Store keeps a journal together with the leases that its events lead to. One goroutine
// at a time calls Load and Commit; any number call the others, at any time between Open
// and Close.
type Store interface {
	// Load returns everything a table needs to go on; see table.Store.
	Load(ctx context.Context) (lock.Snapshot, error)

	// Commit makes a batch durable, all of it or nothing; see table.Store for what its
	// errors mean.
	Commit(ctx context.Context, b *lock.Batch) error

	// Segments returns committed segments in order, starting with the one that holds the
	// first event after the given one. It stops when they have at least events events,
	// when one more would exceed [PageBytes] (a larger segment comes alone), or at the
	// newest. No segments means that there is nothing newer. It ends its read
	// transaction before it returns.
	Segments(ctx context.Context, after lock.Seq, events int) ([]lock.Segment, error)

	// Key returns the key that signs this journal. A store creates it once.
	Key(ctx context.Context) (ed25519.PrivateKey, error)

	// Cut returns the cut of the newest [Store.Prune], the zero Head if there was none.
	Cut(ctx context.Context) (lock.Head, error)

	// Prune removes all segments up to the one whose last event is cut, and stores the
	// cut. It works in small steps, and commits go on between them. After a failure the
	// cut may be stored with segments before it left; another call removes them. A cut
	// in the newest segment is an error.
	Prune(ctx context.Context, cut lock.Head) error
}
