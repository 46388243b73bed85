package auth_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/memory"
)

const month = 30 * 24 * time.Hour

// openPruning opens tokens that are kept for a month after their end.
func openPruning(t *testing.T, store auth.Store, file string) house {
	t.Helper()
	h := house{journal: &journal{}}
	var err error
	h.Tokens, err = auth.Open(t.Context(), auth.Config{Store: store, Recorder: h.journal, File: file, Retention: month})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

func (h house) revoke(t *testing.T, token auth.Token) {
	t.Helper()
	if _, err := h.Revoke(t.Context(), lock.Origin{}, token.ID); err != nil {
		t.Fatal(err)
	}
}

// pass lets time pass, which an hour later is noticed everywhere.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func ids(tokens []auth.Token) string {
	var all []string
	for _, token := range tokens {
		all = append(all, token.ID)
	}
	return strings.Join(all, " ")
}

func TestTokensPrunedAMonthAfterTheirEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		h := openPruning(t, store, "")
		good, goodSecret := h.mustCreate(t, wish(t, "ops", "admin"))
		revoked, revokedSecret := h.mustCreate(t, wish(t, "alice", "acquire:a/**"))
		short := wish(t, "bob", "acquire:a/**")
		short.Expires = 24 * time.Hour
		expired, expiredSecret := h.mustCreate(t, short)
		h.revoke(t, revoked)

		pass(month - time.Hour)
		h.want(t, revokedSecret, auth.ErrRevoked)
		h.want(t, expiredSecret, auth.ErrExpired)
		pass(3 * time.Hour)
		h.want(t, revokedSecret, auth.ErrBadToken)
		h.want(t, expiredSecret, auth.ErrExpired)
		pass(24 * time.Hour)
		h.want(t, expiredSecret, auth.ErrBadToken)
		h.want(t, goodSecret, nil)
		if got := ids(h.List()); got != good.ID {
			t.Errorf("left are %s, want %s", got, good.ID)
		}
		if _, _, err := h.Rotate(t.Context(), lock.Origin{}, expired.ID, 0); !errors.Is(err, auth.ErrUnknownID) {
			t.Errorf("a pruned token is rotated: %v", err)
		}
		again := openPruning(t, store, "")
		again.want(t, revokedSecret, auth.ErrBadToken)
		again.want(t, expiredSecret, auth.ErrBadToken)
	})
}

// Two runs that found something are two records, however many tokens and runs there were.
func TestTokensPrunedAreOnRecordOncePerRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openPruning(t, memory.New(), "")
		h.mustCreate(t, wish(t, "ops", "admin"))
		var first auth.Token
		for i := range 110 {
			token, _ := h.mustCreate(t, wish(t, "ci", "acquire:a/**"))
			h.revoke(t, token)
			if i == 0 {
				first = token
			}
			time.Sleep(time.Millisecond)
		}
		pass(month + 2*time.Hour)
		later, _ := h.mustCreate(t, wish(t, "ci", "acquire:a/**"))
		h.revoke(t, later)
		pass(month + 2*time.Hour)
		var causes []string
		for _, e := range h.journal.all() {
			if e.Kind == lock.TokensPruned {
				causes = append(causes, e.Cause)
			}
		}
		if len(causes) != 2 {
			t.Fatalf("%d records, want 2: %q", len(causes), causes)
		}
		if !strings.HasPrefix(causes[0], "110 tokens that ended more than 720h0m0s ago: "+first.ID+", ") || !strings.HasSuffix(causes[0], " and 10 more") {
			t.Errorf("the record says %q", causes[0])
		}
		if want := "1 token that ended more than 720h0m0s ago: " + later.ID; causes[1] != want {
			t.Errorf("the record says %q, want %q", causes[1], want)
		}
	})
}

// A server whose tokens have all ended and are pruned goes on requiring one, after a restart
// too: the newest of them stays.
func TestTokensPrunedKeepTheDoorClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		h := openPruning(t, store, "")
		var last auth.Token
		var secrets []string
		for range 3 {
			token, secret := h.mustCreate(t, wish(t, "ops", "admin"))
			last, secrets = token, append(secrets, secret)
			pass(time.Second)
		}
		for _, token := range h.List() {
			h.revoke(t, token)
			pass(time.Second)
		}
		pass(month + 2*time.Hour)
		for round := range 2 {
			if _, err := h.Local(); !errors.Is(err, auth.ErrNoToken) || !h.TokensRequired() {
				t.Errorf("round %d: requests without a token are served: %v", round, err)
			}
			for _, secret := range secrets {
				if _, err := h.as(t, secret); err == nil {
					t.Errorf("round %d: a token that was revoked is good", round)
				}
			}
			if got := ids(h.List()); got != last.ID {
				t.Errorf("round %d: left are %q, want %s", round, got, last.ID)
			}
			h = openPruning(t, store, "")
		}
	})
}

func TestTokensOfTheFileAreNotPruned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		before := openPruning(t, store, "")
		before.mustCreate(t, wish(t, "ops", "admin"))
		revoked, secret := before.mustCreate(t, wish(t, "alice", "acquire:a/**"))
		before.revoke(t, revoked)
		_ = before.Close()

		file := filepath.Join(t.TempDir(), "tokens")
		own := auth.NewSecret()
		if err := os.WriteFile(file, fmt.Appendf(nil, "ci:%s\nalice:%s\n", own, secret), 0o600); err != nil {
			t.Fatal(err)
		}
		h := openPruning(t, store, file)
		pass(month + 2*time.Hour)
		h.want(t, own, nil)
		h.want(t, secret, auth.ErrRevoked) // pruned, the file would make it good again
		if _, err := h.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		h.want(t, secret, auth.ErrRevoked)
		openPruning(t, store, file).want(t, secret, auth.ErrRevoked)
	})
}

func TestTokensPrunedAfterTheGraceOfARotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openPruning(t, memory.New(), "")
		old, oldSecret := h.mustCreate(t, wish(t, "ci", "acquire:a/**"))
		_, _, err := h.Rotate(t.Context(), lock.Origin{}, old.ID, 30*24*time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		pass(month - time.Hour)
		h.want(t, oldSecret, nil)
		pass(month)
		h.want(t, oldSecret, auth.ErrExpired)
		pass(3 * time.Hour)
		h.want(t, oldSecret, auth.ErrBadToken)
	})
}

// stopping is a store that fails in the middle of a pruning.
type stopping struct {
	*memory.Store
	mu   sync.Mutex
	left int // tokens that it deletes yet
}

func (s *stopping) PruneTokens(ctx context.Context, ids []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(ids) <= s.left {
		return s.Store.PruneTokens(ctx, ids)
	}
	_ = s.Store.PruneTokens(ctx, ids[:s.left])
	s.left = 0
	return errors.New("the power is out")
}

func TestTokensPrunedInPartAreNeverGoodAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &stopping{Store: memory.New(), left: 3}
		h := openPruning(t, store, "")
		good, _ := h.mustCreate(t, wish(t, "ops", "admin"))
		var secrets []string
		for range 7 {
			token, secret := h.mustCreate(t, wish(t, "ci", "acquire:a/**"))
			h.revoke(t, token)
			secrets = append(secrets, secret)
		}
		pass(month + 2*time.Hour)
		for range 2 {
			for _, secret := range secrets {
				if _, err := h.as(t, secret); err == nil {
					t.Error("a token that was revoked is good")
				}
			}
			store.mu.Lock()
			store.left = 100 // after a restart it works
			store.mu.Unlock()
			h = openPruning(t, store, "")
		}
		pass(2 * time.Hour)
		if got := ids(h.List()); got != good.ID {
			t.Errorf("left are %q, want %s", got, good.ID)
		}
	})
}

// What cannot be recorded is not done.
func TestTokensPrunedOnlyIfThatIsOnRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openPruning(t, memory.New(), "")
		h.mustCreate(t, wish(t, "ops", "admin"))
		token, secret := h.mustCreate(t, wish(t, "alice", "acquire:a/**"))
		h.revoke(t, token)
		h.journal.mu.Lock()
		h.journal.err = lock.ErrFull
		h.journal.mu.Unlock()
		pass(month + 2*time.Hour)
		h.want(t, secret, auth.ErrRevoked)
		h.journal.mu.Lock()
		h.journal.err = nil
		h.journal.mu.Unlock()
		pass(2 * time.Hour)
		h.want(t, secret, auth.ErrBadToken)
	})
}

// A request that a token let in ends when the token is deleted, whatever the clock has said
// since.
func TestTokensPrunedEndTheirRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openPruning(t, memory.New(), "")
		h.mustCreate(t, wish(t, "ops", "admin"))
		w := wish(t, "ci", "acquire:a/**")
		w.Expires = time.Hour
		_, secret := h.mustCreate(t, w)
		p := h.want(t, secret, nil)
		start := time.Now()
		pass(month + 4*time.Hour)
		if err := p.Err(start); !errors.Is(err, auth.ErrBadToken) {
			t.Errorf("with the clock set back: %v", err)
		}
	})
}

func TestTokenPagesHaveEachTokenOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openPruning(t, memory.New(), "")
		want := map[string]bool{}
		var old []auth.Token
		for i := range 50 {
			token, _ := h.mustCreate(t, wish(t, "ci", "acquire:a/**"))
			if i%3 == 0 {
				h.revoke(t, token)
				old = append(old, token)
			} else {
				want[token.ID] = true
			}
		}
		pass(month) // pruned between the pages
		seen := map[string]int{}
		after, pages := "", 0
		for {
			page, next, err := h.Page(after, 7)
			if err != nil || len(page) > 7 || next != "" && len(page) != 7 {
				t.Fatalf("%d tokens, next %q, %v", len(page), next, err)
			}
			for _, token := range page {
				seen[token.ID]++
			}
			if pages++; pages == 2 {
				pass(2 * time.Hour)
				h.mustCreate(t, wish(t, "later", "acquire:a/**"))
			}
			if after = next; next == "" {
				break
			}
		}
		for id, n := range seen {
			if n != 1 {
				t.Errorf("%s is on %d pages", id, n)
			}
		}
		for id := range want {
			if seen[id] != 1 {
				t.Errorf("%s is on no page", id)
			}
		}
		if left := ids(h.List()); strings.Contains(left, old[0].ID) {
			t.Error("nothing was pruned, so this shows too little")
		}
		for _, wrong := range []string{"x", "1", ".", "1x.a", "99999999999999999999.a"} {
			if _, _, err := h.Page(wrong, 7); err == nil {
				t.Errorf("%q is a place in the list", wrong)
			}
		}
	})
}
