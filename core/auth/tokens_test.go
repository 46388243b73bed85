package auth_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/input"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// journal keeps what is recorded.
type journal struct {
	mu     sync.Mutex
	events []lock.Event
	err    error
}

func (j *journal) Append(_ context.Context, e lock.Event) (lock.Seq, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err == nil {
		j.events = append(j.events, e)
	}
	return lock.Seq(len(j.events)), j.err
}

// all returns what is recorded so far.
func (j *journal) all() []lock.Event {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.events)
}

func (j *journal) kinds() string {
	var kinds []string
	for _, e := range j.all() {
		kinds = append(kinds, string(e.Kind))
	}
	return strings.Join(kinds, " ")
}

// failing is a store whose writes fail.
type failing struct {
	*memory.Store
	err error
}

func (f *failing) PutTokens(ctx context.Context, tokens ...auth.Token) error {
	if f.err != nil {
		return f.err
	}
	return f.Store.PutTokens(ctx, tokens...)
}

type house struct {
	*auth.Tokens
	store   *failing
	journal *journal
}

func open(t *testing.T, store *memory.Store, file string) house {
	t.Helper()
	h := house{store: &failing{Store: store}, journal: &journal{}}
	var err error
	if h.Tokens, err = auth.Open(t.Context(), auth.Config{Store: h.store, Recorder: h.journal, File: file}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

func wish(t *testing.T, account, scopes string) auth.TokenSpec {
	t.Helper()
	parsed, err := auth.ParseScopes(scopes)
	if err != nil {
		t.Fatal(err)
	}
	return auth.TokenSpec{Account: account, Scopes: parsed}
}

func (h house) mustCreate(t *testing.T, w auth.TokenSpec) (auth.Token, string) {
	t.Helper()
	token, secret, err := h.Create(t.Context(), lock.Origin{}, w)
	if err != nil {
		t.Fatal(err)
	}
	return token, secret
}

func (h house) as(t *testing.T, secret string) (auth.Principal, error) {
	t.Helper()
	return h.Authenticate(t.Context(), secret, time.Now())
}

func (h house) want(t *testing.T, secret string, want error) auth.Principal {
	t.Helper()
	p, err := h.as(t, secret)
	if !errors.Is(err, want) {
		t.Fatalf("got %v, want %v", err, want)
	}
	return p
}

func TestFirstTokenRequiresTokensForGood(t *testing.T) {
	store := memory.New()
	h := open(t, store, "")
	local, err := h.Local()
	if err != nil || h.TokensRequired() || !local.MayAll(auth.Admin) || local.Account != "local" {
		t.Fatalf("the door is not open: %+v, %v", local, err)
	}
	token, _ := h.mustCreate(t, wish(t, "alice", "acquire:a"))
	if _, err := h.Local(); !errors.Is(err, auth.ErrNoToken) || !h.TokensRequired() {
		t.Errorf("the door is open: %v", err)
	}
	if err := local.Err(time.Now()); !errors.Is(err, auth.ErrNoToken) {
		t.Errorf("who came in before stays: %v", err)
	}
	if _, err := h.Revoke(t.Context(), lock.Origin{}, token.ID); err != nil {
		t.Fatal(err)
	}
	if !h.TokensRequired() || !open(t, store, "").TokensRequired() {
		t.Error("revoking the last token opened it again")
	}
}

func TestTokenAuthenticatesUntilItIsRevoked(t *testing.T) {
	h := open(t, memory.New(), "")
	w := wish(t, "alice", "acquire:a/**")
	w.Name = "ci"
	token, secret := h.mustCreate(t, w)
	p := h.want(t, secret, nil)
	if p.Account != "alice" || p.TokenID != token.ID || !p.May(auth.Acquire, "a/x") || p.May(auth.Read, "a/x") {
		t.Errorf("it is %+v", p)
	}
	for _, wrong := range []string{"", "octo_", secret[1:], secret + "x", auth.NewSecret(), strings.Repeat("x", 300), token.ID} {
		h.want(t, wrong, auth.ErrBadToken)
	}
	within, cancel := p.Within(t.Context())
	defer cancel()
	if _, err := h.Revoke(t.Context(), lock.Origin{Actor: lock.Actor{Account: "root"}}, token.ID); err != nil {
		t.Fatal(err)
	}
	h.want(t, secret, auth.ErrRevoked)
	if err := p.Err(time.Now()); !errors.Is(err, auth.ErrRevoked) {
		t.Errorf("the principal is still good: %v", err)
	}
	<-within.Done()
	if err := context.Cause(within); !errors.Is(err, auth.ErrRevoked) {
		t.Errorf("the cause is %v", err)
	}
	if _, err := h.Revoke(t.Context(), lock.Origin{}, token.ID); !errors.Is(err, auth.ErrUnknownID) {
		t.Errorf("it can be revoked again: %v", err)
	}
	if got := h.journal.kinds(); got != "token_created token_revoked" {
		t.Fatalf("on record is %q", got)
	}
	revoked := h.journal.all()[1]
	if revoked.Actor.Account != "root" || revoked.Cause != "token "+token.ID+" (ci) of account alice: acquire:a/**" {
		t.Errorf("on record is %+v", revoked)
	}
	for _, e := range h.journal.all() {
		if strings.Contains(e.Cause, secret[5:20]) {
			t.Errorf("the secret is on record: %s", e.Cause)
		}
	}
}

func TestTokensAreThereAfterARestart(t *testing.T) {
	store := memory.New()
	h := open(t, store, "")
	gone, goneSecret := h.mustCreate(t, wish(t, "bob", "admin"))
	_, secret := h.mustCreate(t, wish(t, "alice", "admin"))
	if _, err := h.Revoke(t.Context(), lock.Origin{}, gone.ID); err != nil {
		t.Fatal(err)
	}
	h = open(t, store, "")
	h.want(t, secret, nil)
	h.want(t, goneSecret, auth.ErrRevoked)
	if all := h.List(); len(all) != 2 {
		t.Errorf("%d are listed", len(all))
	}
}

// Another process, or another node, may have added one.
func TestTokenUnknownInMemoryIsLookedUp(t *testing.T) {
	store := memory.New()
	h, other := open(t, store, ""), open(t, store, "")
	_, secret := other.mustCreate(t, wish(t, "alice", "admin"))
	if p := h.want(t, secret, nil); p.Account != "alice" || !h.TokensRequired() {
		t.Errorf("it is %+v", p)
	}
	for range 200 { // guessed tokens are not looked up without end
		h.want(t, auth.NewSecret(), auth.ErrBadToken)
	}
}

func TestTokenThatExpiresIsRefusedAlsoForItsWaiters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, memory.New(), "")
		w := wish(t, "alice", "admin")
		w.Expires = time.Hour
		_, secret := h.mustCreate(t, w)
		p := h.want(t, secret, nil)
		within, cancel := p.Within(t.Context())
		defer cancel()
		time.Sleep(time.Hour - time.Millisecond)
		h.want(t, secret, nil)
		if within.Err() != nil {
			t.Error("it ended early")
		}
		time.Sleep(time.Millisecond)
		h.want(t, secret, auth.ErrExpired)
		<-within.Done()
		if err := context.Cause(within); !errors.Is(err, auth.ErrExpired) || !errors.Is(p.Err(time.Now()), auth.ErrExpired) {
			t.Errorf("the cause is %v", err)
		}
		_ = h.Close()
	})
}

