package auth

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/octostore/octostore/core/input"
	"github.com/octostore/octostore/core/lock"
)

// TokenSpec describes a new token.
type TokenSpec struct {
	Account string
	Name    string
	Scopes  Scopes
	Expires time.Duration // from now; 0: never
	// LoggedIn marks an account that has logged in with a provider: its name is the
	// provider, a colon and the account there. No other account has a colon.
	LoggedIn bool
	// Groups are the groups of the account according to its login, in the form of
	// [lock.Actor]; empty: unknown.
	Groups string
}

func (w TokenSpec) check() error {
	if err := cmp.Or(w.checkAccount(), input.CheckText("name", w.Name, MaxName)); err != nil {
		return err
	}
	if len(w.Scopes.all) == 0 {
		return &input.Error{Field: "scopes", Problem: "are missing", Want: scopeForm}
	}
	if w.Expires < 0 || w.Expires > MaxExpires {
		return &input.Error{Field: "expires", Problem: "is " + w.Expires.String(), Want: "more than nothing and at most ten years"}
	}
	return nil
}

func (w TokenSpec) checkAccount() error {
	if !w.LoggedIn {
		return cmp.Or(CheckAccount(w.Account), checkReserved(w.Account))
	}
	where, who, _ := strings.Cut(w.Account, ":")
	if len(w.Account) > MaxAccount {
		return CheckAccount(w.Account)
	}
	return cmp.Or(CheckAccount(where), CheckAccount(who))
}

// Create creates a token and returns it with its secret, which cannot be shown again. From
// the first token on every request needs one.
//
// The token is recorded before it can be used. Errors: [*input.Error]; [ErrRevoked] and
// [ErrExpired] if the token of the request has ended; those of the store and of the
// recorder. After an error the new token cannot be used: no one has its secret. After
// [lock.ErrOutcomeUnknown] it may be listed later.
func (ts *Tokens) Create(ctx context.Context, by lock.Origin, w TokenSpec) (Token, string, error) {
	if err := w.check(); err != nil {
		return Token{}, "", err
	}
	ts.changing.Lock()
	defer ts.changing.Unlock()
	if err := ts.stillGood(by); err != nil {
		return Token{}, "", err
	}
	t, secret := newToken(w, time.Now())
	if err := ts.record(ctx, by, lock.TokenCreated, &t, ""); err != nil {
		return Token{}, "", err
	}
	if err := ts.cfg.Store.PutTokens(ctx, t); err != nil {
		return Token{}, "", fmt.Errorf("keep the token: %w", err)
	}
	ts.replace(nil, t)
	return t, secret, nil
}

// stillGood returns an error if the token of the request ended while the change waited for
// other changes: changes queued with a token must not happen after it is revoked. The
// caller holds changing.
func (ts *Tokens) stillGood(by lock.Origin) error {
	if by.Actor.TokenID == "" {
		return nil
	}
	for _, e := range ts.current.Load().byHash {
		if e.ID == by.Actor.TokenID {
			return e.life.err(time.Now())
		}
	}
	return ErrRevoked // a token of the file, which was reloaded
}

func newToken(w TokenSpec, now time.Time) (Token, string) {
	now = now.UTC().Truncate(time.Millisecond)
	secret := NewSecret()
	t := Token{
		ID:      strings.ToLower(rand.Text()[:12]),
		Name:    w.Name,
		Account: w.Account,
		Scopes:  w.Scopes,
		Groups:  w.Groups,
		Hash:    sha256.Sum256([]byte(secret)),
		Created: now,
	}
	if w.Expires > 0 {
		t.Expires = now.Add(w.Expires)
	}
	return t, secret
}

// Revoke revokes a token. When it returns, the waiting requests of the token are ending and
// get no lock. Leases acquired with the token stay. Errors: [ErrUnknownID],
// [*input.Error]; [ErrRevoked] and [ErrExpired] if the token of the request has ended;
// those of the store. After [lock.ErrOutcomeUnknown] the token may be revoked, here or from the
// next start on: another call revokes it, or finds with [ErrUnknownID] that it is. After any
// other error nothing has changed.
func (ts *Tokens) Revoke(ctx context.Context, by lock.Origin, id string) (Token, error) {
	ts.changing.Lock()
	defer ts.changing.Unlock()
	if err := ts.stillGood(by); err != nil {
		return Token{}, err
	}
	e, err := ts.find(id)
	if err != nil {
		return Token{}, err
	}
	t := e.token()
	t.Revoked = time.Now().UTC().Truncate(time.Millisecond)
	if err := ts.cfg.Store.PutTokens(ctx, t); err != nil {
		return Token{}, fmt.Errorf("revoke the token: %w", err)
	}
	ts.replace(e, t)
	return t, ts.recordLater(ctx, by, lock.TokenRevoked, &t, "")
}

