// Package forward passes the requests that reach a node which does not serve the lock table on to the
// one that does, in one hop.
//
// The forwarding node has a [Forwarder], the serving node a [Receiver] for each term. They share a key,
// by which the serving node believes who the client is, and that a node is on the other side.
//
// # Promises
//
//   - A request is sent on at most once: the transport never replays a request that may change something.
//     Only one that the serving node answered 503 moved may be sent on again ([Forwarder.Pass]).
//   - 503 moved means that nothing was done. If the serving node may have received the request, and
//     its answer never came, the answer is 503 outcome_unknown.
//   - Requests that were sent on end within [grace] after another node serves: a dead host says nothing.
//   - Nothing is cut short otherwise: a request lasts as long as the serving node and the client want.
//   - A grant is undone if the client does not get it, and never because a connection broke after the
//     client may have got it (grant.go).
//
// Two nodes without TLS need a connection for each request that waits, so about 28,000 can wait between
// two addresses on Linux. With TLS, which has HTTP/2, there are at most 512 connections with 100 requests
// each, so 50,000 can wait.
package forward

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/sparselog"
	"github.com/octostore/octostore/transport/internal/conn"
)

const (
	// grace is how long an answer may take after another node serves: those of a node that has handed
	// over are on their way.
	grace = 200 * time.Millisecond
	// dialTimeout is short, so that a host that is gone is noticed by clients as one that refuses.
	dialTimeout = 3 * time.Second
	// closeTime bounds Close: a grant that is not undone by then ends with its lease.
	closeTime = 2 * time.Second
	// handshakeTimeout is longer: many connections begin at once when another node serves.
	handshakeTimeout = 10 * time.Second
	keepAlive        = 10 * time.Second
	// idleTimeout is shorter than that of the serving node, which must not close a connection while a
	// request is on its way.
	idleTimeout = 30 * time.Second
	mostIdle    = 512
	mostWords   = 64      // connections for words; each takes a moment
	mostTLS     = 512     // connections with HTTP/2; each carries 100 requests
	bufferSize  = 2 << 10 // of a connection, for each direction: many wait
)

// Target is the serving node.
type Target struct {
	URL  *url.URL // scheme and host; the rest is ignored
	Term int64
	// Changed is closed when another node serves, or none. Requests under way are ended then. It must
	// be the same channel for the same term. Nil: never.
	Changed <-chan struct{}
}

// Config is what a [Forwarder] needs. Key and Target must be set.
type Config struct {
	Key []byte // that all nodes share
	// Target returns the serving node, or false if there is none. It is called for each request, by many
	// goroutines, and must be quick.
	Target func() (Target, bool)
	TLS    *tls.Config // of connections to a target whose URL is https; nil: the default
	// Client returns who sent a request, as RemoteAddr of [http.Request] has it: behind trusted proxies
	// that is not the address of the connection. Nil: it is.
	Client func(*http.Request) string
	// Admit returns why a client's request is refused before it is sent on. It may set headers of the
	// answer. What another node has forwarded is not put to it. Nil: none is refused.
	Admit func(http.ResponseWriter, *http.Request) error
	// Admitted is called when the serving node has admitted a request, or has not refused it for a
	// second. Nil: not called.
	Admitted func(*http.Request)
	Logger   *slog.Logger // nil: nothing is logged
}

// Stats count what a [Forwarder] did since it was made.
type Stats struct {
	Forwarded int64 // requests, under way or answered
	InFlight  int64 // requests under way
	Moved     int64 // requests that this node answered so, as they were not sent on
	Unknown   int64 // requests that were sent on and got no answer
	Undone    int64 // grants that their clients did not get
}

// Forwarder sends requests to the serving node. It is safe for use by many goroutines. Make one with
// [New], and close it after the last request.
type Forwarder struct {
	cfg    Config
	sparse *sparselog.Log
	proxy  *httputil.ReverseProxy
	main   *http.Transport // for requests of clients
	words  *http.Transport // for words about grants: they do not wait behind requests

	hangups conn.Hangups // of clients that have sent more behind their request

	forwarded, inFlight, moved, unknown, undone atomic.Int64

	mu      sync.Mutex
	current *crossing
	closed  chan struct{}  // closed when requests are to end
	silent  chan struct{}  // closed when no words are to be sent any more
	busy    sync.WaitGroup // of requests and their words; begun with mu, or by another that is
	ended   sync.WaitGroup // of goroutines that wait for a change of the target
}

// New returns a forwarder. It starts goroutines when it is used, which end in Close.
func New(cfg Config) *Forwarder {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Client == nil {
		cfg.Client = func(r *http.Request) string { return r.RemoteAddr }
	}
	if cfg.Admit == nil {
		cfg.Admit = func(http.ResponseWriter, *http.Request) error { return nil }
	}
	if cfg.Admitted == nil {
		cfg.Admitted = func(*http.Request) {}
	}
	f := &Forwarder{
		cfg: cfg, sparse: sparselog.New(cfg.Logger), closed: make(chan struct{}), silent: make(chan struct{}),
		main: newTransport(cfg.TLS), words: newTransport(cfg.TLS),
	}
	f.words.MaxConnsPerHost = mostWords
	f.proxy = &httputil.ReverseProxy{
		Rewrite:        f.rewrite,
		Transport:      f.main,
		FlushInterval:  -1,
		ModifyResponse: f.answered,
		ErrorHandler:   f.failed,
		BufferPool:     newBuffers(),
		ErrorLog:       slog.NewLogLogger(cfg.Logger.Handler(), slog.LevelDebug),
	}
	return f
}