func TestRotating(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, memory.New(), "")
		w := wish(t, "alice", "read:a")
		w.Name, w.Expires = "ci", 30*24*time.Hour
		first, old := h.mustCreate(t, w)
		time.Sleep(24 * time.Hour)
		second, fresh, err := h.Rotate(t.Context(), lock.Origin{}, first.ID, 0)
		if err != nil || second.ID == first.ID || second.Account != "alice" || second.Name != "ci" || second.Scopes.String() != "read:a" ||
			second.Expires != second.Created.Add(w.Expires) {
			t.Fatalf("%+v, %v", second, err)
		}
		h.want(t, old, auth.ErrRevoked)
		waits := h.want(t, fresh, nil)

		third, newest, err := h.Rotate(t.Context(), lock.Origin{}, second.ID, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		h.want(t, newest, nil)
		h.want(t, fresh, nil)
		if err := waits.Err(time.Now()); err != nil {
			t.Errorf("who waits by the old one is sent away before its end: %v", err)
		}
		within, cancel := waits.Within(t.Context())
		defer cancel()
		time.Sleep(time.Hour)
		synctest.Wait()
		h.want(t, fresh, auth.ErrExpired)
		if !errors.Is(context.Cause(within), auth.ErrExpired) {
			t.Errorf("who waits by the old one stays: %v", context.Cause(within))
		}
		if _, _, err := h.Rotate(t.Context(), lock.Origin{}, second.ID, 0); !errors.As(err, new(*input.Error)) {
			t.Errorf("a token that has expired comes to life again: %v", err)
		}
		if _, _, err := h.Rotate(t.Context(), lock.Origin{}, third.ID, -1); err == nil {
			t.Error("a grace below nothing is taken")
		}
		if got := h.journal.kinds(); got != "token_created token_created token_revoked token_created token_revoked" {
			t.Errorf("on record is %q", got)
		}
		_ = h.Close()
	})
}

