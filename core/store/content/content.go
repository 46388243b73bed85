// Package content describes what a store keeps, for tools that read a whole store or copy one
// into another. A server works with its store through table.Store, journal.Store and
// auth.Store instead.
package content

import (
	"context"
	"crypto/ed25519"

	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/lock"
)

// Inspection is what a store has at one moment, without secrets.
type Inspection struct {
	Head   lock.Head
	Cut    lock.Head         // see [journal.Store]
	Leases []lock.Loaded     // Remaining has no meaning here
	Key    ed25519.PublicKey // verifies signatures of its journal; nil: an older schema has no key
	Tokens int               // number of API tokens, including revoked and expired ones
}

// Table is everything that a store keeps but the segments of its audit log. It has secrets.
type Table struct {
	Head, Cut lock.Head
	Bytes     int64              // of the segments, about
	Secret    []byte             // of lease ids, 32 bytes
	Key       ed25519.PrivateKey // signs the audit log
	Leases    []lock.Loaded      // by name; Remaining is all the time that a lease may still run
	Tokens    []auth.Token       // by id
	Cursors   []journal.ObserverCursor
}

// Inspection returns what of a table is no secret.
func (t *Table) Inspection() Inspection {
	return Inspection{Head: t.Head, Cut: t.Cut, Leases: t.Leases, Key: t.Key.Public().(ed25519.PublicKey), Tokens: len(t.Tokens)}
}

// Reader reads a whole store at one moment. It calls begin once, and then the function that
// begin has returned, if not nil, with every segment in order; a segment is valid until that
// returns. The first error ends it.
type Reader func(ctx context.Context, begin func(Table) (each func(lock.Segment) error, err error)) error

// Writer fills a new store, which no server can use before Finish has returned nil. One
// goroutine uses it. Segments may be kept back until Finish.
type Writer interface {
	// Begin says up to where the journal was pruned. It comes first.
	Begin(ctx context.Context, cut lock.Head) error
	// Add adds the next segment. Its bytes are not used after Add has returned.
	Add(ctx context.Context, g lock.Segment) error
	// Finish makes all of it durable.
	Finish(ctx context.Context) error
	// Abort removes what there is, unless Finish has returned nil. It releases the store.
	Abort() error
}
