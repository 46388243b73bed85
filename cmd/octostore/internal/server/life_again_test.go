package server

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

// movesHere returns the answer to a request that is sent to node b, which sends it to node a. That one hands
// over and refuses it, and b answers it by itself a moment later.
func movesHere(t *testing.T, send func(b *server) octotest.Answer) octotest.Answer {
	t.Helper()
	in := newCommon()
	var held atomic.Pointer[chan struct{}]
	in.commit = func() {
		if wait := held.Load(); wait != nil {
			<-*wait
		}
	}
	a, _ := startNode(t, in, "a")
	term := serves(t, a)
	b, _ := startNode(t, in, "b")
	octotest.Expect(t, a.call("POST", "/v1/locks/held/acquire?ttl=60s"), 200, `"lease_id"`)
	goOn := make(chan struct{})
	held.Store(&goOn)
	term.yield()
	octotest.WaitUntil(t, "node a serves no longer", func() bool { return a.serving() == nil })
	got := make(chan octotest.Answer, 1)
	go func() { got <- send(b) }()
	octotest.WaitUntil(t, "it is on its way", func() bool { return b.node.forwarder.Stats().InFlight == 1 })
	held.Store(nil)
	close(goOn)
	serves(t, b)
	return <-got
}

// withForm sends a request with a form.
func withForm(path, form string) func(*server) octotest.Answer {
	return func(s *server) octotest.Answer {
		answer, err := http.Post(s.url()+path, "application/x-www-form-urlencoded", strings.NewReader(form))
		if err != nil {
			return octotest.Answer{Err: err}
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		return octotest.Answer{Status: answer.StatusCode, Body: string(body), Err: err}
	}
}

// A request that another node has refused since it serves no longer, and that this one answers by itself, still
// has its body. Without it a lock would be broken whatever its fencing token is.
func TestLifeAnswersARequestThatMovedHereWithItsBody(t *testing.T) {
	octotest.Expect(t, movesHere(t, withForm("/v1/locks/x/acquire", "ttl=77s")), 200, `"ttl_ms":77000`)
	octotest.Expect(t, movesHere(t, withForm("/v1/locks/held/break?reason=x", "fencing_token=1")), 409, `"not_held"`)
}

// deadlines counts how often the time to read a request was bounded.
type deadlines struct {
	*httptest.ResponseRecorder
	set atomic.Int32
}

func (d *deadlines) SetReadDeadline(time.Time) error { d.set.Add(1); return nil }

// The time in which such a request has to be read is not bounded again once it was read: net/http would take
// the end of that time for a client that leaves, and end a wait of more than ten seconds.
func TestLifeBoundsTheTimeOfABodyOnce(t *testing.T) {
	w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
	got := movesHere(t, func(b *server) octotest.Answer {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/locks/x/acquire", strings.NewReader("ttl=77s"))
		r.Host = "localhost"
		b.node.main.ServeHTTP(w, r)
		return octotest.Answer{Status: w.Code, Body: w.Body.String()}
	})
	octotest.Expect(t, got, 200, `"ttl_ms":77000`)
	if n := w.set.Load(); n != 1 {
		t.Errorf("it was bounded %d times, want once", n)
	}
}
