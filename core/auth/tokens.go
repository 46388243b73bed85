package auth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/octostore/octostore/core/input"
	"github.com/octostore/octostore/core/lock"
)

// Recorder records changes of tokens.
type Recorder interface {
	Append(ctx context.Context, e lock.Event) (lock.Seq, error)
}

// Config configures [Tokens]. Store and Recorder must be set.
type Config struct {
	Store    Store
	Recorder Recorder
	// File is the path of a tokens file, see [Tokens.Reload]; empty: no file.
	File string
	// TokensRequired requires a token from the start, because there is another way to get
	// one, such as a login.
	TokensRequired bool
	// Retention is how long tokens are kept after they expired or were revoked, 1 s or more;
	// 0: for good.
	Retention time.Duration
	Logger    *slog.Logger // nil: no log
}

// Intervals of writing in the background.
const (
	usedEvery    = time.Minute // times of last use; also their precision
	failureFirst = time.Second // after the first failed authentication
	failureEvery = time.Minute // between records of failed authentications
)

// Tokens has all tokens of a server. It is safe for use by many goroutines.
type Tokens struct {
	cfg      Config
	log      *slog.Logger
	current  atomic.Pointer[snapshot]
	failures failures
	misses   misses

	changing sync.Mutex // one change at a time, including the store
	mu       sync.Mutex // held briefly, to replace current
	changes  uint64     // guarded by mu: number of revocations and reloads

	stop  context.CancelFunc
	ended sync.WaitGroup
}

// snapshot has all tokens at one moment. It is immutable.
type snapshot struct {
	byHash  map[[sha256.Size]byte]*entry
	listed  map[[sha256.Size]byte]bool // by the tokens file, also if another entry has the token
	closed  bool                       // requests need a token
	local   *life                      // lifetime of requests without a token
	ordered func() []*entry            // the oldest first; sorted once
}

// entry is a token in memory.
type entry struct {
	Token     // its Used is from the time of loading
	life      *life
	principal Principal
	used      atomic.Int64 // unix seconds
	dirty     atomic.Bool  // used is not stored yet
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

// Open reads all tokens. The caller closes the result, before the store.
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
		s.listed = listedIn(listed)
		s.closed = true
	}
	for _, t := range kept {
		s.byHash[t.Hash] = newEntry(t) // a revoked token stays revoked, also if it is in the file
		s.closed = true
	}
	ts := &Tokens{cfg: cfg, log: cfg.Logger}
	ts.failures.wake = make(chan struct{}, 1)
	s.ordered = sync.OnceValue(s.sorted)
	ts.current.Store(s)
	ctx, ts.stop = context.WithCancel(context.Background())
	ts.ended.Go(func() { ts.keepUsed(ctx) })
	ts.ended.Go(func() { ts.keepFailures(ctx) })
	if cfg.Retention > 0 {
		ts.ended.Go(func() { ts.keepPruned(ctx) })
	}
	return ts, nil
}

// Close writes what is not stored yet. Authentication goes on working.
func (ts *Tokens) Close() error {
	ts.stop()
	ts.ended.Wait()
	return nil
}

// TokensRequired reports whether requests need a token. Once true, it stays true.
func (ts *Tokens) TokensRequired() bool { return ts.current.Load().closed }

// Local returns the principal of requests without a token, or [ErrNoToken] if requests
// need one.
func (ts *Tokens) Local() (Principal, error) {
	s := ts.current.Load()
	if s.closed {
		return Principal{}, ErrNoToken
	}
	p := Local()
	p.life = s.local
	return p, nil
}

// Authenticate returns the principal of the token with this secret. It asks the store only
// for a well-formed secret that is not in memory. Errors: [ErrBadToken], [ErrExpired],
// [ErrRevoked].
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

// touch notes that the token is in use.
func (e *entry) touch(now time.Time) {
	seconds := now.Unix()
	if last := e.used.Load(); seconds-last >= int64(usedEvery/time.Second) {
		e.used.Store(seconds)
		e.dirty.Store(true)
	}
}

// lookUp asks the store for a token that is not in memory. If tokens were revoked or
// reloaded meanwhile, it drops the answer, which may be out of date.
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

// misses limits how often the store is asked for unknown tokens, over all clients. All
// tokens are in memory from the start, so a lookup succeeds only if another process adds
// tokens.
type misses struct{ second, asked atomic.Int64 }

func (m *misses) allow(now time.Time) bool {
	const perSecond = 100
	if s := now.Unix(); m.second.Swap(s) != s {
		m.asked.Store(0)
	}
	return m.asked.Add(1) <= perSecond
}

// publish replaces the snapshot with a changed copy. The caller holds mu.
func (ts *Tokens) publish(change func(*snapshot)) {
	old := ts.current.Load()
	next := &snapshot{byHash: maps.Clone(old.byHash), listed: old.listed, closed: old.closed, local: old.local}
	change(next)
	next.ordered = sync.OnceValue(next.sorted)
	next.closed = next.closed || len(next.byHash) > 0
	ts.current.Store(next)
	if next.closed {
		next.local.end(ErrNoToken)
	}
}

// find returns the token with this id that can be changed: not revoked, and not in the
// tokens file.
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

// keepUsed stores the times of last use at intervals.
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
