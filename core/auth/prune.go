package auth

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/sleep"
	"github.com/octostore/octostore/core/wallclock"
)

// Steps of pruning.
const (
	pruneOften  = time.Hour // the longest time between two runs
	pruneChunk  = 1000      // tokens deleted before another change can happen
	prunedNamed = 100       // ids in the record of a run
)

// keepPruned deletes ended tokens at intervals, until ctx ends.
func (ts *Tokens) keepPruned(ctx context.Context) {
	every := min(max(ts.cfg.Retention/32, time.Second), pruneOften)
	clock := wallclock.New(ts.newest())
	clock.Check(time.Now(), ts.cfg.Retention)
	for sleep.For(ctx, every) == nil {
		now := time.Now()
		if ahead, doubted := clock.Check(now, ts.cfg.Retention); doubted {
			ts.log.Warn(
				"the clock has jumped ahead by more than ended tokens are kept: none is deleted for a while",
				"ahead", ahead.Round(time.Second),
			)
		}
		if clock.Doubted(now) {
			continue // a token that has not expired would be lost for good
		}
		if err := ts.prune(ctx, now); err != nil && ctx.Err() == nil && !errors.Is(err, lock.ErrFull) {
			ts.log.Warn("ended tokens could not be deleted; trying again", "err", err)
		}
	}
}

// newest returns the newest time that a token shows; zero if there are none.
func (ts *Tokens) newest() (at time.Time) {
	for _, e := range ts.current.Load().byHash {
		t := e.token()
		for _, seen := range []time.Time{t.Created, t.Used, t.Revoked} {
			if seen.After(at) {
				at = seen
			}
		}
	}
	return at
}

// prune deletes the tokens that ended longer ago than the retention. Their secrets are
// unknown from then on. The run is recorded first, so a record may name tokens that a crash
// has kept; the next run deletes them.
func (ts *Tokens) prune(ctx context.Context, now time.Time) error {
	const patience = 2 * time.Second
	old := ts.prunable(now)
	if len(old) == 0 {
		return nil
	}
	recording, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	run := lock.Event{Kind: lock.TokensPruned, Cause: prunedCause(old, ts.cfg.Retention)}
	if _, err := ts.cfg.Recorder.Append(recording, run); err != nil {
		return fmt.Errorf("record the pruning of tokens: %w", err)
	}
	for chunk := range slices.Chunk(old, pruneChunk) {
		if err := ts.pruneChunk(ctx, chunk); err != nil {
			return err
		}
	}
	ts.log.Info("ended tokens were deleted", "tokens", len(old))
	return nil
}

// prunable returns the tokens that may be deleted, those that ended first coming first.
// Tokens of the tokens file stay, and so does a token that was revoked while the file lists
// it: it would be valid again. If all tokens of the store have ended, the newest stays: that
// there is one requires tokens also after a restart.
func (ts *Tokens) prunable(now time.Time) (old []*entry) {
	s := ts.current.Load()
	limit := now.Add(-ts.cfg.Retention)
	stored := 0
	for hash, e := range s.byHash {
		if e.FromFile {
			continue
		}
		stored++
		if end := e.ended(); !end.IsZero() && end.Before(limit) && !s.listed[hash] {
			old = append(old, e)
		}
	}
	slices.SortFunc(old, func(a, b *entry) int { return cmp.Or(a.ended().Compare(b.ended()), cmp.Compare(a.ID, b.ID)) })
	if len(old) == stored && stored > 0 {
		old = old[:stored-1]
	}
	return old
}

// pruneChunk deletes some tokens, between other changes. They leave the store first: a token
// that is only in the store would be looked up again.
func (ts *Tokens) pruneChunk(ctx context.Context, chunk []*entry) error {
	ts.changing.Lock()
	defer ts.changing.Unlock()
	listed := ts.current.Load().listed // the file may have been read again
	chunk = slices.DeleteFunc(slices.Clone(chunk), func(e *entry) bool { return listed[e.Hash] })
	var ids []string
	for _, e := range chunk {
		ids = append(ids, e.ID)
	}
	if err := ts.cfg.Store.PruneTokens(ctx, ids); err != nil {
		return err
	}
	ts.forget(chunk)
	return nil
}

// forget removes tokens from memory and ends what was authenticated with them.
func (ts *Tokens) forget(entries []*entry) {
	ts.mu.Lock()
	ts.publish(func(s *snapshot) {
		for _, e := range entries {
			delete(s.byHash, e.Hash)
		}
	})
	ts.changes++ // a lookup under way may have read what is deleted
	ts.mu.Unlock()
	for _, e := range entries {
		e.life.end(ErrBadToken)
	}
}

func prunedCause(old []*entry, retention time.Duration) string {
	var ids []string
	for _, e := range old[:min(len(old), prunedNamed)] {
		ids = append(ids, e.ID)
	}
	what := "tokens"
	if len(old) == 1 {
		what = "token"
	}
	said := fmt.Sprintf("%d %s that ended more than %s ago: %s", len(old), what, retention, strings.Join(ids, ", "))
	if more := len(old) - len(ids); more > 0 {
		said += fmt.Sprintf(" and %d more", more)
	}
	return said
}

// listedIn returns the hashes of the tokens of the tokens file.
func listedIn(file []Token) map[[sha256.Size]byte]bool {
	hashes := make(map[[sha256.Size]byte]bool, len(file))
	for _, t := range file {
		hashes[t.Hash] = true
	}
	return hashes
}
