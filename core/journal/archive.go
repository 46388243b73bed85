package journal

import (
	"context"
	"time"

	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/lock"
)

// Archive keeps records for good, before they are pruned from the store. Package archive
// has one in files. Its methods are safe for use by many goroutines.
type Archive interface {
	// Keep returns nil once all records after from, up to and including upTo, are in the
	// archive and were found there since the call. It writes those that are missing. After an
	// error they may be missing, and must not be pruned.
	Keep(ctx context.Context, from, upTo lock.Seq) error

	// Oldest returns the smallest cursor from which the archive has all records up to the
	// given one; the given one itself if it has none of them. It does not wait.
	Oldest(upTo lock.Seq) lock.Seq

	// Segments returns at most that many records after the given one, as segments in order,
	// and no more than about [PageBytes]. No segments means that the archive does not have
	// the record that follows; an error, that this is not known at present.
	Segments(ctx context.Context, after lock.Seq, events int) ([]lock.Segment, error)

	// SegmentsBefore does the same for records before the given one, the newest segment first.
	SegmentsBefore(ctx context.Context, before lock.Seq, events int) ([]lock.Segment, error)

	// State returns what the archive has, as last seen. It does not wait.
	State() ArchiveState
}

// ArchiveState is what an archive has.
type ArchiveState struct {
	Files  int       // with records of this journal
	Bytes  int64     // of these files
	Oldest lock.Seq  // cursor from which the records up to Newest can be read
	Newest Mark      // the newest record that is in the archive
	Err    error     // why the archive cannot be written at present; nil: it can
	Since  time.Time // when Err first happened
}

// SetArchive has readers go on in an archive where the store has been pruned, and the keeper
// wait for it. Call it before [Keep].
func (j *Journal) SetArchive(a Archive) { j.archive.Store(&a) }

// Archive returns the archive, nil if there is none.
func (j *Journal) Archive() Archive {
	if a := j.archive.Load(); a != nil {
		return *a
	}
	return nil
}

// Pruned returns the newest record that was pruned from the store, the zero Head for none.
func (j *Journal) Pruned() lock.Head { return *j.pruned.Load() }

// Oldest returns the cursor from which everything that is left can be read, in the archive
// or in the store: the newest event before it, 0 for none.
func (j *Journal) Oldest() lock.Seq {
	pruned := j.pruned.Load().Seq
	if a := j.Archive(); a != nil && pruned != 0 {
		return a.Oldest(pruned)
	}
	return pruned
}

// Sign returns a closing line with a signature by the key of the journal, without a newline.
func (j *Journal) Sign(c *record.Closing) []byte { return c.Signed(j.key) }

// archived returns records that were pruned from the store, if the archive has them.
func (j *Journal) archived(ctx context.Context, after lock.Seq, events int) ([]lock.Segment, error) {
	a := j.Archive()
	if a == nil {
		return nil, nil
	}
	return a.Segments(ctx, after, events)
}
