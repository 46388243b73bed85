package lane

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// TestLaneShutdownFinishesRequests stops a server with an idle connection and one whose request is
// being answered.
func TestLaneShutdownFinishesRequests(t *testing.T) {
	entered, open := make(chan bool, 1), make(chan struct{})
	s := newLane(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			entered <- true
			<-open
		}
		say("lane")(w, r)
	})
	idling, waiting, other := s.dial(t).send(get).want("lane"), s.dial(t).send(acquire), s.dial(t).send(index).want("rest")
	<-entered
	stopped := make(chan error, 1)
	go func() { stopped <- s.Shutdown(t.Context()) }()
	idling.wantEnd()
	other.wantEnd()
	select {
	case err := <-stopped:
		t.Fatalf("Shutdown returns %v before the answer", err)
	default:
	}
	close(open)
	if resp, body := waiting.read(); body != "lane" || !resp.Close {
		t.Errorf("%q, Connection: close %t", body, resp.Close)
	}
	waiting.wantEnd()
	if err := <-stopped; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if _, err := net.Dial("tcp", s.addr.String()); err == nil {
		t.Error("it still listens")
	}
}

// TestLaneShutdownGivesUpWithItsContext has a request outlast the stop. Close ends its connection.
func TestLaneShutdownGivesUpWithItsContext(t *testing.T) {
	entered, open := make(chan bool), make(chan struct{})
	s := newLane(t, func(http.ResponseWriter, *http.Request) {
		entered <- true
		<-open
	})
	c := s.dial(t).send(acquire)
	<-entered
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shutdown: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	c.wantEnd()
	close(open)
}

// TestLaneShutdownEndsHandOvers stops a server whose net/http takes no connection any more.
func TestLaneShutdownEndsHandOvers(t *testing.T) {
	s := newLane(t, nil)
	c := s.dial(t).send(get).want("lane")
	_ = s.rest.Close() // as the stop does, just before the next request
	c.send(index).wantEnd()
	eventually(t, "it is closed", func() bool { return s.closed.Load() == 1 })
}

// TestLaneShutdownWaitsForFreshConnections stops a server with connections that have not sent
// anything. One of them is old.
func TestLaneShutdownWaitsForFreshConnections(t *testing.T) {
	s := newLane(t, nil)
	c := s.dial(t)
	eventually(t, "it is accepted", func() bool { return len(s.connections()) == 1 })
	if s.closeIdle() {
		t.Fatal("a fresh connection was closed")
	}
	c.send(get).want("lane")
	eventually(t, "it is idle", s.closeIdle)
	c.wantEnd()

	s.dial(t)
	eventually(t, "it is accepted", func() bool { return len(s.connections()) == 1 })
	old := s.connections()[0]
	young := old.opened
	old.opened = young.Add(-2 * freshTime)
	if !s.closeIdle() {
		t.Error("a connection that says nothing holds up a stop")
	}
}

// TestLaneCloseEndsRequests closes a server while a request waits for its context only.
func TestLaneCloseEndsRequests(t *testing.T) {
	entered, ended := make(chan bool), make(chan bool)
	s := newLane(t, func(_ http.ResponseWriter, r *http.Request) {
		entered <- true
		<-r.Context().Done()
		close(ended)
	})
	c := s.dial(t).send(acquire)
	<-entered
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	select {
	case <-ended:
	case <-time.After(soon):
		t.Fatal("the context of the request does not end")
	}
	c.wantEnd()
}

// failing is a listener that has no files for a while.
type failing struct {
	net.Listener
	left atomic.Int32
	err  error
}

func (l *failing) Accept() (net.Conn, error) {
	if l.left.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Err: l.err}
	}
	return l.Listener.Accept()
}

// TestLaneGoesOnWithoutFiles has a listener fail as it does when there are no files left.
func TestLaneGoesOnWithoutFiles(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	without := &failing{Listener: l, err: syscall.EMFILE}
	without.left.Store(3)
	s := serveLane(t, without, nil)
	s.dial(t).send(get).want("lane")
	if n := strings.Count(s.logged.String(), "http: Accept error"); n != 3 {
		t.Errorf("%d errors were logged, want 3", n)
	}
}

// TestLaneReturnsWithItsListener has a listener fail for good, and one be closed by its owner.
func TestLaneReturnsWithItsListener(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := New(Config{Handler: say("lane"), Rest: &http.Server{}})
	broken := &failing{Listener: l, err: syscall.EINVAL}
	broken.left.Store(1)
	if err := s.Serve(broken); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("Serve: %v", err)
	}
	if err := s.Serve(l); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve: %v", err)
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("Serve: %v", err)
	}
}

// TestLaneStopsWithoutHavingServed stops a server at once.
func TestLaneStopsWithoutHavingServed(t *testing.T) {
	s := New(Config{Handler: say("lane"), Rest: &http.Server{}})
	if err := errors.Join(s.Shutdown(t.Context()), s.Close()); err != nil {
		t.Error(err)
	}
}
