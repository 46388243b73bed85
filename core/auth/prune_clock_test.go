package auth_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/memory"
)

// unrecorded is a recorder that keeps nothing.
type unrecorded struct{}

func (unrecorded) Append(context.Context, lock.Event) (lock.Seq, error) { return 1, nil }

func scopesOf(t *testing.T, text string) auth.Scopes {
	t.Helper()
	scopes, err := auth.ParseScopes(text)
	if err != nil {
		t.Fatal(err)
	}
	return scopes
}

// openStored opens tokens that a store has: a good one, and others with secrets that ended at a
// time.
func openStored(t *testing.T, n int, ended time.Time) (ts *auth.Tokens, good string, secrets []string) {
	t.Helper()
	store := memory.New()
	put := func(id string, revoked time.Time) string {
		secret := auth.NewSecret()
		token := auth.Token{
			ID: id, Account: "ci", Scopes: scopesOf(t, "acquire,read:**"), Hash: sha256.Sum256([]byte(secret)),
			Created: ended.Add(-time.Hour), Revoked: revoked,
		}
		if err := store.PutTokens(t.Context(), token); err != nil {
			t.Fatal(err)
		}
		return secret
	}
	good = put("good", time.Time{})
	for i := range n {
		secrets = append(secrets, put(fmt.Sprintf("old-%d", i), ended))
	}
	ts, err := auth.Open(t.Context(), auth.Config{Store: store, Recorder: unrecorded{}, Retention: 30 * 24 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ts.Close() })
	return ts, good, secrets
}

// A clock that steps back does not bring a deleted token back, and one that steps ahead is
// doubted before it deletes anything.
func TestTokensPrunedWhateverTheClockDoes(t *testing.T) {
	now := time.Now()
	ts, good, secrets := openStored(t, 3, now.Add(-40*24*time.Hour))
	if err := auth.Prune(ts, t.Context(), now); err != nil {
		t.Fatal(err)
	}
	for _, at := range []time.Time{now, now.Add(-50 * 24 * time.Hour), now.Add(-100 * 365 * 24 * time.Hour)} {
		for _, secret := range secrets {
			if _, err := ts.Authenticate(t.Context(), secret, at); !errors.Is(err, auth.ErrBadToken) {
				t.Errorf("at %s: %v", at, err)
			}
		}
		if _, err := ts.Authenticate(t.Context(), good, at); err != nil {
			t.Errorf("at %s the other token is refused: %v", at, err)
		}
	}
	if err := auth.Prune(ts, t.Context(), now.Add(-100*365*24*time.Hour)); err != nil {
		t.Errorf("a run with a clock that is far behind: %v", err)
	}
}

// Requests, revocations and lists at the same time as a run: no ended token is ever good, and
// the good one always is.
func TestTokensUsedWhileTheyArePruned(t *testing.T) {
	now := time.Now()
	ts, good, secrets := openStored(t, 3000, now.Add(-40*24*time.Hour))
	stop := make(chan struct{})
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			for i := worker; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := ts.Authenticate(t.Context(), secrets[i%len(secrets)], now); err == nil {
					t.Error("a token that has ended is good")
					return
				}
				if _, err := ts.Authenticate(t.Context(), good, now); err != nil {
					t.Errorf("the good token is refused: %v", err)
					return
				}
				if page, _, err := ts.Page("", 10); err != nil || len(page) == 0 {
					t.Errorf("a page of %d tokens, %v", len(page), err)
				}
			}
		})
	}
	made, _, err := ts.Create(t.Context(), lock.Origin{}, auth.TokenSpec{Account: "new", Scopes: scopesOf(t, "read:**")})
	if err != nil {
		t.Fatal(err)
	}
	if err := auth.Prune(ts, t.Context(), now); err != nil {
		t.Fatal(err)
	}
	if _, err := ts.Revoke(t.Context(), lock.Origin{}, made.ID); err != nil {
		t.Error(err)
	}
	close(stop)
	all.Wait()
	if left := ts.List(); len(left) != 2 {
		t.Errorf("%d tokens are left", len(left))
	}
	for _, secret := range secrets {
		if _, err := ts.Authenticate(t.Context(), secret, now); !errors.Is(err, auth.ErrBadToken) {
			t.Fatalf("after the run: %v", err)
		}
	}
}
