package auth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/octostore/octostore/core/input"
	"github.com/octostore/octostore/core/lock"
)

// Recorder is where it is recorded what becomes of tokens.
type Recorder interface {
	Append(ctx context.Context, e lock.Event) (lock.Seq, error)
}

// Config is what [Tokens] need. Store and Recorder must be set.
type Config struct {
	Store    Store
	Recorder Recorder
	// File is the path of a tokens file, see [Tokens.Reload]; empty: there is none.
	File string
	// Closed: there is another way to get a token, so the door is closed from the beginning.
	TokensRequired bool
	Logger         *slog.Logger // nil: nothing is logged
}

// How often something is written that nobody waits for.
const (
	usedEvery    = time.Minute // when tokens were used; also how coarse that is
	failureFirst = time.Second // after the first refusal
	failureEvery = time.Minute // from one record of refusals to the next
)

// Tokens are all the tokens of a server. They are safe for use by many goroutines.
type Tokens struct {
	cfg      Config
	log      *slog.Logger
	current  atomic.Pointer[snapshot]
	failures failures
	misses   misses

	changing sync.Mutex // one change at a time, up to the store and back
	mu       sync.Mutex // held for moments, to replace current
	changes  uint64     // guarded by mu: how often something was taken away

	stop  context.CancelFunc
	ended sync.WaitGroup
}

// snapshot is what is known at one moment. It never changes.
type snapshot struct {
	byHash map[[sha256.Size]byte]*entry
	closed bool  // only tokens open the door
	local  *life // of those who came in while it was open
}

// entry is a token that is known.
type entry struct {
	Token     // its Used is of when it was loaded
	life      *life
	principal Principal
	used      atomic.Int64 // unix seconds
	dirty     atomic.Bool  // used is not in the store yet
}

func newEntry(t Token) *entry {
	e := &entry{Token: t, life: newLife(t.Expires)}
	e.principal = Principal{Account: t.Account, TokenID: t.ID, Groups: t.Groups, scopes: &e.Token.Scopes, life: e.life}
	if !t.Used.IsZero() {
		e.used.Store(t.Used.Unix())
	}
	if !t.Revoked.IsZero() {
		e.life.end(ErrRevoked)
	}
	return e
}

// Open reads all tokens. The caller closes them, before the store.
func Open(ctx context.Context, cfg Config) (*Tokens, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	kept, err := cfg.Store.Tokens(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the tokens: %w", err)
	}
	s := &snapshot{byHash: map[[sha256.Size]byte]*entry{}, closed: cfg.TokensRequired, local: newLife(time.Time{})}
	if cfg.File != "" {
		listed, err := readFile(cfg.File)
		if err != nil {
			return nil, err
		}
		for _, t := range listed {
			s.byHash[t.Hash] = newEntry(t)
		}
		s.closed = true
	}
	for _, t := range kept {
		s.byHash[t.Hash] = newEntry(t) // what was revoked stays so, whatever the file says
		s.closed = true
	}
	ts := &Tokens{cfg: cfg, log: cfg.Logger}
	ts.failures.wake = make(chan struct{}, 1)
	ts.current.Store(s)
	ctx, ts.stop = context.WithCancel(context.Background())
	ts.ended.Go(func() { ts.keepUsed(ctx) })
	ts.ended.Go(func() { ts.keepFailures(ctx) })
	return ts, nil
}

// Close writes what is not written yet. Tokens go on to be known.
func (ts *Tokens) Close() error {
	ts.stop()
	ts.ended.Wait()
	return nil
}

// Closed reports whether only tokens open the door. It never opens again.
func (ts *Tokens) TokensRequired() bool { return ts.current.Load().closed }

// Local returns the principal of those without a token, or [ErrNoToken] if there are
// tokens.
func (ts *Tokens) Local() (Principal, error) {
	s := ts.current.Load()
	if s.closed {
		return Principal{}, ErrNoToken
	}
	p := Local()
	p.life = s.local
	return p, nil
}

// Authenticate returns whose token it is that has this secret. It waits for the store
// only if the secret has the form of one and is not known. Errors: [ErrBadToken],
// [ErrExpired], [ErrRevoked].
func (ts *Tokens) Authenticate(ctx context.Context, secret string, now time.Time) (Principal, error) {
	const most = 256 // longer than any secret
	if len(secret) > most {
		return Principal{}, ErrBadToken
	}
	var text [most]byte
	hash := sha256.Sum256(text[:copy(text[:], secret)])
	e := ts.current.Load().byHash[hash]
	if e == nil && wellFormed(secret) {
		e = ts.lookUp(ctx, hash, now)
	}
	if e == nil || subtle.ConstantTimeCompare(e.Hash[:], hash[:]) != 1 {
		return Principal{}, ErrBadToken
	}
	if err := e.life.err(now); err != nil {
		return Principal{}, err
	}
	e.touch(now)
	return e.principal, nil
}