// Rotate creates a token like an existing one, and ends the old one after grace, at once if
// that is 0. If the old token expires, the new one has the same lifetime. Errors: those of
// [Tokens.Create] and [Tokens.Revoke].
func (ts *Tokens) Rotate(ctx context.Context, by lock.Origin, id string, grace time.Duration) (Token, string, error) {
	const most = 30 * 24 * time.Hour
	if grace < 0 || grace > most {
		return Token{}, "", &input.Error{Field: "grace", Problem: "is " + grace.String(), Want: "0 to 720h"}
	}
	ts.changing.Lock()
	defer ts.changing.Unlock()
	if err := ts.stillGood(by); err != nil {
		return Token{}, "", err
	}
	e, err := ts.find(id)
	if err != nil {
		return Token{}, "", err
	}
	old := e.token()
	if !old.Expires.IsZero() && !time.Now().Before(old.Expires) {
		return Token{}, "", &input.Error{
			Field:   "id",
			Problem: "is that of a token that has expired",
			Want:    "one that is good; a new token can be made",
		}
	}
	w := TokenSpec{Account: old.Account, Name: old.Name, Scopes: old.Scopes, Groups: old.Groups}
	if !old.Expires.IsZero() {
		w.Expires = old.Expires.Sub(old.Created)
	}
	t, secret := newToken(w, time.Now())
	if grace == 0 {
		old.Revoked = t.Created
	} else if end := t.Created.Add(grace); old.Expires.IsZero() || end.Before(old.Expires) {
		old.Expires = end
	}
	if err := ts.record(ctx, by, lock.TokenCreated, &t, "in the place of "+id); err != nil {
		return Token{}, "", err
	}
	if err := ts.cfg.Store.PutTokens(ctx, t, old); err != nil {
		return Token{}, "", fmt.Errorf("keep the tokens: %w", err)
	}
	ts.replace(e, old, t)
	until := ""
	if grace > 0 {
		until = "good until " + old.Expires.Format(time.RFC3339)
	}
	return t, secret, ts.recordLater(ctx, by, lock.TokenRevoked, &old, until)
}

// replace publishes tokens. If old was revoked, its lifetime ends. Else the new entry shares
// it, so that requests authenticated with the old entry end with the new one.
func (ts *Tokens) replace(old *entry, tokens ...Token) {
	ts.mu.Lock()
	ts.publish(func(s *snapshot) {
		for _, t := range tokens {
			e := newEntry(t)
			if old != nil && t.ID == old.ID && t.Revoked.IsZero() {
				e.life, e.principal.life = old.life, old.life
			}
			s.byHash[t.Hash] = e
		}
	})
	if old != nil {
		ts.changes++
	}
	now := ts.current.Load()
	ts.mu.Unlock()
	switch {
	case old == nil:
	case now.byHash[old.Hash].life == old.life:
		old.life.shorten(now.byHash[old.Hash].Expires)
	default:
		old.life.end(ErrRevoked)
	}
}

// record records that a token was created or revoked, by which account, and what the token
// allows; never its secret.
func (ts *Tokens) record(ctx context.Context, by lock.Origin, kind lock.Kind, t *Token, more string) error {
	said := fmt.Sprintf("token %s of account %s: %s", t.ID, t.Account, t.Scopes)
	if t.Name != "" {
		said = fmt.Sprintf("token %s (%s) of account %s: %s", t.ID, t.Name, t.Account, t.Scopes)
	}
	if more != "" {
		said += "; " + more
	}
	_, err := ts.cfg.Recorder.Append(ctx, lock.Event{
		Kind: kind, Actor: by.Actor, RequestID: by.RequestID, TraceID: by.TraceID, Cause: said,
	})
	if err != nil {
		return fmt.Errorf("record the token: %w", err)
	}
	return nil
}

// recordLater is record for a change that is done already. On a full disk it logs the change
// and returns nil, because an error would say that nothing has changed. After any other failure it
// returns [lock.ErrOutcomeUnknown]: the error of a lock table that has moved, too, says that nothing
// was done.
func (ts *Tokens) recordLater(ctx context.Context, by lock.Origin, kind lock.Kind, t *Token, more string) error {
	err := ts.record(ctx, by, kind, t, more)
	if err == nil {
		return nil
	}
	ts.log.Error("a change of a token is not on record", "kind", kind, "token_id", t.ID, "err", err)
	if errors.Is(err, lock.ErrFull) {
		return nil
	}
	return errors.Join(lock.ErrOutcomeUnknown, err)
}

// Reload reads the tokens file again. A token that is no longer in it stops working, also
// for waiting requests; so does the old version of a token whose account or scopes have
// changed. After an error the tokens stay as they were, except after one of the recorder. It
// returns the changes in words.
func (ts *Tokens) Reload(ctx context.Context) (changes string, err error) {
	ts.changing.Lock()
	defer ts.changing.Unlock()
	if ts.cfg.File == "" {
		return "no tokens file", nil
	}
	listed, err := readFile(ts.cfg.File)
	if err != nil {
		return "", err
	}
	var gone []*entry
	var come []Token
	same := map[[sha256.Size]byte]bool{}
	before := ts.current.Load()
	for _, t := range listed {
		if e := before.byHash[t.Hash]; e != nil && (!e.FromFile || e.Account == t.Account && e.Scopes.text == t.Scopes.text) {
			same[t.Hash] = true
			continue
		}
		come = append(come, t)
	}
	for hash, e := range before.byHash {
		if e.FromFile && !same[hash] {
			gone = append(gone, e)
		}
	}
	ts.swap(gone, come, listedIn(listed))
	slices.SortFunc(gone, func(a, b *entry) int { return cmp.Compare(a.ID, b.ID) })
	var failed []error
	for _, e := range gone {
		failed = append(failed, ts.recordLater(ctx, lock.Origin{}, lock.TokenRevoked, &e.Token, "tokens file"))
	}
	for i := range come {
		failed = append(failed, ts.recordLater(ctx, lock.Origin{}, lock.TokenCreated, &come[i], "tokens file"))
	}
	return fmt.Sprintf("%d gone, %d new, %d as before", len(gone), len(come), len(same)), errors.Join(failed...)
}

func (ts *Tokens) swap(gone []*entry, come []Token, listed map[[sha256.Size]byte]bool) {
	ts.mu.Lock()
	ts.publish(func(s *snapshot) {
		s.listed = listed
		for _, e := range gone {
			delete(s.byHash, e.Hash)
		}
		for _, t := range come {
			s.byHash[t.Hash] = newEntry(t)
		}
	})
	ts.changes++
	ts.mu.Unlock()
	for _, e := range gone {
		e.life.end(ErrRevoked)
	}
}
