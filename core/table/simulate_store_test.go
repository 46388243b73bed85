package table_test

import (
	"context"
	"errors"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/lock"
)

func (w *world) readRecord() {
	var lines []string
	for r := w.journal.From(0); ; {
		page, err := r.Next(context.Background())
		if err != nil {
			w.t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, s := range page {
			lines = append(lines, strings.Split(strings.TrimSuffix(string(s.Bytes), "\n"), "\n")...)
		}
	}
	w.sums.events = len(lines)
	for _, line := range lines {
		if strings.Contains(line, `"kind":"granted"`) {
			w.sums.front += strings.Count(line, `"priority":"front"`)
			w.sums.back += strings.Count(line, `"priority":"back"`)
		}
	}
	told := replay(lines)
	w.sums.confirmed, w.sums.unconfirmed = told.confirmed, told.unconfirmed
	if told.problem != "" {
		w.wrong("%s", told.problem)
	}
	w.judge(told.ends)
}

// mood is what the store does to commits.
type mood int

const (
	fine      mood = iota
	full           // refused for space
	slow           // takes its time
	lostly         // fails; nothing was written
	appliedly      // fails; it was written all the same
)

func (m mood) String() string {
	return [...]string{"fine", "full", "slow", "about to lose a commit and say so", "about to keep a commit and deny it"}[m]
}

// faulty is a store in memory with moods.
type faulty struct {
	journal.Store
	mu     sync.Mutex
	mood   mood
	takes  time.Duration
	busy   bool
	denied int
}

var errDisk = errors.New("input/output error")

func (f *faulty) set(m mood, takes time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mood, f.takes = m, takes
}

// troubled reports whether commits fail or take long.
func (f *faulty) troubled() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mood != fine || f.busy
}

// commits reports whether a commit is under way.
func (f *faulty) commits() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.busy
}

func (f *faulty) Load(ctx context.Context) (lock.Snapshot, error) {
	s, err := f.Store.Load(ctx)
	sort.Slice(s.Leases, func(i, j int) bool { return s.Leases[i].Lease.Name < s.Leases[j].Lease.Name })
	return s, err
}

func (f *faulty) Commit(ctx context.Context, b *lock.Batch) error {
	f.mu.Lock()
	mood, takes := f.mood, f.takes
	f.busy = true
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		f.busy = false
		f.mu.Unlock()
	}()
	switch mood {
	case full:
		f.mu.Lock()
		f.denied++
		f.mu.Unlock()
		return lock.ErrFull
	case slow:
		time.Sleep(takes)
	case lostly:
		return errDisk
	case appliedly:
		if err := f.Store.Commit(ctx, b); err != nil {
			return err
		}
		return errDisk
	}
	return f.Store.Commit(ctx, b)
}
