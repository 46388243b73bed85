package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/sleep"
	"github.com/octostore/octostore/core/store/sqlite/internal/rows"
)

// Cut returns the argument of the newest Prune.
func (s *Store) Cut(context.Context) (lock.Head, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopReason() != nil {
		return lock.Head{}, s.stopReason()
	}
	cut, err := s.w.Cut()
	if err != nil {
		return cut, fmt.Errorf("read the cut of %s: %w", s.path, rows.AsDamage(err))
	}
	return cut, nil
}

// pruneRest is the shortest pause between two steps of pruning. A step is short, and the
// next one waits for at least as long as the step took, so that commits get most of the
// time.
const pruneRest = time.Millisecond

// Prune deletes the oldest segments; see [journal.Store].
func (s *Store) Prune(ctx context.Context, cut lock.Head) error {
	for {
		start := time.Now()
		more, err := s.pruneStep(cut)
		if err != nil {
			return fmt.Errorf("prune %s: %w", s.path, err)
		}
		if !more {
			return nil
		}
		if err := sleep.For(ctx, pruneRest+time.Since(start)); err != nil {
			return err
		}
	}
}

// pruneStep deletes a few segments in a transaction of its own, and reports whether there
// are more.
func (s *Store) pruneStep(cut lock.Head) (more bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.stopReason() != nil:
		return false, s.stopReason()
	case !s.loaded:
		return false, errors.New("prune before load")
	case cut.Seq >= s.head:
		return false, fmt.Errorf("the newest segment, up to %d, is not before %d", s.head, cut.Seq)
	}
	err = s.transactLocked(func() error {
		more, err = s.w.Prune(cut)
		return err
	})
	return more && err == nil, err
}

// Used returns how many bytes of the database file are in use. The file grows only after
// the space of pruned segments is used again.
func (s *Store) Used(context.Context) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopReason() != nil {
		return 0, s.stopReason()
	}
	return s.w.Used()
}
