package lock

import "time"

// Hash is the SHA-256 of a journal line.
type Hash [32]byte

// Head is the newest event of a journal: its sequence number and the hash of its
// line. The zero Head is that of an empty journal.
type Head struct {
	Seq  Seq
	Hash Hash
}

// Segment is one sealed batch as it is stored: lines of canonical JSON, one per
// event, each ended by a newline. Bytes is immutable.
type Segment struct {
	First, Last Seq
	Count       int       // events
	Time        time.Time // of the last event
	Bytes       []byte
}

// Batch is what one commit makes durable. Its Events and Rows are used again after
// Commit has returned; its Segment is not. A table fills in Prev.Seq, Events and
// Rows; the journal seals it, which fills in the rest, before it reaches a store
// that keeps it.
type Batch struct {
	Prev    Head    // what the batch builds on
	Events  []Event // at least one, Seq growing
	Rows    []Row   // the final row of every name whose lease changed, each name once
	Next    Head    // the head once this batch is committed
	Segment Segment
}

// Row is a lease as a store keeps it.
type Row struct {
	Name    Name
	Lease   *Lease // nil: the name is free, forget its row
	Attempt Attempt
}

// Loaded is a lease as a store gives it back.
type Loaded struct {
	// Lease has no meaningful ExpiresAt; the table computes it from Remaining.
	Lease   Lease
	Attempt Attempt
	// Remaining is how long the lease has yet to run, never less than what its
	// holder was promised; zero or less means it has lapsed. An unconfirmed lease has at
	// most its ConfirmWithin left.
	Remaining time.Duration
}

// Snapshot is the state of a store at its start.
type Snapshot struct {
	Head   Head
	Secret []byte // 32 random bytes, made once per store; lease ids are derived from it
	Leases []Loaded
	// Limits of a batch; zero means the table's own (256 events, 256 KiB). They
	// are aimed at: one command may go over by the few events it causes.
	MaxEvents, MaxBytes int
}
