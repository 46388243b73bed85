package forward

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/octostore/octostore/transport/internal/conn"
)

var testKey = []byte("a key that all nodes of a test have")

const testTerm = 7

// servingNode is a node whose requests a test answers. It counts grants.
type servingNode struct {
	*httptest.Server
	*Receiver
	delivered, undone, requests atomic.Int64
	// answer answers the requests of clients.
	answer func(w http.ResponseWriter, r *http.Request)
}

func newServingNode(t *testing.T, term int64, answer func(*servingNode, http.ResponseWriter, *http.Request)) *servingNode {
	n := &servingNode{Receiver: NewReceiver(testKey, term)}
	n.answer = func(w http.ResponseWriter, r *http.Request) { answer(n, w, r) }
	n.Server = httptest.NewServer(n)
	t.Cleanup(func() { n.CloseClientConnections(); n.Close() })
	return n
}

func (n *servingNode) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch from, err := n.Receive(r, time.Now()); {
	case err != nil:
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	case from == Word:
		n.Receiver.ServeHTTP(w, r)
	default:
		n.requests.Add(1)
		w.Header().Set("X-Sender", fmt.Sprint(from))
		n.answer(w, r)
	}
}

// grant answers as the API does when it grants a lock.
func (n *servingNode) grant(w http.ResponseWriter, r *http.Request, may func() error) {
	const body = "a lease"
	ask := n.Ask(Grant{Token: 4711, May: may, Undo: func() { n.undone.Add(1) }})
	w.Header().Set(AskHeader, ask.ID())
	w.Header().Set("Content-Length", fmt.Sprint(len(body)))
	w.WriteHeader(http.StatusOK)
	_ = http.NewResponseController(w).Flush()
	if ask.Await(r.Context()) != nil {
		n.undone.Add(1)
		panic(http.ErrAbortHandler)
	}
	n.delivered.Add(1)
	_, _ = io.WriteString(w, body)
}

func yes() error { return nil }

// target is who serves, as a test says.
type target struct {
	mu  sync.Mutex
	now Target
	is  bool
}

func (to *target) get() (Target, bool) {
	to.mu.Lock()
	defer to.mu.Unlock()
	return to.now, to.is
}

// set changes who serves, and returns a function that says that nobody does.
func (to *target) set(t *testing.T, at string, term int64) (end func()) {
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	changed := make(chan struct{})
	to.mu.Lock()
	defer to.mu.Unlock()
	to.now, to.is = Target{URL: u, Term: term, Changed: changed}, true
	return func() {
		to.mu.Lock()
		to.is = false
		to.mu.Unlock()
		close(changed)
	}
}

// forwardingNode forwards to a serving node until end is called.
func forwardingNode(t *testing.T, to *servingNode, configure ...func(*Config)) (f *Forwarder, at string, end func()) {
	var where target
	end = where.set(t, to.URL, testTerm)
	cfg := Config{Key: testKey, Target: where.get}
	for _, c := range configure {
		c(&cfg)
	}
	f = New(cfg)
	server := httptest.NewUnstartedServer(f)
	server.Config.ConnContext = conn.NewSet(0, 0, func(string) netip.Addr { return netip.Addr{} }).Opened // by which a hang-up is seen at once
	server.Start()
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		_ = f.Close()
	})
	return f, server.URL, end
}

// send sends a request and returns the status and the body of its answer.
func send(t *testing.T, method, at string, header ...string) (status int, body string, err error) {
	r, err := http.NewRequestWithContext(t.Context(), method, at, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = answer.Body.Close() }()
	b, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(b), err
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: never", what)
		}
	}
}

// The serving node gets what the client sent: method, path and query as they were written, host, headers and body.
func TestForwardPassesARequestAsItIs(t *testing.T) {
	type request struct {
		line, host, body, remote string
		header                   http.Header
	}
	got := make(chan request, 1)
	node := newServingNode(t, testTerm, func(_ *servingNode, w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got <- request{r.Method + " " + r.RequestURI, r.Host, string(b), r.RemoteAddr, r.Header}
		w.Header().Set("X-Own", "answer")
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, "short and stout")
	})
	_, at, _ := forwardingNode(t, node, func(c *Config) { c.Client = func(*http.Request) string { return "203.0.113.7:4711" } })
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, at+"/v1/locks/a%2Fb/acquire?a=1;2&x=%zz", strings.NewReader("ttl=5s"))
	r.Host = "octo.example"
	r.Header.Set("Idempotency-Key", "0123456789abcdef")
	r.Header.Set("Authorization", "Bearer x")
	r.Header.Set("Expect", "100-continue")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusTeapot || string(body) != "short and stout" || answer.Header.Get("X-Own") != "answer" || answer.Header.Get("X-Sender") != fmt.Sprint(Node) {
		t.Errorf("the answer is %d %q %v", answer.StatusCode, body, answer.Header)
	}
	sent := <-got
	if sent.line != "POST /v1/locks/a%2Fb/acquire?a=1;2&x=%zz" || sent.host != "octo.example" || sent.body != "ttl=5s" || sent.remote != "203.0.113.7:4711" {
		t.Errorf("the serving node got %+v", sent)
	}
	if sent.header.Get("Idempotency-Key") != "0123456789abcdef" || sent.header.Get("Authorization") != "Bearer x" || sent.header["Accept-Encoding"][0] != "gzip" {
		t.Errorf("the serving node got the header %v", sent.header)
	}
}

