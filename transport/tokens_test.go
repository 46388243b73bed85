package transport

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/memory"
	"github.com/octostore/octostore/transport/api"
)

func TestBreakAndTake(t *testing.T) {
	s := newServer(t, setup{})
	alice := s.as(t, "alice", "acquire,read:**")
	ops := s.as(t, "ops", "acquire,break,read:**")
	g := s.do(t, "POST /v1/locks/a/acquire?ttl=1h", alice).grant()
	s.do(t, "POST /v1/locks/a/break?reason=x&take=1", alice).want(403)
	s.do(t, "POST /v1/locks/a/break?reason=x&take=1", s.as(t, "only", "break:**")).want(403)
	s.do(t, "POST /v1/locks/a/break?take=1", ops, onPurpose).wantInvalid("reason")
	s.do(t, "POST /v1/locks/a/break?reason=x&take=maybe", ops, onPurpose).wantInvalid("take")
	s.do(t, "POST /v1/locks/a/break?reason=x&ttl=5m", ops, onPurpose).wantInvalid("take")
	s.do(t, "POST /v1/locks/a/break?reason=x&meta.a=b", ops, onPurpose).wantInvalid("take")
	s.do(t, "POST /v1/locks/a/break?reason=x&take=1&ttl=5h", ops, onPurpose).wantInvalid("ttl")
	s.do(t, "POST /v1/locks/free/break?reason=x&take=1", ops).want(409, api.CodeNotHeld)
	s.do(t, fmt.Sprintf("POST /v1/locks/a/break?reason=x&take=1&fencing_token=%d", g.FencingToken+1), ops).want(409, api.CodeNotHeld)

	waits := make(chan answer, 1)
	go func() { waits <- s.do(t, "POST /v1/locks/a/acquire?wait=30s", alice) }()
	for s.table.Stats().Waiters == 0 {
		time.Sleep(time.Millisecond)
	}
	taken := s.do(t, fmt.Sprintf("POST /v1/locks/a/break?fencing_token=%d", g.FencingToken), ops, jsonBody(`{"take":1,"reason":"pager","ttl":"5m","holder":"ops-1","metadata":{"ticket":"OPS-7"}}`)).grant()
	if taken.Account != "ops" || taken.Holder != "ops-1" || taken.TTLMS != 300_000 || taken.FencingToken <= g.FencingToken {
		t.Errorf("got %+v", taken)
	}
	if got := s.do(t, "GET /v1/locks/a", ops).lock(); got.Lease.Reason != "pager" || got.Lease.Metadata["ticket"] != "OPS-7" || got.WaitersTotal != 1 {
		t.Errorf("it is %+v", got)
	}
	s.do(t, "POST /v1/locks/a/release", alice, header("Octostore-Lease", g.LeaseID)).want(409, api.CodeNotHeld)
	s.do(t, "POST /v1/locks/a/release", ops, header("Octostore-Lease", taken.LeaseID)).want(200)
	(<-waits).want(200)
	text := s.do(t, "POST /v1/locks/a/break?reason=x&take=1", ops, header("Accept", "text/plain")).want(200)
	if !strings.HasPrefix(text.header.Get("Content-Type"), "text/plain") || len(bytes.Fields(text.body)) != 2 {
		t.Errorf("got %s", text.body)
	}
}

