package server

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/preflight"
	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/journal/archive"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/table"
	"github.com/octostore/octostore/transport"
	"github.com/octostore/octostore/transport/login"
)

// term is a lock table that this process serves, with all parts that are of this table alone. With
// SQLite a process has one term, which lasts until it stops.
type term struct {
	store    storage
	claim    claim         // the store, if it is this process's for a while only; nil: for good
	at       string        // which node it is, for the audit log; empty: the only one
	yielding chan struct{} // closed when the term is to be handed over
	yielded  sync.Once
	journal  *journal.Journal
	archive  *archive.Archive // nil: the setting names none
	table    *table.Table
	policies *policies // of the process; nil: there are none
	tokens   *tokens
	login    *login.GitHub // nil: login is not configured
	keeper   *journal.Keeper
	api      *transport.API
}

// openTerm opens all parts of a term, and records its start. The term owns the store, also after an
// error. The error wraps errLost if the term was lost meanwhile.
func (s *server) openTerm(ctx context.Context, store storage) (_ *term, err error) {
	t := &term{store: store, policies: s.policies, yielding: make(chan struct{})}
	if t.claim, _ = store.(claim); t.claim != nil {
		t.at = " on node " + s.node.name
	}
	defer func() {
		if err == nil {
			return
		}
		if !t.owns() {
			err = errors.Join(errLost, err)
		}
		_ = t.close() // the first error is the one to return
	}()
	if err := t.openTable(ctx, s, s.cfg); err != nil {
		return nil, fmt.Errorf("open the lock table: %w", err)
	}
	if t.tokens, err = openTokens(ctx, t, s.cfg, s.log); err != nil {
		return nil, err
	}
	if t.login, err = openLogin(s.cfg, s, t, s.log); err != nil {
		return nil, err
	}
	switch {
	case s.exposed != "" && !t.tokens.TokensRequired():
		return nil, &preflight.ExposedError{Addr: s.exposed}
	case s.exposed != "" && s.certificate == nil:
		s.log.Warn(
			"others can reach this address, and tokens go over it as they are; set OCTOSTORE_TLS_CERT, or put a proxy with TLS before it",
			"addr", s.exposed,
		)
	}
	// A full disk must not prevent the start: holders still need to release their locks.
	if err := t.record(lock.Started); t.goesOn(err) {
		s.log.Warn("the start is not recorded", "err", err)
	} else if err != nil {
		return nil, fmt.Errorf("record the start: %w", err)
	}
	if t.policies != nil {
		if err := t.policies.begin(ctx, t); t.goesOn(err) {
			s.log.Warn("which policies rule is not recorded", "err", err)
		} else if err != nil {
			return nil, fmt.Errorf("record the policies: %w", err)
		}
	}
	t.keeper = newKeeper(t, s.cfg, s.log)
	t.api = newAPI(s, t, s.cfg, s.log)
	return t, nil
}

// goesOn reports whether a term begins although something could not be recorded: the storage is full, or
// it answers late and is shared, as while etcd elects a leader.
func (t *term) goesOn(err error) bool {
	return errors.Is(err, lock.ErrFull) || t.claim != nil && t.owns() && errors.Is(err, lock.ErrOutcomeUnknown)
}

// serve has requests answered by the term from now on.
func (s *server) serve(t *term) {
	s.current.Store(t)
	if s.tokensChanged.Swap(false) {
		t.tokens.reload()
	}
	s.door.Open(t.api, t.api.AdminHandler())
	if s.node != nil {
		s.node.turn()
	}
}

// serving returns the term that answers requests; nil: there is none.
func (s *server) serving() *term { return s.current.Load() }

// wait returns nil when ctx ends, or the error that ends the term.
func (t *term) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-t.table.Done():
		return t.stopped()
	case <-t.store.Failed():
		return t.failTable()
	case <-t.lost():
		return errLost
	case <-t.yielding:
		return errYielded
	}
}

// owns reports whether the lock table is certainly this process's.
func (t *term) owns() bool { return t.claim == nil || t.claim.Owns() }

// lost is closed when the term is over; nil: it lasts.
func (t *term) lost() <-chan struct{} {
	if t.claim == nil {
		return nil
	}
	return t.claim.Lost()
}

// yield has the term handed over to another node.
func (t *term) yield() { t.yielded.Do(func() { close(t.yielding) }) }

// awaitAnswered waits until all waiters are answered, but not for long. The table is drained.
func (t *term) awaitAnswered() {
	for giveUp := time.Now().Add(answerTime); t.table.Stats().Waiters > 0 && time.Now().Before(giveUp); {
		time.Sleep(5 * time.Millisecond)
	}
}

// awaitQuiet waits until the requests under way are answered, but not for long. Later ones are for
// another node.
func (t *term) awaitQuiet() {
	for giveUp := time.Now().Add(quietTime); t.api.InFlight() > 0 && time.Now().Before(giveUp); {
		time.Sleep(time.Millisecond)
	}
}

func (t *term) stopped() error {
	return fmt.Errorf("the lock table has stopped: %w", t.table.Err())
}

// failTable makes the table notice that its store has failed, with a commit that the store
// refuses. Until a commit fails the table answers reads from memory, which may be wrong.
func (t *term) failTable() error {
	_ = t.record(lock.Stopped) // it is refused
	select {
	case <-t.table.Done():
		return t.stopped()
	case <-time.After(answerTime):
		return errors.New("the database has failed, and a change to it that is under way does not end")
	}
}

// endParts closes what the term does beside requests, of which there must be none left, and records
// its end.
func (t *term) endParts() {
	_ = t.api.Close()    // it always says nil
	_ = t.keeper.Close() // so does this
	if t.login != nil {
		_ = t.login.Close() // so does this
	}
	_ = t.tokens.Close() // so does this
	// No request is left, so a failure here changes nothing: the next start is recorded, too.
	_ = t.record(lock.Stopped)
}

// close closes the parts that are open, the outermost first.
func (t *term) close() error { return t.end(func() error { return nil }) }

// handOver is close for a term that another node may begin at once.
func (t *term) handOver() error {
	return t.end(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), answerTime)
		defer cancel()
		return t.claim.HandOver(ctx)
	})
}

// end is close, and has last done before the store is closed.
func (t *term) end(last func() error) error {
	var all []error
	if t.keeper != nil {
		all = append(all, t.keeper.Close()) // no-op if already closed
	}
	if t.login != nil {
		all = append(all, t.login.Close()) // no-op if already closed
	}
	if t.tokens != nil {
		all = append(all, t.tokens.Close()) // no-op if already closed
	}
	if t.archive != nil {
		_ = t.archive.Close() // a folder that hangs is no reason to fail
	}
	if t.table != nil {
		all = append(all, t.table.Close(), t.journal.Close())
	}
	if t.policies != nil {
		t.policies.end()
	}
	return errors.Join(append(all, last(), t.store.Close())...)
}