// touch keeps in mind that the token is in use.
func (e *entry) touch(now time.Time) {
	seconds := now.Unix()
	if last := e.used.Load(); seconds-last >= int64(usedEvery/time.Second) {
		e.used.Store(seconds)
		e.dirty.Store(true)
	}
}

// lookUp asks the store for a token that is not known. While it asks, tokens may be
// taken away; what it found is then no news, and is left.
func (ts *Tokens) lookUp(ctx context.Context, hash [sha256.Size]byte, now time.Time) *entry {
	if !ts.misses.allow(now) {
		return nil
	}
	ts.mu.Lock()
	before := ts.changes
	ts.mu.Unlock()
	t, found, err := ts.cfg.Store.TokenByHash(ctx, hash)
	if err != nil && ctx.Err() == nil {
		ts.log.Error("a token could not be looked up", "err", err)
	}
	if err != nil || !found {
		return nil
	}
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if e := ts.current.Load().byHash[hash]; e != nil || ts.changes != before {
		return e
	}
	e := newEntry(t)
	ts.publish(func(s *snapshot) { s.byHash[hash] = e })
	return e
}

// misses bounds how often the store is asked for tokens nobody knows, whoever asks. All
// tokens are known from the start on, so it matters only where somebody else adds some.
type misses struct{ second, asked atomic.Int64 }

func (m *misses) allow(now time.Time) bool {
	const perSecond = 100
	if s := now.Unix(); m.second.Swap(s) != s {
		m.asked.Store(0)
	}
	return m.asked.Add(1) <= perSecond
}

// publish replaces the snapshot by a changed copy. The caller holds mu.
func (ts *Tokens) publish(change func(*snapshot)) {
	old := ts.current.Load()
	next := &snapshot{byHash: maps.Clone(old.byHash), closed: old.closed, local: old.local}
	change(next)
	next.closed = next.closed || len(next.byHash) > 0
	ts.current.Store(next)
	if next.closed {
		next.local.end(ErrNoToken)
	}
}

// List returns all tokens, revoked ones too, the oldest first.
func (ts *Tokens) List() []Token {
	var all []Token
	for _, e := range ts.current.Load().byHash {
		all = append(all, e.token())
	}
	slices.SortFunc(all, func(a, b Token) int {
		if c := a.Created.Compare(b.Created); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return all
}

func (e *entry) token() Token {
	t := e.Token
	if used := e.used.Load(); used > 0 {
		t.Used = time.Unix(used, 0).UTC()
	}
	return t
}

// find returns the token with an id that can be changed here: it is not revoked, nor of
// the file.
func (ts *Tokens) find(id string) (*entry, error) {
	for _, e := range ts.current.Load().byHash {
		switch {
		case e.ID != id || !e.Revoked.IsZero():
		case e.FromFile:
			return nil, &input.Error{
				Field:   "id",
				Problem: "is that of a token in the tokens file",
				Want:    "that it is changed there; SIGHUP reads the file again",
			}
		default:
			return e, nil
		}
	}
	return nil, ErrUnknownID
}

// keepUsed writes now and then when tokens were used.
func (ts *Tokens) keepUsed(ctx context.Context) {
	timer := time.NewTicker(usedEvery)
	defer timer.Stop()
	for ctx.Err() == nil {
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		if err := ts.writeUsed(); err != nil && !errors.Is(err, lock.ErrFull) {
			ts.log.Warn("it is not written down when tokens were used last", "err", err)
		}
	}
}

func (ts *Tokens) writeUsed() error {
	const patience = 2 * time.Second
	used := map[string]time.Time{}
	var entries []*entry
	for _, e := range ts.current.Load().byHash {
		if !e.FromFile && e.dirty.Swap(false) {
			entries = append(entries, e)
			used[e.ID] = time.Unix(e.used.Load(), 0).UTC()
		}
	}
	if len(used) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := ts.cfg.Store.TouchTokens(ctx, used)
	if err != nil {
		for _, e := range entries {
			e.dirty.Store(true)
		}
	}
	return err
}
