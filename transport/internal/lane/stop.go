package lane

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// mostPause bounds the pause between two looks at the connections while the server is stopped.
const mostPause = 500 * time.Millisecond

// Shutdown stops the server as that of [http.Server] does: it closes the listeners and the
// connections that are idle, and waits until the others, those of Rest included, have been answered
// and closed. A connection that is just being handed over is served by Rest if Rest has taken it,
// and closed otherwise. It returns the error of ctx if that ends first; call Close then.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.closeListeners()
	rest := make(chan error, 1)
	go func() { rest <- s.cfg.Rest.Shutdown(ctx) }()
	s.serving.Wait() // all accepted connections are known then
	quiet := s.awaitQuiet(ctx)
	return errors.Join(err, quiet, <-rest)
}

// awaitQuiet closes connections that are idle until there are none.
func (s *Server) awaitQuiet(ctx context.Context) error {
	pause := time.Millisecond
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for !s.closeIdle() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			timer.Reset(pause + rand.N(pause/10))
			pause = min(2*pause, mostPause)
		}
	}
	return nil
}

// closeIdle closes the connections without a request, and reports whether there were no others.
func (s *Server) closeIdle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		if c.stopIdle() {
			delete(s.conns, c)
		}
	}
	return len(s.conns) == 0
}

// Close closes the listeners and all connections, those of Rest included, without an answer. The
// contexts of their requests end: what watches for clients that leave does not notice that this side
// closes.
func (s *Server) Close() error {
	err := errors.Join(s.closeListeners(), s.cfg.Rest.Close())
	s.serving.Wait() // all accepted connections are known then
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.cut()
		_ = c.nc.Close() // its goroutine ends
		delete(s.conns, c)
	}
	return err
}

// closeListeners closes the listeners. No connection is accepted afterwards.
func (s *Server) closeListeners() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopping.Store(true)
	var all []error
	for l := range s.listeners {
		all = append(all, l.Close())
	}
	return errors.Join(all...)
}
