package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/systemd"
	"github.com/octostore/octostore/core/lock"
)

// wait returns nil when ctx ends, or the error that stops the server.
func (s *server) wait(ctx context.Context) error {
	living, end := context.WithCancel(ctx)
	defer end()
	ended := make(chan error, 1)
	go func() { ended <- s.live(living) }()
	select {
	case err := <-ended:
		return err
	case err := <-s.served:
		end()
		<-ended
		return fmt.Errorf("accept connections: %w", err)
	}
}

// stop refuses acquires, answers all waiters, finishes the requests under way, and closes
// all parts. If it returns nil, the database is complete in its one file.
func (s *server) stop() error {
	most := stopTime
	if s.node != nil {
		most += handOverTime
	}
	done := make(chan error, 1)
	go func() {
		s.drain()
		s.shutdown()
		err := s.close()
		s.sendSpans()
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-time.After(most):
		return fmt.Errorf("not stopped after %s; the disk may not answer", most)
	}
}

// progress returns a function that returns nil if the loop of the lock table has gone around since it was
// last called. It has not while a commit hangs. Only one goroutine may call it.
func (s *server) progress() func() error {
	var last progressMark
	return func() error {
		t := s.serving()
		if t == nil {
			return nil
		}
		_, _, err := t.table.Queue(context.Background(), "", 0, 0)
		return last.check(err, t.table.Stats().Commits.Count())
	}
}

// progressMark is how many commits had ended at the last check. On a slow disk the lock table answers late,
// but it gets on: to start the server again would not make the disk faster.
type progressMark struct{ commits uint64 }

// check has the answer of the lock table, and the number of commits that have ended.
func (m *progressMark) check(answer error, commits uint64) error {
	advanced := commits != m.commits
	m.commits = commits
	switch {
	case !errors.Is(answer, lock.ErrOutcomeUnknown):
		return answer
	case advanced:
		return nil
	}
	return errors.New("the lock table does not answer; a commit hangs, perhaps because the disk does")
}

// drain answers all waiters. Renewals and releases go on. Sockets that systemd keeps are given
// back first, and connections from before get time for their request: later ones wait for the
// next process, and none is closed without an answer.
func (s *server) drain() {
	s.sockets.Close()
	s.accepting.Wait() // all that was accepted is counted then
	if s.policies != nil {
		s.policies.stop()
	}
	s.watched.close()
	t := s.serving()
	switch {
	case t == nil && s.node != nil && s.node.servedLately():
		s.linger() // the term was handed over by hand, or lost, just before
		return
	case t == nil:
		return
	}
	t.table.Drain()
	t.awaitAnswered()
	for giveUp := time.Now().Add(answerTime); s.unserved() > 0 && time.Now().Before(giveUp); {
		time.Sleep(5 * time.Millisecond)
	}
	if s.node != nil {
		s.handOver(t)
		s.linger()
	}
}

// linger goes on forwarding after a term was handed over, until another node serves and requests from
// other nodes that were on their way have been answered: once the listeners are closed they would be lost.
func (s *server) linger() {
	ctx, cancel := context.WithTimeout(context.Background(), answerTime)
	defer cancel()
	if s.node.hasOthers(ctx) {
		_ = s.await(ctx)
	}
	time.Sleep(lingerTime)
}

// unserved returns how many connections to sockets of systemd may have their first request on
// its way.
func (s *server) unserved() int {
	if s.sockets == (systemd.Sockets{}) {
		return 0 // more come until the shutdown
	}
	return s.door.Unserved()
}

// shutdown finishes the requests under way, and hangs up on those that take too long. Forwarded requests
// end after a moment, because they may last as long as a client waits.
func (s *server) shutdown() {
	if s.node != nil {
		defer time.AfterFunc(forwardTime, func() { _ = s.node.forwarder.Close() }).Stop() // it always says nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTime)
	defer cancel()
	for _, on := range s.http {
		if on.Shutdown(ctx) != nil {
			_ = on.Close()
		}
	}
	if t := s.serving(); t != nil {
		t.endParts()
	}
}

// sendSpans sends the spans of the last requests. What takes longer is lost: it must not hold up the
// end of a server whose collector does not answer.
func (s *server) sendSpans() {
	ctx, cancel := context.WithTimeout(context.Background(), spanTime)
	defer cancel()
	_ = s.tracer.Close(ctx) // it logs what was lost
}

// close closes the parts that are open, the outermost first.
func (s *server) close() error {
	for _, l := range []net.Listener{s.listener, s.admin, s.sockets.Main, s.sockets.Admin} {
		if l != nil {
			_ = l.Close() // no-op if already closed
		}
	}
	s.watched.close() // no-op if already closed
	if s.hangups != nil {
		s.hangups.end()
	}
	var all []error
	if t := s.serving(); t != nil {
		all = append(all, t.close())
	}
	if s.policies != nil {
		all = append(all, s.policies.close())
	}
	if s.node != nil {
		all = append(all, s.node.forwarder.Close(), s.node.Close())
	}
	if s.door != nil {
		all = append(all, s.door.Close())
	}
	return errors.Join(all...)
}
