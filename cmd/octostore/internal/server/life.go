package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/preflight"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/sleep"
)

// Times in the life of a node.
const (
	// closeTime bounds the end of a term. A process that takes longer ends, so that it cannot answer
	// for a term that is another's.
	closeTime = 10 * time.Second
	// quietTime bounds the wait for the requests under way at the end of a term.
	quietTime = 2 * time.Second
	// againTime is the pause after a failure to take the term.
	againTime = time.Second
	// yieldTime is how long a node that has handed the term over leaves it to others.
	yieldTime = 10 * time.Second
)

var (
	errLost    = errors.New("the term is lost")
	errYielded = errors.New("the term is to be handed over")
)

// live serves terms until ctx ends. An error stops the server. With SQLite there is one term.
func (s *server) live(ctx context.Context) error {
	if s.node == nil {
		return s.serving().wait(ctx)
	}
	following, end := context.WithCancel(ctx)
	var ended sync.WaitGroup
	ended.Go(func() { s.node.follow(following, func() { s.unit.Status(s.status()) }) })
	defer ended.Wait()
	defer end()
	for ctx.Err() == nil {
		if err := s.liveTerm(ctx); err != nil {
			return err
		}
	}
	return nil
}

// liveTerm takes a term, serves it, and forwards again when it ends. When ctx ends it leaves the term
// as it is.
func (s *server) liveTerm(ctx context.Context) error {
	claim, err := s.node.Take(ctx)
	if err != nil {
		if ctx.Err() == nil {
			s.log.Warn("the term could not be taken; trying again", "err", err)
			_ = sleep.For(ctx, againTime) // liveTerm is not called again after its end
		}
		return nil
	}
	t, err := s.beginTerm(ctx, claim)
	switch {
	case errors.Is(err, errLost):
		s.log.Warn("the term ended before it was served", "term", claim.Term(), "err", err)
		return nil
	case err != nil && ctx.Err() != nil:
		return nil
	case err != nil:
		return s.failOpening(ctx, fmt.Errorf("serve the lock table: %w", err))
	}
	s.node.failures = 0
	err = t.wait(ctx)
	switch {
	case ctx.Err() != nil:
		return nil // a stop hands over
	case errors.Is(err, errYielded):
		return s.yield(ctx, t)
	case errors.Is(err, errLost), errors.Is(err, lock.ErrDeposed), !claim.Owns():
		s.log.Warn("the term is over; this node forwards", "term", claim.Term(), "err", err)
		return s.lose(t)
	}
	return err
}

// mostFailures is how often in a row a node may fail to open its term. Another node may succeed.
const mostFailures = 5

// failOpening returns the error if it ends the process: a mistake in the settings, or one failure of many.
func (s *server) failOpening(ctx context.Context, err error) error {
	s.node.failures++
	if _, mistaken := errors.AsType[*preflight.ExposedError](err); mistaken || s.node.failures >= mostFailures {
		return err
	}
	s.log.Error("the term could not be opened; another node may take it", "err", err)
	_ = sleep.For(ctx, againTime) // no term begins after its end
	return nil
}

// beginTerm opens and serves a term. If the term is lost meanwhile the error wraps errLost.
func (s *server) beginTerm(ctx context.Context, c claim) (*term, error) {
	begun := time.Now()
	owned, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-c.Lost():
			cancel()
		case <-owned.Done():
		}
	}()
	t, err := s.openTerm(owned, c)
	if err != nil {
		return nil, err
	}
	s.serve(t)
	s.unit.Status(s.status())
	s.log.Info("this node serves", "term", c.Term(), "held", t.table.Stats().Held, "took", time.Since(begun).Round(time.Millisecond))
	return t, nil
}

// forward has requests answered by the node that serves.
func (s *server) forward() { s.endService(s.node.main) }

// leave is forward at the end of a term. What other nodes say about grants of requests under way is
// still for the term, until forward is called.
func (s *server) leave(t *term) { s.endService(t.api.Ending(s.node.main)) }

func (s *server) endService(main http.Handler) {
	s.current.Store(nil)
	s.door.Open(main, s.node.admin)
	s.unit.Status(s.status())
}

// lose ends a term that is over. Nothing that is still under way is acknowledged.
func (s *server) lose(t *term) error {
	s.leave(t)
	t.table.Depose()
	return s.inTime(func() {
		defer s.node.endTerm()
		t.awaitQuiet()
		s.forward()
		t.endParts()
		_ = t.close() // the term is over, and what failed with it
	})
}

// yield hands a term over to another node, and leaves it the time to take it.
func (s *server) yield(ctx context.Context, t *term) error {
	s.log.Info("the term is handed over", "term", t.claim.Term())
	t.table.Move()
	if err := s.inTime(func() { s.handOver(t) }); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, yieldTime)
	defer cancel()
	_ = s.await(ctx)
	return nil
}

// handOver ends a term in good order: waiters have been told, and requests find another node at once.
func (s *server) handOver(t *term) {
	defer s.node.endTerm()
	t.awaitAnswered()
	s.leave(t)
	t.awaitQuiet()
	s.forward()
	t.endParts()
	if err := t.handOver(); err != nil {
		s.log.Warn("the term was not handed over in good order; it ends with its lease", "err", err)
	}
}

// inTime does what ends a term, or returns an error when it takes too long: the process has to end.
func (s *server) inTime(do func()) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	select {
	case <-done:
		return nil
	case <-time.After(closeTime):
		return fmt.Errorf("the term could not be ended within %s", closeTime)
	}
}