// A client that answers for nobody else cannot name an address, and a node does not forward twice.
func TestForwardSignatureIsNeeded(t *testing.T) {
	node := newServingNode(t, testTerm, func(_ *servingNode, w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.RemoteAddr)
	})
	_, forwarding, _ := forwardingNode(t, node)
	sign := func(key []byte, term int64, at time.Time, method, target string) string {
		return claim{kind: kindRequest, term: term, at: at, client: "198.51.100.9:1"}.sign(key, method, target)
	}
	now := time.Now()
	for _, test := range []struct {
		name, header string
		status       int
		believed     bool
	}{
		{"signed", sign(testKey, testTerm, now, "GET", "/x?y"), 200, true},
		{"a little late", sign(testKey, testTerm, now.Add(-MaxSkew/2), "GET", "/x?y"), 200, true},
		{"nonsense", "hello", 200, false},
		{"another key", sign([]byte("k"), testTerm, now, "GET", "/x?y"), 200, false},
		{"another method", sign(testKey, testTerm, now, "POST", "/x?y"), 200, false},
		{"another target", sign(testKey, testTerm, now, "GET", "/x?z"), 200, false},
		{"another address", strings.Replace(sign(testKey, testTerm, now, "GET", "/x?y"), "198", "199", 1), 200, false},
		{"another term", sign(testKey, testTerm+1, now, "GET", "/x?y"), 503, false},
		{"too old", sign(testKey, testTerm, now.Add(-MaxSkew-time.Minute), "GET", "/x?y"), 503, false},
		{"from the future", sign(testKey, testTerm, now.Add(MaxSkew+time.Minute), "GET", "/x?y"), 503, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			status, body, err := send(t, "GET", node.URL+"/x?y", Header, test.header)
			if err != nil || status != test.status || (body == "198.51.100.9:1") != test.believed {
				t.Errorf("the serving node answers %d %q %v", status, body, err)
			}
			signed := test.status == 503 || test.believed
			status, body, err = send(t, "GET", forwarding+"/x?y", Header, test.header)
			if err != nil || (status == 503) != signed || body == "198.51.100.9:1" {
				t.Errorf("a forwarding node answers %d %q %v", status, body, err)
			}
		})
	}
}

// A client cannot speak as a node by way of a node.
func TestForwardedWordsAreNotOfClients(t *testing.T) {
	node := newServingNode(t, testTerm, func(n *servingNode, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	_, at, _ := forwardingNode(t, node)
	if status, _, err := send(t, "POST", at+wordPath+wordUndo+"?ask=x"); err != nil || status != http.StatusTeapot {
		t.Errorf("a word of a client is answered %d %v", status, err)
	}
}

func code(body string) string {
	for _, c := range []string{"moved", "outcome_unknown", "too_late", "too_large", "invalid"} {
		if strings.Contains(body, `"code":"`+c+`"`) {
			return c
		}
	}
	return body
}

// moved promises that nothing was done; once the request is on its way nobody knows.
func TestForwardSaysWhatIsKnown(t *testing.T) {
	node := newServingNode(t, testTerm, func(_ *servingNode, w http.ResponseWriter, r *http.Request) {
		panic(http.ErrAbortHandler) // it dies
	})
	closed := httptest.NewServer(nil)
	closed.Close()
	for _, test := range []struct {
		name, method, to string
		want             string
	}{
		{"no node serves", "POST", "", "moved"},
		{"the serving node refuses connections", "POST", closed.URL, "moved"},
		{"the serving node dies", "POST", node.URL, "outcome_unknown"},
		{"the serving node dies in a release", "DELETE", node.URL, "outcome_unknown"},
		{"the serving node dies in a read", "GET", node.URL, "moved"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var where target
			if test.to != "" {
				where.set(t, test.to, testTerm)
			}
			f := New(Config{Key: testKey, Target: where.get})
			server := httptest.NewServer(f)
			defer func() { server.Close(); _ = f.Close() }()
			r, _ := http.NewRequestWithContext(t.Context(), test.method, server.URL+"/v1/locks/a/acquire", nil)
			r.Header.Set("Idempotency-Key", "0123456789abcdef")
			answer, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(answer.Body)
			_ = answer.Body.Close()
			if answer.StatusCode != 503 || code(string(body)) != test.want || answer.Header.Get("Retry-After") != "1" || answer.Header.Get("X-Request-Id") == "" {
				t.Errorf("answered %d %s %v, want %s", answer.StatusCode, body, answer.Header, test.want)
			}
			if s := f.Stats(); s.Moved+s.Unknown != 1 || (s.Unknown == 1) != (test.want == "outcome_unknown") {
				t.Errorf("counted %+v", s)
			}
		})
	}
}

// net/http repeats a request that has an idempotency key if its connection breaks, even a POST.
func TestForwardSendsNothingTwice(t *testing.T) {
	var dies atomic.Bool
	node := newServingNode(t, testTerm, func(_ *servingNode, w http.ResponseWriter, r *http.Request) {
		if dies.Load() {
			panic(http.ErrAbortHandler)
		}
	})
	_, at, _ := forwardingNode(t, node)
	for _, header := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
		dies.Store(false)
		if status, _, err := send(t, "POST", at+"/", header, "0123456789abcdef"); err != nil || status != 200 {
			t.Fatal(status, err)
		}
		dies.Store(true) // on a connection that has worked
		before := node.requests.Load()
		status, body, err := send(t, "POST", at+"/", header, "0123456789abcdef")
		if err != nil || status != 503 || code(body) != "outcome_unknown" {
			t.Errorf("%s: answered %d %s %v", header, status, body, err)
		}
		if n := node.requests.Load() - before; n != 1 {
			t.Errorf("%s: the serving node got the request %d times", header, n)
		}
	}
}