func TestTokensOverHTTP(t *testing.T) {
	s := newServer(t, setup{})
	s.do(t, "POST /v1/tokens?account=a&scopes=acquire:a", onPurpose).wantInvalid("scopes") // it would lock out all clients
	first := decode[api.NewToken](s.do(t, "POST /v1/tokens?account=root&scopes=admin&name=first").want(200))
	s.do(t, "GET /v1/tokens").want(401)
	admin := header("Authorization", "Bearer "+first.Secret)
	for line, field := range map[string]string{
		"POST /v1/tokens": "scopes", "POST /v1/tokens?scopes=admin": "account", "POST /v1/tokens?account=a%20b&scopes=admin": "account",
		"POST /v1/tokens?account=a&scopes=write:**": "scopes", "POST /v1/tokens?account=a&scopes=admin&expires=0": "expires", "POST /v1/tokens?account=a&scopes=admin&expires=-1h": "expires",
		"POST /v1/tokens?account=a&scopes=admin&expires=soon": "expires", "POST /v1/tokens/" + first.ID + "/rotate?grace=9999h": "grace",
	} {
		s.do(t, line, admin, onPurpose).wantInvalid(field)
	}
	ci := decode[api.NewToken](s.do(t, "POST /v1/tokens", admin, jsonBody(`{"account":"ci","scopes":"acquire,read:ci/**","expires":3600}`)).want(200))
	if ci.ExpiresAt == nil || !ci.ExpiresAt.Equal(ci.CreatedAt.Add(time.Hour)) || ci.Scopes != "acquire,read:ci/**" {
		t.Errorf("got %+v", ci)
	}
	next := decode[api.NewToken](s.do(t, "POST /v1/tokens/"+ci.ID+"/rotate", admin).want(200))
	s.do(t, "POST /v1/locks/ci/a/acquire", header("Authorization", "Bearer "+ci.Secret)).want(401)
	s.do(t, "POST /v1/locks/ci/a/acquire", header("Authorization", "Bearer "+next.Secret)).want(200)
	s.do(t, "DELETE /v1/tokens/"+next.ID, admin).want(200)
	s.do(t, "DELETE /v1/tokens/"+next.ID, admin).want(404, api.CodeNotFound)
	s.do(t, "DELETE /v1/tokens/a%2Fb", admin).want(404, api.CodeNotFound)
	s.do(t, "GET /v1/tokens/"+next.ID, admin).want(405)
	s.do(t, "POST /v1/locks/ci/a/acquire", header("Authorization", "Bearer "+next.Secret)).want(401)
	a := s.do(t, "GET /v1/tokens", admin).want(200)
	if list := decode[api.TokenList](a); len(list.Tokens) != 3 || list.Tokens[0].UsedAt == nil || list.Tokens[2].RevokedAt == nil {
		t.Errorf("listed are %+v", list)
	}
	for _, secret := range []string{first.Secret, ci.Secret, next.Secret} {
		if bytes.Contains(a.body, []byte(secret)) {
			t.Error("the list shows a secret")
		}
	}
}

// unsureStore loses the answers to writes of tokens, as etcd may.
type unsureStore struct {
	*memory.Store
	unsure atomic.Bool
}

func (s *unsureStore) PutTokens(ctx context.Context, tokens ...auth.Token) error {
	if s.unsure.Load() {
		return fmt.Errorf("write tokens: %w", errors.Join(lock.ErrOutcomeUnknown, lock.ErrDeposed))
	}
	return s.Store.PutTokens(ctx, tokens...)
}

func TestTokenChangesOfUnknownOutcomeSaySo(t *testing.T) {
	store := &unsureStore{Store: memory.New()}
	s := newServer(t, setup{store: store})
	admin := s.as(t, "ops", "admin")
	token := decode[api.NewToken](s.do(t, "POST /v1/tokens?account=ci&scopes=read:**", admin).want(200))
	store.unsure.Store(true)
	s.do(t, "DELETE /v1/tokens/"+token.ID, admin).want(503, api.CodeOutcomeUnknown)
	s.do(t, "POST /v1/tokens/"+token.ID+"/rotate", admin).want(503, api.CodeOutcomeUnknown)
	s.do(t, "POST /v1/tokens?account=ci&scopes=read:**", admin).want(503, api.CodeOutcomeUnknown)
	store.unsure.Store(false)
	s.do(t, "DELETE /v1/tokens/"+token.ID, admin).want(200)
}

