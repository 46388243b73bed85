package transport

import (
	"context"
	"net"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/transport/internal/lane"
)

// counted is a context that counts what waits for its end.
type counted struct {
	context.Context
	done    chan struct{} // of its own, or package context would look through it
	waiting *atomic.Int64
	ever    *atomic.Int64
}

func (c *counted) Done() <-chan struct{} { return c.done }

// AfterFunc is what package context calls for everything that waits for the end.
func (c *counted) AfterFunc(f func()) (stop func() bool) {
	c.waiting.Add(1)
	c.ever.Add(1)
	end := context.AfterFunc(c.Context, f)
	var over atomic.Bool
	return func() bool {
		if over.CompareAndSwap(false, true) {
			c.waiting.Add(-1)
		}
		return end()
	}
}

// allowing is a guard that is asked about everything, and allows it.
type allowing struct{}

func (allowing) Covers(core.Hook, lock.Name) bool { return true }
func (allowing) Judge(ctx context.Context, _ core.Question) (core.Decision, error) {
	ctx, end := context.WithCancel(ctx)
	defer end()
	return core.Decision{}, ctx.Err()
}

// The context of a request in the lane lasts as long as its connection. So nothing of a request may
// wait for its end afterwards: the memory of a busy connection would grow with each request.
func TestLaneContextKeepsNothingOfRequests(t *testing.T) {
	s := newServer(t, setup{core: core.Config{Guard: allowing{}}})
	var waiting, ever atomic.Int64
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.ServeHTTP(w, r.WithContext(&counted{r.Context(), make(chan struct{}), &waiting, &ever}))
	})
	of := s.door.connections[mainListener]
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serveBy(t, lane.New(lane.Config{
		Handler: handler, Rest: s.Server(), ConnContext: of.Opened, ConnState: of.Changed,
		HeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, Poller: s.door.hangups.Open(),
	}), s, l)
	w := dial(t, s, l.Addr())
	w.everyPlainRequest()
	_, with := s.token(t, "one", "acquire,read:**")
	w.everyPlainRequest(with)
	if ever.Load() == 0 {
		t.Error("nothing has waited for the end of a context: the test counts nothing")
	}
	eventually(t, "nothing waits for the end of a request's context", func() bool { return waiting.Load() == 0 })
}

// everyPlainRequest has requests of each kind that the lane serves, and acquires that end in each way.
func (w *rawConn) everyPlainRequest(with ...option) {
	w.t.Helper()
	send := func(line string, headers ...string) request {
		for name, values := range newRequest(line, with).header {
			headers = append(headers, name+": "+values[0])
		}
		return w.send(line, "", headers...)
	}
	g := w.receive(send("POST /v1/locks/a/acquire?ttl=60s")).grant()
	w.receive(send("POST /v1/locks/a/renew", "Octostore-Lease: "+g.LeaseID)).want(200)
	w.receive(send("GET /v1/locks/a")).want(200)
	w.receive(send("POST /v1/locks/a/acquire")).want(409)
	w.receive(send("POST /v1/locks/a/acquire?wait=1ms")).want(409)
	w.receive(send("POST /v1/locks/a/acquire?wait=100ms")).want(409) // it is parked
	waiting := send("POST /v1/locks/a/acquire?wait=10s")
	w.s.waiters(w.t, "a", 1)
	w.s.do(w.t, "POST /v1/locks/a/release", append(with, header("Octostore-Lease", g.LeaseID))...).want(200)
	g = w.receive(waiting).grant()
	w.receive(send("POST /v1/locks/a/release", "Octostore-Lease: "+g.LeaseID)).want(200)
}
