// Package standby answers the requests to a node of a cluster while another node serves: probes and
// metrics by itself, everything else through the node that serves.
package standby

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/octostore/octostore/core/sleep"
	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/forward"
	"github.com/octostore/octostore/transport/internal/wire"
)

// Forwarder has the node that serves answer a request. Without an answer it returns true: that node has
// said before until that it serves no longer, and the request may be passed again.
type Forwarder interface {
	Pass(w http.ResponseWriter, r *http.Request, until time.Time) (moved bool)
}

// Config is what a [Standby] needs. All fields are required.
type Config struct {
	// Forward answers all requests that are not about this node alone.
	Forward Forwarder
	// Serving returns the term of the other node that serves; false: none does.
	Serving func() (term int64, there bool)
	// Opening reports whether this node has the term, and is about to serve.
	Opening func() bool
	// Await waits until another node serves, or this one, or ctx ends. It returns what answers the
	// requests of that listener if this node serves, else nil.
	Await func(ctx context.Context, on Listener) http.Handler
	// Reach asks the node that serves whether it is there, and returns nil if it is.
	Reach func(ctx context.Context) error
	// Metrics serves the metrics of this process.
	Metrics http.Handler
}

const (
	// patience is how long a request waits for a node that serves. A term that is handed over
	// begins again within that time.
	patience = time.Second
	// firstPause is the time before a request is passed again that the node which served has refused:
	// this node may not know yet that another one serves. It grows to longestPause.
	firstPause   = 10 * time.Millisecond
	longestPause = 80 * time.Millisecond
	// reachTime bounds the question whether the serving node can be reached, and reachFor is how
	// long the answer is good.
	reachTime = 500 * time.Millisecond
	reachFor  = time.Second
)

// Standby answers requests. It is safe for use by many goroutines.
type Standby struct {
	cfg Config

	mu      sync.Mutex // held while the other node is asked
	reached int64      // the term that was asked for
	asked   time.Time
	err     error
}

// New returns a Standby, which starts no goroutine.
func New(cfg Config) *Standby { return &Standby{cfg: cfg} }

// Listener is the listener by which a request came.
type Listener int

// Listeners.
const (
	Main Listener = iota
	Admin
)

// Listener returns a handler for a listener that answers /readyz and /metrics only if it is to.
func (s *Standby) Listener(on Listener, ready, metrics bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		probe := r.Method == http.MethodGet || r.Method == http.MethodHead
		switch {
		case probe && r.URL.Path == "/healthz":
			reply(w, wire.Health{})
		case probe && ready && r.URL.Path == "/readyz":
			s.ready(w, r)
		case probe && metrics && r.URL.Path == "/metrics":
			s.cfg.Metrics.ServeHTTP(w, r)
		default:
			s.pass(w, r, on)
		}
	})
}

// pass has a request answered by the node that serves. If none does, or that one says that it serves no
// longer, the request waits a moment, so that a hand-over is not noticed. What another node has
// forwarded waits for this node only.
func (s *Standby) pass(w http.ResponseWriter, r *http.Request, on Listener) {
	until := time.Now().Add(patience)
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		if here := s.awaited(r, on, until); here != nil {
			here.ServeHTTP(w, r)
			return
		}
		if !s.cfg.Forward.Pass(w, r, until) {
			return
		}
		_ = sleep.For(r.Context(), pause) // the next pass notices that the client has left
	}
}

// awaited returns what answers a request here. If no node serves it waits until one does.
func (s *Standby) awaited(r *http.Request, on Listener, until time.Time) http.Handler {
	if _, there := s.cfg.Serving(); there || !s.cfg.Opening() && len(r.Header[forward.Header]) > 0 {
		return nil
	}
	ctx, cancel := context.WithDeadline(r.Context(), until)
	defer cancel()
	return s.cfg.Await(ctx, on)
}

// ready answers 200 while the serving node can be reached: clients of this node are served then.
func (s *Standby) ready(w http.ResponseWriter, r *http.Request) {
	if s.reach(r.Context()) != nil {
		reply(w, wire.Health{Status: api.Moved})
		return
	}
	reply(w, wire.Health{})
}

type unreachableError struct{}

func (unreachableError) Error() string { return "no node serves, or it cannot be reached" }

// reach asks the serving node whether it is there, at most once per reachFor.
func (s *Standby) reach(ctx context.Context) error {
	term, there := s.cfg.Serving()
	if !there {
		return unreachableError{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reached == term && time.Since(s.asked) < reachFor {
		return s.err
	}
	asking, cancel := context.WithTimeout(ctx, reachTime)
	defer cancel()
	err := s.cfg.Reach(asking)
	if ctx.Err() == nil {
		s.reached, s.asked, s.err = term, time.Now(), err
	}
	return err
}

// reply sends an answer of this node.
func reply(w http.ResponseWriter, answer wire.Health) {
	head, body := answer.Head(), answer.Append(nil, wire.Times{})
	h := w.Header()
	h["Content-Type"] = head.ContentType
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	h["Cache-Control"] = []string{"no-store"}
	w.WriteHeader(head.Status)
	_, _ = w.Write(body) // its loss does no harm
}
