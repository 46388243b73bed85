package transport

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// The server has two doors: the lane, and net/http, to which the lane hands over what is not
// for it. What a test shows about one of them has to be so for the other.

// door names what serves the connections of a test.
type door string

const (
	byHTTP door = "net/http"
	byLane door = "lane"
)

// doorServer is what [http.Server] and [Lane] have in common.
type doorServer interface {
	Serve(l net.Listener) error
	Shutdown(ctx context.Context) error
	Close() error
}

// open returns a server for the API by that door.
func (d door) open(s *server) doorServer {
	if d == byLane {
		return s.Lane()
	}
	return s.Server()
}

// doors has the door of each test that runs by both, by its name.
var doors sync.Map

// byBothDoors runs a test twice: its connections are served by the lane, and by net/http.
func byBothDoors(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	for _, d := range []door{byLane, byHTTP} {
		t.Run(string(d), func(t *testing.T) {
			t.Parallel() // to the other
			doors.Store(t.Name(), d)
			defer doors.Delete(t.Name())
			test(t)
		})
	}
}

// doorOf returns the door by which connections of a test are served: the lane, unless the
// test says otherwise.
func doorOf(t testing.TB) door {
	for name := t.Name(); ; {
		if d, is := doors.Load(name); is {
			return d.(door)
		}
		i := strings.LastIndexByte(name, '/')
		if i < 0 {
			return byLane
		}
		name = name[:i]
	}
}

// serve serves an API by the door until the test ends.
func (d door) serve(t testing.TB, s *server, l net.Listener) { _ = serveBy(t, d.open(s), s, l) }

func serveBy(t testing.TB, srv doorServer, s *server, l net.Listener) doorServer {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = srv.Serve(l)
	}()
	t.Cleanup(func() {
		_ = srv.Close()
		<-ended
		for giveUp := time.Now().Add(10 * time.Second); s.streams.Followers() > 0 && time.Now().Before(giveUp); {
			time.Sleep(time.Millisecond) // streams notice that their client is gone
		}
	})
	return srv
}