// When the first token is created, waiters without a token are refused: they are not
// authenticated.
// TestTokenListIsPaged reads 10,000 tokens page by page: no answer is longer than its limit.
func TestTokenListIsPaged(t *testing.T) {
	const many = 10_000
	store := memory.New()
	scopes, err := auth.ParseScopes("acquire,read:ci/**")
	if err != nil {
		t.Fatal(err)
	}
	for i := range many {
		id := fmt.Sprintf("t%05d", i)
		token := auth.Token{ID: id, Account: "ci", Scopes: scopes, Hash: sha256.Sum256([]byte(id)), Created: time.Unix(1_800_000_000, 0)}
		if err := store.PutTokens(t.Context(), token); err != nil {
			t.Fatal(err)
		}
	}
	s := newServer(t, setup{store: store})
	admin := s.as(t, "ops", "admin")
	for query, most := range map[string]int{"": 1000, "&limit=999": 999, "&limit=1000": 1000} {
		seen := map[string]bool{}
		for after := ""; ; {
			list := decode[api.TokenList](s.do(t, "GET /v1/tokens?after="+after+query, admin).want(200))
			for _, token := range list.Tokens {
				if seen[token.ID] {
					t.Fatalf("%s is on two pages", token.ID)
				}
				seen[token.ID] = true
			}
			if len(list.Tokens) > most || list.Next != "" && len(list.Tokens) < most {
				t.Fatalf("a page of %d tokens, want %d", len(list.Tokens), most)
			}
			if after = list.Next; after == "" {
				break
			}
		}
		if len(seen) != many+1 {
			t.Errorf("%q: listed are %d tokens", query, len(seen))
		}
	}
	s.do(t, "GET /v1/tokens?limit=1001", admin, onPurpose).wantInvalid("limit")
	s.do(t, "GET /v1/tokens?limit=0", admin, onPurpose).wantInvalid("limit")
	s.do(t, "GET /v1/tokens?after=nowhere", admin, onPurpose).wantInvalid("after")
}

func TestTokenCreationRefusesWaitersWithoutOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, setup{})
		g := s.acquire(t, "a")
		ch := make(chan answer, 1)
		go func() { ch <- s.do(t, "POST /v1/locks/a/acquire?wait=10m") }()
		synctest.Wait()
		s.do(t, "POST /v1/tokens?account=root&scopes=admin").want(200)
		(<-ch).want(401, api.CodeUnauthenticated)
		s.do(t, "POST /v1/locks/a/release", header("Octostore-Lease", g.LeaseID)).want(401)
	})
}

// Secrets are nowhere: not in the log, the journal, the metrics, or any answer.
func TestTokenSecretsAreNowhere(t *testing.T) {
	var logged bytes.Buffer
	store := memory.New()
	s := newServer(t, setup{store: store, log: slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug})})
	admin := s.as(t, "root", "admin")
	rootSecret := strings.TrimPrefix(newRequest("GET /", []option{admin}).header.Get("Authorization"), "Bearer ")
	made := decode[api.NewToken](s.do(t, "POST /v1/tokens?account=a&scopes=acquire,read:**", admin).want(200))
	rotated := decode[api.NewToken](s.do(t, "POST /v1/tokens/"+made.ID+"/rotate?grace=1h", admin).want(200))
	stranger := auth.NewSecret()
	as := func(secret string) option { return header("Authorization", "Bearer "+secret) }
	s.do(t, "POST /v1/locks/a/acquire", as(made.Secret), header("User-Agent", rotated.Secret), header("X-Request-Id", rotated.Secret)).want(200)
	s.do(t, "POST /v1/locks/a/acquire", as(rotated.Secret)).want(409)
	s.do(t, "POST /v1/locks/a/break?reason=x", as(rotated.Secret)).want(403)
	s.do(t, "POST /v1/locks/b/acquire", as(stranger)).want(401)
	s.do(t, "POST /v1/locks/b/acquire?token="+stranger, onPurpose).want(400)
	_ = s.tokens.Close() // which records who was not let in
	places := map[string]string{"the log": logged.String()}
	for _, line := range []string{"GET /v1/audit", "GET /v1/audit?format=csv", "GET /metrics", "GET /v1/tokens", "GET /v1/locks", "GET /v1/locks/a"} {
		places[line] = string(s.do(t, line, admin).want(200).body)
	}
	if !strings.Contains(places["GET /v1/audit"], "auth_failed") {
		t.Errorf("the refusal is not on record: %s", places["GET /v1/audit"])
	}
	for where, text := range places {
		for i, secret := range []string{rootSecret, made.Secret, rotated.Secret, stranger} {
			if strings.Contains(text, secret) || strings.Contains(text, secret[5:30]) {
				t.Errorf("secret %d is in %s", i, where)
			}
		}
	}
}
