package sqlite

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/sleep"
	"github.com/octostore/octostore/core/store/sqlite/internal/rows"
)

var _ auth.Store = (*Store)(nil)

// Tokens returns all tokens; see [auth.Store].
func (s *Store) Tokens(ctx context.Context) ([]auth.Token, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopReason() != nil {
		return nil, s.stopReason()
	}
	all, err := s.w.ReadTokens(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the tokens of %s: %w", s.path, rows.AsDamage(err))
	}
	return all, nil
}

// TokenByHash returns one token; see [auth.Store]. It does not wait for commits.
func (s *Store) TokenByHash(ctx context.Context, hash [sha256.Size]byte) (auth.Token, bool, error) {
	r, err := s.readers.take(ctx)
	if err != nil {
		return auth.Token{}, false, fmt.Errorf("read a token of %s: %w", s.path, rows.AsDamage(err))
	}
	defer s.readers.put(r)
	t, found, err := r.TokenByHash(hash)
	if err != nil {
		return auth.Token{}, false, fmt.Errorf("read a token of %s: %w", s.path, rows.AsDamage(err))
	}
	return t, found, nil
}

// PutTokens adds or replaces tokens; see [auth.Store].
func (s *Store) PutTokens(_ context.Context, tokens ...auth.Token) error {
	err := s.transact(func() error {
		for i := range tokens {
			if err := s.w.PutToken(&tokens[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("write tokens to %s: %w", s.path, err)
	}
	return nil
}

// touchStep is the number of tokens written or deleted in one transaction.
const touchStep = 256

// TouchTokens stores when tokens were last used; see [auth.Store]. It works in steps, so
// that commits do not wait long.
func (s *Store) TouchTokens(ctx context.Context, used map[string]time.Time) error {
	for step := range slices.Chunk(slices.Sorted(maps.Keys(used)), touchStep) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.transact(func() error { return s.w.TouchTokens(step, used) }); err != nil {
			return fmt.Errorf("write the use of tokens to %s: %w", s.path, err)
		}
	}
	return nil
}

// PruneTokens deletes tokens, all but the last one there is; see [auth.Store]. It works in
// steps, with pauses like those of [Store.Prune].
func (s *Store) PruneTokens(ctx context.Context, ids []string) error {
	for step := range slices.Chunk(ids, touchStep) {
		start := time.Now()
		if err := s.transact(func() error { return s.w.PruneTokens(step) }); err != nil {
			return fmt.Errorf("prune tokens of %s: %w", s.path, err)
		}
		if err := sleep.For(ctx, pruneRest+time.Since(start)); err != nil {
			return err
		}
	}
	return nil
}