// Requests authenticated before a token was rotated end when it is revoked.
func TestRevokingDuringTheGraceOfARotation(t *testing.T) {
	h := open(t, memory.New(), "")
	first, old := h.mustCreate(t, wish(t, "alice", "admin"))
	p := h.want(t, old, nil)
	if _, _, err := h.Rotate(t.Context(), lock.Origin{}, first.ID, time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Revoke(t.Context(), lock.Origin{}, first.ID); err != nil {
		t.Fatal(err)
	}
	if err := p.Err(time.Now()); !errors.Is(err, auth.ErrRevoked) {
		t.Errorf("got %v", err)
	}
	h.want(t, old, auth.ErrRevoked)
}

func TestTokenChangesThatCannotBeRecordedFail(t *testing.T) {
	h := open(t, memory.New(), "")
	h.journal.err = lock.ErrFull
	if _, _, err := h.Create(t.Context(), lock.Origin{}, wish(t, "a", "admin")); !errors.Is(err, lock.ErrFull) || h.TokensRequired() {
		t.Errorf("got %v", err)
	}
	h.journal.err, h.store.err = nil, lock.ErrFull
	if _, _, err := h.Create(t.Context(), lock.Origin{}, wish(t, "a", "admin")); !errors.Is(err, lock.ErrFull) || h.TokensRequired() {
		t.Errorf("got %v", err)
	}
	h.store.err = nil
	token, secret := h.mustCreate(t, wish(t, "a", "admin"))
	h.store.err = lock.ErrFull
	if _, err := h.Revoke(t.Context(), lock.Origin{}, token.ID); !errors.Is(err, lock.ErrFull) {
		t.Errorf("got %v", err)
	}
	if _, _, err := h.Rotate(t.Context(), lock.Origin{}, token.ID, 0); !errors.Is(err, lock.ErrFull) {
		t.Errorf("got %v", err)
	}
	h.want(t, secret, nil)
	h.store.err, h.journal.err = nil, lock.ErrFull
	if _, err := h.Revoke(t.Context(), lock.Origin{}, token.ID); err != nil { // better revoked than recorded
		t.Errorf("got %v", err)
	}
	h.want(t, secret, auth.ErrRevoked)
}

func TestTokenSpecNamesItsMistakes(t *testing.T) {
	h := open(t, memory.New(), "")
	good := wish(t, "a", "admin")
	for field, change := range map[string]func(*auth.TokenSpec){
		"account": func(w *auth.TokenSpec) { w.Account = "a b" },
		"name":    func(w *auth.TokenSpec) { w.Name = "a\nb" },
		"scopes":  func(w *auth.TokenSpec) { w.Scopes = auth.Scopes{} },
		"expires": func(w *auth.TokenSpec) { w.Expires = -1 },
	} {
		w := good
		change(&w)
		_, _, err := h.Create(t.Context(), lock.Origin{}, w)
		var input *input.Error
		if !errors.As(err, &input) || input.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
}

// When a token was used last is coarse, and written by the minute.
func TestLastUsedIsWrittenNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		h := open(t, store, "")
		token, secret := h.mustCreate(t, wish(t, "alice", "admin"))
		stored := func() time.Time {
			got, _, err := store.TokenByHash(t.Context(), token.Hash)
			if err != nil {
				t.Fatal(err)
			}
			return got.Used
		}
		first := time.Now()
		h.want(t, secret, nil)
		if !stored().IsZero() {
			t.Error("a request wrote")
		}
		time.Sleep(61 * time.Second)
		synctest.Wait()
		if got := stored(); got.Unix() != first.Unix() {
			t.Errorf("it was used at %s, stored is %s", first, got)
		}
		h.want(t, secret, nil)
		_ = h.Close()
		if got := stored(); got.Unix() != time.Now().Unix() {
			t.Errorf("the end of the server did not write it: %s", got)
		}
	})
}

func TestRefusalsAreRecordedTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, memory.New(), "")
		for i := range 1000 {
			h.CountFailure("192.0.2."+string(rune('0'+i%10))+":4711", auth.ErrNoToken)
		}
		h.CountFailure("[2001:db8::1]:1", auth.ErrBadToken)
		time.Sleep(2 * time.Second)
		h.CountFailure("192.0.2.1:1", auth.ErrRevoked)
		time.Sleep(50 * time.Second)
		synctest.Wait()
		if got := h.journal.kinds(); got != "auth_failed" {
			t.Fatalf("on record is %q", got)
		}
		want := "1001 requests were not let in since 2000-01-01T00:00:00Z: 1 with one that is not known, 1000 without a token; from 192.0.2.0, "
		if got := h.journal.all()[0].Cause; !strings.HasPrefix(got, want) || !strings.HasSuffix(got, ", 192.0.2.7, others") {
			t.Errorf("on record is %q", got)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(h.journal.all()) != 2 || !strings.Contains(h.journal.all()[1].Cause, "1 request was not let in since 2000-01-01T00:00:02Z: 1 with one that was revoked; from 192.0.2.1") {
			t.Errorf("on record is %+v", h.journal.all())
		}
		h.CountFailure("192.0.2.1:1", auth.ErrExpired)
		_ = h.Close()
		if len(h.journal.all()) != 3 {
			t.Error("the end of the server forgets refusals")
		}
		h.CountFailure("x", auth.ErrExpired)
		h.CountFailure("x", auth.ErrExpired)
	})
}

func BenchmarkAuthenticate(b *testing.B) {
	tokens, err := auth.Open(b.Context(), auth.Config{Store: memory.New(), Recorder: &journal{}})
	if err != nil {
		b.Fatal(err)
	}
	defer tokens.Close()
	parsed, err := auth.ParseScopes("acquire,read:team-a/** break:team-a/x")
	if err != nil {
		b.Fatal(err)
	}
	_, secret, err := tokens.Create(b.Context(), lock.Origin{}, auth.TokenSpec{Account: "a", Scopes: parsed})
	if err != nil {
		b.Fatal(err)
	}
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		p, err := tokens.Authenticate(b.Context(), secret, now)
		if err != nil || !p.May(auth.Acquire, "team-a/deploy/prod") {
			b.Fatal(err)
		}
	}
}
