package forward

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/octostore/octostore/core/lock"
)

// rawClient sends a request over a connection of its own.
func rawClient(t *testing.T, at, request string) *net.TCPConn {
	u, _ := url.Parse(at)
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	return c.(*net.TCPConn)
}

const rawAcquire = "POST /v1/locks/a/acquire HTTP/1.1\r\nHost: localhost\r\n\r\n"

func TestForwardedGrantIsDelivered(t *testing.T) {
	node := newServingNode(t, testTerm, func(n *servingNode, w http.ResponseWriter, r *http.Request) { n.grant(w, r, yes) })
	f, at, _ := forwardingNode(t, node)
	status, body, err := send(t, "POST", at+"/v1/locks/a/acquire")
	if err != nil || status != 200 || body != "a lease" || node.delivered.Load() != 1 || node.requests.Load() != 1 || node.undone.Load() != 0 || f.Stats().Undone != 0 {
		t.Errorf("%d %q %v, delivered %d, undone %d", status, body, err, node.delivered.Load(), node.undone.Load())
	}
}

// A client that leaves before its grant has left the forwarding node does not hold the lock.
func TestForwardedGrantIsUndoneIfTheClientLeaves(t *testing.T) {
	var client *net.TCPConn
	leaves := make(chan *net.TCPConn, 1)
	leave := func() error { _ = (<-leaves).Close(); return nil }
	for _, test := range []struct {
		name string
		when func(*servingNode, http.ResponseWriter, *http.Request)
	}{
		{"before the answer", func(n *servingNode, w http.ResponseWriter, r *http.Request) {
			_ = leave()
			<-r.Context().Done() // the forwarding node has closed the connection
			n.grant(w, r, yes)
		}},
		{"after the head of the answer", func(n *servingNode, w http.ResponseWriter, r *http.Request) {
			n.grant(w, r, func() error { return leave() })
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			node := newServingNode(t, testTerm, test.when)
			_, at, _ := forwardingNode(t, node)
			client = rawClient(t, at, rawAcquire)
			leaves <- client
			eventually(t, "the grant is undone", func() bool { return node.undone.Load() == 1 })
		})
	}
}

// brokenClient is a client to which nothing can be written.
type brokenClient struct{ *httptest.ResponseRecorder }

func (brokenClient) Write([]byte) (int, error) { return 0, net.ErrClosed }

// A grant whose write fails is undone, although the serving node has agreed to its delivery.
func TestForwardedGrantIsUndoneIfItCannotBeWritten(t *testing.T) {
	node := newServingNode(t, testTerm, func(n *servingNode, w http.ResponseWriter, r *http.Request) { n.grant(w, r, yes) })
	f, _, _ := forwardingNode(t, node)
	f.ServeHTTP(brokenClient{httptest.NewRecorder()}, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/locks/a/acquire", nil))
	eventually(t, "the grant is undone", func() bool { return node.undone.Load() == 1 })
	if node.delivered.Load() != 1 || f.Stats().Undone != 1 {
		t.Errorf("delivered %d, counted %+v", node.delivered.Load(), f.Stats())
	}
}

// quickClient is a client that leaves as soon as it has the body: net/http then ends the context of its
// request and, with HTTP/2, fails each later flush.
type quickClient struct {
	*httptest.ResponseRecorder
	leave context.CancelFunc
	left  bool
}

func (c *quickClient) FlushError() error {
	if c.left {
		return net.ErrClosed
	}
	if c.Body.Len() > 0 {
		c.left = true
		c.leave()
	}
	return nil
}

// A client that has its grant and closes the connection at once keeps it, also where the end of the answer
// comes later than its last byte.
func TestForwardedGrantIsKeptByAClientThatLeavesWithIt(t *testing.T) {
	for _, test := range []struct {
		name string
		ends func(context.Context)
	}{
		{"the answer ends with its body", func(context.Context) {}},
		{"the answer ends later", func(ctx context.Context) { <-ctx.Done() }},
	} {
		t.Run(test.name, func(t *testing.T) {
			node := newServingNode(t, testTerm, func(n *servingNode, w http.ResponseWriter, r *http.Request) {
				n.grant(w, r, yes)
				_ = http.NewResponseController(w).Flush() // its loss would be noticed below
				test.ends(r.Context())
			})
			f, _, _ := forwardingNode(t, node)
			ctx, leave := context.WithCancel(t.Context())
			client := &quickClient{ResponseRecorder: httptest.NewRecorder(), leave: leave}
			func() {
				defer func() { _ = recover() }() // an answer that breaks off ends so
				f.ServeHTTP(client, httptest.NewRequestWithContext(ctx, http.MethodPost, "/v1/locks/a/acquire", nil))
			}()
			if client.Body.String() != "a lease" || f.Stats().Undone != 0 {
				t.Errorf("the client has %q, undone %d", client.Body, f.Stats().Undone)
			}
		})
	}
}

// A grant that may not be delivered any more is not delivered.
func TestForwardedGrantMayBeTooLate(t *testing.T) {
	node := newServingNode(t, testTerm, func(n *servingNode, w http.ResponseWriter, r *http.Request) {
		n.grant(w, r, func() error { return lock.ErrTooLate })
	})
	_, at, _ := forwardingNode(t, node)
	status, body, err := send(t, "POST", at+"/v1/locks/a/acquire")
	if err != nil || status != 503 || code(body) != "too_late" || node.delivered.Load() != 0 {
		t.Errorf("%d %q %v, delivered %d", status, body, err, node.delivered.Load())
	}
	eventually(t, "the grant is undone", func() bool { return node.undone.Load() == 1 })
}

// If the forwarding node dies before it has asked, the grant is undone. Once it may have delivered the
// grant, a connection that breaks says nothing.
func TestForwardedGrantOfANodeThatDies(t *testing.T) {
	node := newServingNode(t, testTerm, func(n *servingNode, w http.ResponseWriter, r *http.Request) { n.grant(w, r, yes) })
	acquire := func() (answer *http.Response, die func()) {
		transport := &http.Transport{}
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, node.URL+"/v1/locks/a/acquire", nil)
		r.Header.Set(Header, claim{kind: kindRequest, term: testTerm, at: time.Now()}.sign(testKey, r.Method, r.URL.RequestURI()))
		answer, err := transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		return answer, func() { _ = answer.Body.Close() } // which has not arrived, so the connection is closed
	}
	_, die := acquire()
	die()
	eventually(t, "the grant is undone", func() bool { return node.undone.Load() == 1 })

	answer, die := acquire()
	if node.hear(wordDeliver, answer.Header.Get(AskHeader)) != nil {
		t.Fatal("the grant may not be delivered")
	}
	die()
	eventually(t, "the answer was given up", func() bool { return node.delivered.Load() == 1 })
	if node.hear(wordDeliver, answer.Header.Get(AskHeader)) == nil {
		t.Error("the grant may be delivered twice")
	}
	if node.undone.Load() != 1 {
		t.Error("a grant was undone that its client may have")
	}
	for range 2 { // a copy does nothing
		_ = node.hear(wordUndo, answer.Header.Get(AskHeader)) // always heard
	}
	if node.undone.Load() != 2 {
		t.Errorf("undone %d times", node.undone.Load()-1)
	}
}

