package memory

import (
	"cmp"
	"context"
	"crypto/sha256"
	"maps"
	"slices"
	"time"

	"github.com/octostore/octostore/core/auth"
)

// Tokens returns all tokens; see [auth.Store].
func (s *Store) Tokens(context.Context) ([]auth.Token, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Values(s.tokens), func(a, b auth.Token) int { return cmp.Compare(a.ID, b.ID) }), nil
}

// TokenByHash returns one token; see [auth.Store].
func (s *Store) TokenByHash(_ context.Context, hash [sha256.Size]byte) (auth.Token, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tokens {
		if t.Hash == hash {
			return t, true, nil
		}
	}
	return auth.Token{}, false, nil
}

// PutTokens adds or replaces tokens; see [auth.Store].
func (s *Store) PutTokens(_ context.Context, tokens ...auth.Token) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range tokens {
		s.tokens[t.ID] = t
	}
	return nil
}

// TouchTokens stores when tokens were last used; see [auth.Store].
func (s *Store) TouchTokens(_ context.Context, used map[string]time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, at := range used {
		if t, found := s.tokens[id]; found {
			t.Used = at
			s.tokens[id] = t
		}
	}
	return nil
}

// PruneTokens deletes tokens, all but the last one there is; see [auth.Store].
func (s *Store) PruneTokens(_ context.Context, ids []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		if _, found := s.tokens[id]; found && len(s.tokens) > 1 {
			delete(s.tokens, id)
		}
	}
	return nil
}
