package journal

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/lock"
)

// lookTime is how long a look for the oldest record may take.
const lookTime = 5 * time.Second

// Mark is a record of the journal: its number and its time. The zero Mark is none.
type Mark struct {
	Seq  lock.Seq
	Time time.Time
}

// State is the extent of a journal.
type State struct {
	Oldest, Head Mark // the oldest and the newest record that are left; zero: there are none
	// Checkpoint is the newest checkpoint; zero: there is none among the newest records.
	Checkpoint Mark
}

// found has marks that take a query. They are looked for once and kept.
type found struct {
	mu         sync.Mutex
	pruned     lock.Seq // the cut that oldest is for
	oldest     Mark
	searched   bool // for checkpoint
	checkpoint Mark // at Load
}

// Newest returns the newest published record: its number and its time. It takes no query.
func (j *Journal) Newest() Mark {
	v := j.view.Load()
	m := Mark{Seq: v.head, Time: j.newestAtLoad}
	if n := len(v.ring.segments); n > 0 {
		m.Time = v.ring.segments[n-1].Time
	}
	return m
}

// Checkpointed returns the newest checkpoint since Load; the zero Mark: none was made. It takes
// no query.
func (j *Journal) Checkpointed() Mark { return j.view.Load().checkpoint }

// Begins returns the oldest record that is left, in the archive or in the store, as the
// keeper saw it last; the zero Mark: not known yet. It takes no query.
func (j *Journal) Begins() Mark {
	if m := j.begins.Load(); m != nil {
		return *m
	}
	return Mark{}
}

// lookForOldest updates what Begins returns.
func (j *Journal) lookForOldest(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lookTime) // an archive may hang
	defer cancel()
	j.found.mu.Lock()
	defer j.found.mu.Unlock()
	if m, err := j.oldestRecord(ctx); err == nil {
		j.begins.Store(&m)
	}
}

// State returns the extent of the journal. Errors: those of the store.
func (j *Journal) State(ctx context.Context) (State, error) {
	s := State{Head: j.Newest(), Checkpoint: j.Checkpointed()}
	if s.Head.Seq == 0 {
		return s, nil
	}
	j.found.mu.Lock()
	defer j.found.mu.Unlock()
	oldest, err := j.oldestRecord(ctx)
	if err != nil {
		return s, err
	}
	s.Oldest = oldest
	if s.Checkpoint.Seq == 0 {
		s.Checkpoint, err = j.checkpointAtLoad(ctx)
	}
	return s, err
}

// oldestRecord returns the oldest record that is left.
func (j *Journal) oldestRecord(ctx context.Context) (Mark, error) {
	f, pruned := &j.found, j.Oldest()
	if f.oldest.Seq != 0 && f.pruned == pruned {
		return f.oldest, nil
	}
	page, err := j.Scan(ctx, pruned, 1)
	for since, is := errors.AsType[*PrunedError](err); is; since, is = errors.AsType[*PrunedError](err) {
		pruned = since.Oldest // pruned meanwhile
		page, err = j.Scan(ctx, pruned, 1)
	}
	if err != nil || len(page) == 0 {
		return Mark{}, err
	}
	for l := range record.Lines(page[0], pruned) {
		f.pruned, f.oldest = pruned, markOf(&l)
		break
	}
	return f.oldest, nil
}

// checkpointAtLoad returns the newest checkpoint of earlier runs, if it is among the newest
// records: a server makes one at least every 10,000.
func (j *Journal) checkpointAtLoad(ctx context.Context) (Mark, error) {
	f := &j.found
	if f.searched {
		return f.checkpoint, nil
	}
	_, err := j.searchBack(ctx, j.Head(), 0, 2*checkpointRecords, func(l *record.Line) bool {
		if l.Kind == lock.Checkpoint {
			f.checkpoint = markOf(l)
		}
		return l.Kind == lock.Checkpoint
	})
	f.searched = err == nil
	return f.checkpoint, err
}

func markOf(l *record.Line) Mark {
	at, _ := time.Parse(record.TimeFormat, string(l.Time)) // a line as this program wrote it
	return Mark{Seq: l.Seq, Time: at}
}