// A host that is gone says nothing: what was sent to it ends when another node serves.
func TestForwardEndsWithTheTerm(t *testing.T) {
	begun := make(chan struct{}, 10)
	node := newServingNode(t, testTerm, func(_ *servingNode, w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/stream" {
			_, _ = io.WriteString(w, "begun")
			_ = http.NewResponseController(w).Flush()
		}
		begun <- struct{}{}
		<-r.Context().Done()
	})
	f, at, end := forwardingNode(t, node)
	var wait sync.WaitGroup
	for _, test := range []struct{ method, path, want string }{
		{"POST", "/acquire", "outcome_unknown"}, {"GET", "/get", "moved"}, {"GET", "/stream", "begun"},
	} {
		wait.Go(func() {
			_, body, err := send(t, test.method, at+test.path)
			if code(body) != test.want || (err != nil) != (test.path == "/stream") {
				t.Errorf("%s: %s %v", test.path, body, err)
			}
		})
	}
	for range 3 {
		<-begun
	}
	if s := f.Stats(); s.InFlight != 3 || s.Forwarded != 3 {
		t.Errorf("counted %+v", s)
	}
	end()
	wait.Wait()
	eventually(t, "no request is under way", func() bool { return f.Stats().InFlight == 0 })
}

// The serving node learns that a client has left, and pieces of an answer arrive as they are sent.
func TestForwardPassesHangUpsAndPieces(t *testing.T) {
	left, next := make(chan struct{}), make(chan struct{})
	node := newServingNode(t, testTerm, func(_ *servingNode, w http.ResponseWriter, r *http.Request) {
		for range 2 {
			_, _ = io.WriteString(w, "data\n")
			_ = http.NewResponseController(w).Flush()
			select {
			case <-next:
			case <-r.Context().Done():
			}
		}
		<-r.Context().Done()
		close(left)
	})
	_, at, _ := forwardingNode(t, node)
	ctx, leave := context.WithCancel(t.Context())
	r, _ := http.NewRequestWithContext(ctx, http.MethodGet, at+"/v1/events", nil)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	piece := make([]byte, 5)
	for range 2 {
		if _, err := io.ReadFull(answer.Body, piece); err != nil || string(piece) != "data\n" {
			t.Fatal(string(piece), err)
		}
		select {
		case next <- struct{}{}:
		case <-time.After(20 * time.Second):
			t.Fatal("the first piece did not arrive by itself")
		}
	}
	leave()
	_ = answer.Body.Close()
	select {
	case <-left:
	case <-time.After(20 * time.Second):
		t.Error("the serving node does not know that the client has left")
	}
}

// A body is read by the forwarding node, with the limit of the API.
func TestForwardTakesBodiesOfTheSizeOfTheAPI(t *testing.T) {
	node := newServingNode(t, testTerm, func(_ *servingNode, w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		_, _ = fmt.Fprint(w, len(b), r.ContentLength, len(r.TransferEncoding))
	})
	_, at, _ := forwardingNode(t, node)
	for _, test := range []struct {
		bytes int
		want  string
	}{{16 << 10, "16384 16384 0"}, {16<<10 + 1, "too_large"}, {0, "0 0 0"}} {
		for _, chunked := range []bool{false, true} {
			var body io.Reader = strings.NewReader(strings.Repeat("x", test.bytes))
			if chunked {
				body = io.MultiReader(body)
			}
			answer, err := http.Post(at+"/", "text/plain", body) //nolint:noctx // of a test
			if err != nil {
				t.Fatal(err)
			}
			got, _ := io.ReadAll(answer.Body)
			_ = answer.Body.Close()
			if code(string(got)) != test.want {
				t.Errorf("%d bytes, chunked %v: %s, want %s", test.bytes, chunked, got, test.want)
			}
		}
	}
}