// Until the serving node has agreed nothing of a grant goes to the client, whatever happens to the question.
func TestForwardedGrantWithoutAnAnswerIsNotDelivered(t *testing.T) {
	var cut atomic.Bool
	node := newServingNode(t, testTerm, func(n *servingNode, w http.ResponseWriter, r *http.Request) {
		cut.Store(true)
		n.grant(w, r, yes)
	})
	answer := node.Config.Handler
	node.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		lost := httptest.NewRecorder()
		if strings.HasPrefix(r.URL.Path, wordPath) && cut.Swap(false) {
			answer.ServeHTTP(lost, r)
			panic(http.ErrAbortHandler) // the yes is lost
		}
		answer.ServeHTTP(w, r)
	})
	_, at, _ := forwardingNode(t, node)
	status, body, err := send(t, "POST", at+"/v1/locks/a/acquire")
	if err != nil || status != 503 || code(body) != "outcome_unknown" {
		t.Errorf("%d %q %v", status, body, err)
	}
	eventually(t, "the grant is undone", func() bool { return node.undone.Load() == 1 })
}

// A word about a grant counts in the term of the grant only.
func TestForwardedWordOfAnotherTermIsIgnored(t *testing.T) {
	node := newServingNode(t, testTerm+1, func(*servingNode, http.ResponseWriter, *http.Request) {})
	ask := node.Ask(Grant{May: yes, Undo: func() { node.undone.Add(1) }})
	if err := node.hear(wordDeliver, ask.ID()); err != nil {
		t.Fatal(err)
	}
	f, _, _ := forwardingNode(t, node)
	to, _ := f.cfg.Target()
	if err := f.say(t.Context(), to, wordUndo, ask.ID()); err == nil {
		t.Error("the word of an older term is heard")
	}
	if node.undone.Load() != 0 {
		t.Error("a grant of another term was undone")
	}
}

func TestReceiverForgets(t *testing.T) {
	v := NewReceiver(testKey, testTerm)
	undone := 0
	begin := func() *Ask { return v.Ask(Grant{May: yes, Undo: func() { undone++ }}) }
	allowed := func() *Ask {
		a := begin()
		if err := v.hear(wordDeliver, a.ID()); err != nil {
			t.Fatal(err)
		}
		return a
	}
	old := allowed()
	v.rotated = time.Now().Add(-undoTime)
	begin().Drop()
	if err := v.hear(wordUndo, old.ID()); err != nil || undone != 1 {
		t.Error("a grant of a moment ago is forgotten")
	}
	old = allowed()
	for range 2 {
		v.rotated = time.Now().Add(-undoTime)
		begin().Drop()
	}
	if err := v.hear(wordUndo, old.ID()); err != nil || undone != 1 || len(v.asks)+len(v.older) != 0 {
		t.Errorf("%d and %d grants are remembered", len(v.asks), len(v.older))
	}
}

// The serving node does not wait forever for a node that does not ask.
func TestForwardedAskEnds(t *testing.T) {
	v := NewReceiver(testKey, testTerm)
	ctx, end := context.WithCancel(t.Context())
	end()
	ask := v.Ask(Grant{May: yes})
	if err := ask.Await(ctx); !errors.Is(err, lock.ErrGone) || v.hear(wordDeliver, ask.ID()) == nil {
		t.Errorf("%v", err)
	}
}