func newTransport(to *tls.Config) *http.Transport {
	t := &http.Transport{
		DialContext:         (&net.Dialer{Timeout: dialTimeout, KeepAlive: keepAlive}).DialContext,
		TLSHandshakeTimeout: handshakeTimeout,
		IdleConnTimeout:     idleTimeout,
		MaxIdleConnsPerHost: mostIdle,
		DisableCompression:  true, // the answer is the client's as it is
		ForceAttemptHTTP2:   true,
		ReadBufferSize:      bufferSize,
		WriteBufferSize:     bufferSize,
	}
	if to != nil {
		t.TLSClientConfig = to.Clone()
		t.MaxConnsPerHost = mostTLS
	}
	return t
}

// Close ends the requests under way, and waits until the serving node has heard which of their grants
// were not delivered, but not for longer than two seconds. It always returns nil.
func (f *Forwarder) Close() error {
	f.once(f.closed)
	told := make(chan struct{})
	go func() {
		f.busy.Wait()
		close(told)
	}()
	select {
	case <-told:
	case <-time.After(closeTime):
	}
	f.once(f.silent)
	f.ended.Wait()
	f.hangups.Close()
	f.main.CloseIdleConnections()
	f.words.CloseIdleConnections()
	f.sparse.Close()
	return nil
}

// once closes a channel that may be closed already.
func (f *Forwarder) once(c chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	select {
	case <-c:
	default:
		close(c)
	}
}

// Stats returns what the forwarder did so far.
func (f *Forwarder) Stats() Stats {
	return Stats{
		Forwarded: f.forwarded.Load(), InFlight: f.inFlight.Load(),
		Moved: f.moved.Load(), Unknown: f.unknown.Load(), Undone: f.undone.Load(),
	}
}

// errMoved is the cause of the end of requests whose target serves no longer.
var errMoved = errors.New("another node serves")

// crossing is what requests to one target have in common.
type crossing struct {
	Target
	ctx   context.Context // ends, because of errMoved, when the target serves no longer, or in Close
	words context.Context // ends as ctx, but later in Close; the next term does not know of the grants
}

// begin returns the crossing to a target, for a request that calls f.busy.Done at its end. It returns nil
// after Close.
func (f *Forwarder) begin(t Target) *crossing {
	f.mu.Lock()
	defer f.mu.Unlock()
	select {
	case <-f.closed:
		return nil
	default:
	}
	f.busy.Add(1)
	if c := f.current; c != nil && c.Changed == t.Changed && c.Term == t.Term {
		return c
	}
	f.current = &crossing{Target: t, ctx: f.untilChange(t.Changed, f.closed), words: f.untilChange(t.Changed, f.silent)}
	return f.current
}

// untilChange returns a context that ends because of errMoved: a moment after a change of the target, or
// at an end of the forwarder.
func (f *Forwarder) untilChange(changed, end <-chan struct{}) context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	f.ended.Go(func() {
		defer cancel(errMoved)
		select {
		case <-end:
			return
		case <-changed:
		}
		f.main.CloseIdleConnections() // to a node that may be about to end, and to close them under a request
		f.words.CloseIdleConnections()
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-end:
		case <-timer.C:
		}
	})
	return ctx
}

// ServeHTTP sends the request on and answers with what the serving node answers. A request that was
// forwarded already is answered 503 moved.
func (f *Forwarder) ServeHTTP(w http.ResponseWriter, r *http.Request) { f.Pass(w, r, time.Time{}) }

// Pass is [Forwarder.ServeHTTP], but if the serving node answers 503 moved before until, nothing is
// answered: Pass returns true, and the request may be passed again.
func (f *Forwarder) Pass(w http.ResponseWriter, r *http.Request, until time.Time) (moved bool) {
	to, serves := f.cfg.Target()
	if c, is := claimOf(f.cfg.Key, r); is {
		if serves && c.term == to.Term {
			f.sparse.Log(
				slog.LevelWarn, "astray",
				"a request for the node that serves has come to this one, which does not serve; "+
					"if that goes on, OCTOSTORE_ADVERTISE_URL of that node leads here",
				slog.String("url", to.URL.String()),
			)
		}
		f.refuse(w, r, lock.ErrDeposed)
		return false
	}
	if err := f.cfg.Admit(w, r); err != nil {
		f.refuse(w, r, err)
		return false
	}
	if !serves {
		f.refuse(w, r, lock.ErrDeposed)
		return false
	}
	if err := takeBody(w, r); err != nil {
		f.refuse(w, r, err)
		return false
	}
	over := f.begin(to)
	if over == nil {
		f.refuse(w, r, lock.ErrDeposed)
		return false
	}
	defer f.busy.Done()
	f.forwarded.Add(1)
	f.inFlight.Add(1)
	defer f.inFlight.Add(-1)
	return f.pass(w, r, over, until)
}
