package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/octostore/octostore/core/lock"
)

// wait returns nil when ctx ends, else what keeps the server from going on.
func (s *server) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-s.table.Done():
		return s.stopped()
	case <-s.store.Failed():
		return s.failTable()
	case err := <-s.served:
		return fmt.Errorf("accept connections: %w", err)
	}
}

func (s *server) stopped() error {
	return fmt.Errorf("the lock table has stopped: %w", s.table.Err())
}

// failTable has the table find out that its store has failed. Until its next commit it
// would answer what it can from memory, and that may not be so any more.
func (s *server) failTable() error {
	_ = s.record(lock.Stopped) // it is refused
	select {
	case <-s.table.Done():
		return s.stopped()
	case <-time.After(answerTime):
		return errors.New("the database has failed, and a change to it that is under way does not end")
	}
}

// stop refuses acquires, answers everybody who waits, finishes what is under way, and
// closes all parts. After nil the database is complete in its one file.
func (s *server) stop() error {
	done := make(chan error, 1)
	go func() {
		s.drain()
		s.shutdown()
		done <- s.close()
	}()
	select {
	case err := <-done:
		return err
	case <-time.After(stopTime):
		return fmt.Errorf("not stopped after %s; the disk may not answer", stopTime)
	}
}

// drain has everybody who waits answered. Renewals and releases go on.
func (s *server) drain() {
	if s.policies != nil {
		s.policies.stop()
	}
	s.table.Drain()
	for giveUp := time.Now().Add(answerTime); s.table.Stats().Waiters > 0 && time.Now().Before(giveUp); {
		time.Sleep(5 * time.Millisecond)
	}
}

// shutdown finishes the requests under way, and hangs up on those that take too long.
func (s *server) shutdown() {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTime)
	defer cancel()
	for _, on := range s.http {
		if on.Shutdown(ctx) != nil {
			_ = on.Close()
		}
	}
	_ = s.api.Close()    // it always says nil
	_ = s.keeper.Close() // so does this
	if s.login != nil {
		_ = s.login.Close() // so does this
	}
	_ = s.tokens.Close() // so does this
	// No request is left. If this is not recorded, the record of the next start is
	// enough.
	_ = s.record(lock.Stopped)
}

// close closes the parts that are open, the outermost first.
func (s *server) close() error {
	for _, l := range []net.Listener{s.listener, s.admin} {
		if l != nil {
			_ = l.Close() // no-op if already closed
		}
	}
	if s.hangups != nil {
		s.hangups.end()
	}
	var all []error
	if s.keeper != nil {
		all = append(all, s.keeper.Close()) // no-op if already closed
	}
	if s.login != nil {
		all = append(all, s.login.Close()) // no-op if already closed
	}
	if s.tokens != nil {
		all = append(all, s.tokens.Close()) // no-op if already closed
	}
	if s.table != nil {
		all = append(all, s.table.Close(), s.journal.Close())
	}
	if s.policies != nil {
		all = append(all, s.policies.close())
	}
	if s.store != nil {
		all = append(all, s.store.Close())
	}
	return errors.Join(all...)
}
