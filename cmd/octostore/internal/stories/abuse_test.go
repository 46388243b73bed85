package stories_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

// statusLine finds the answers in what a connection said, however many there are.
var statusLine = regexp.MustCompile(`(?m)^HTTP/1\.[01] (\d\d\d) `)

// statuses returns the status codes of all answers in what a connection said.
func statuses(said []byte) (all []int) {
	for _, found := range statusLine.FindAllSubmatch(said, -1) {
		n, _ := strconv.Atoi(string(found[1])) // three digits
		all = append(all, n)
	}
	return all
}

// allowed reports whether a status may answer nonsense. Besides what the interface
// itself says, net/http knows two that are about the protocol: a transfer encoding
// and a version it does not speak.
func allowed(status int) bool {
	switch status {
	case 501, 503, 505, 507:
		return true
	}
	return status == 100 || status >= 200 && status < 500
}

// say sends bytes on a new connection, closes its half if asked to, and returns
// everything that comes back until the server closes. An error means that it did not
// close in time.
func say(addr string, raw []byte, halfClose bool, most time.Duration) ([]byte, error) {
	c, err := octotest.Dial(addr)
	if err != nil {
		return nil, err
	}
	defer c.Reset()
	if err := c.SetDeadline(time.Now().Add(most)); err != nil {
		return nil, err
	}
	if _, err := c.Write(raw); err == nil && halfClose {
		_ = c.Conn.(*net.TCPConn).CloseWrite() // hung up on already: fine
	}
	said, err := io.ReadAll(c.In)
	if isTimeout(err) {
		return said, err
	}
	return said, nil // a reset is an end like any other
}

func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

const (
	get     = "GET /v1/locks/a HTTP/1.1\r\nHost: localhost\r\n"
	acquire = "POST /v1/locks/a/acquire HTTP/1.1\r\nHost: localhost\r\n"
	closes  = "Connection: close\r\n\r\n"
)

// nonsense is sent as it is. want is the first status in answer; 0 means none. What
// is long may be hung up on before it has been sent.
var nonsense = []struct {
	name, raw string
	want      int
}{
	{"nothing", "", 0},
	{"only line ends", strings.Repeat("\r\n", 500), 400},
	{"binary", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\xff\r\n\r\n", 400},
	{"a lot of zeros", strings.Repeat("\x00", 64<<10), 431},
	{"the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 403},
	{"HTTP/0.9", "GET /healthz\r\n\r\n", 400},
	{"a version that does not exist", "GET / HTTP/7.3\r\nHost: localhost\r\n\r\n", 505},
	{"no Host", "GET /v1/locks/a HTTP/1.1\r\n\r\n", 400},
	{"two Hosts", "GET /v1/locks/a HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400},
	{"an empty Host", "GET /v1/locks/a HTTP/1.1\r\nHost:\r\n" + closes, 403},
	{"HTTP/1.0 without a Host", "GET /v1/locks/a HTTP/1.0\r\n\r\n", 403},
	{"HTTP/1.0", "GET /v1/locks/a HTTP/1.0\r\nHost: localhost\r\n\r\n", 200},
	{"HTTP/1.0 that waits", "POST /v1/locks/a/acquire?wait=100ms HTTP/1.0\r\nHost: localhost\r\n\r\n", 409},
	{"an absolute target", "GET http://localhost/v1/locks/a HTTP/1.1\r\nHost: localhost\r\n" + closes, 200},
	{"an absolute target elsewhere", "GET http://example.com/v1/locks/a HTTP/1.1\r\nHost: localhost\r\n" + closes, 403},
	{"TRACE", "TRACE /v1/locks/a HTTP/1.1\r\nHost: localhost\r\n" + closes, 405},
	{"CONNECT", "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n" + closes, 403},
	{"CONNECT to itself", "CONNECT localhost:443 HTTP/1.1\r\nHost: localhost:443\r\n" + closes, 404},
	{"CONNECT to a lock", "CONNECT /v1/locks/a/acquire HTTP/1.1\r\nHost: localhost\r\n" + closes, 405},
	{"OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n" + closes, 404},
	{"OPTIONS of a lock", "OPTIONS /v1/locks/a/acquire HTTP/1.1\r\nHost: localhost\r\n" + closes, 405},
	{"a method of its own", "FROB /v1/locks/a HTTP/1.1\r\nHost: localhost\r\n" + closes, 405},
	{"a method that is not a word", "GE(T /v1/locks/a HTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
	{"a huge target", "GET /" + strings.Repeat("a", 200<<10) + " HTTP/1.1\r\nHost: localhost\r\n\r\n", 431},
	{"a huge header", get + "X-Huge: " + strings.Repeat("a", 200<<10) + "\r\n\r\n", 431},
	{"a million headers", get + strings.Repeat("X: y\r\n", 1_000_000) + "\r\n", 431},
	{"a header without a name", get + ": x\r\n\r\n", 400},
	{"a folded header", get + "X-A: b\r\n c\r\n" + closes, 200},
	{"a blank before the colon", get + "X-A : b\r\n\r\n", 400},
	{"control characters in a header", get + "X-A: \x01\r\n\r\n", 400},
	{"an absurd length", acquire + "Content-Length: 9223372036854775807\r\n" + closes + "x", 413},
	{"a length that overflows", acquire + "Content-Length: 99999999999999999999999\r\n\r\n", 400},
	{"a negative length", acquire + "Content-Length: -1\r\n\r\n", 400},
	{"a length in hexadecimal", acquire + "Content-Length: 0x10\r\n\r\n", 400},
	{"two lengths", acquire + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nxy", 400},
	{"a length and chunks", acquire + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n" + closes + "0\r\n\r\n", 409},
	{"chunks of no size", acquire + "Transfer-Encoding: chunked\r\n" + closes + "zz\r\nhello\r\n0\r\n\r\n", 400},
	{"a chunk of an absurd size", acquire + "Transfer-Encoding: chunked\r\n" + closes + "ffffffffffffffffffff\r\nx", 400},
	{"a chunk without its end", acquire + "Transfer-Encoding: chunked\r\n" + closes + "5\r\nhelloworld\r\n0\r\n\r\n", 400},
	{"a chunk extension without end", acquire + "Transfer-Encoding: chunked\r\n" + closes + "5;" + strings.Repeat("x", 20<<10) + "\r\n", 400},
	{"trailers without end", acquire + "Transfer-Encoding: chunked\r\n" + closes + "0\r\n" + strings.Repeat("T: x\r\n", 50_000), 400},
	{"an unknown transfer encoding", acquire + "Transfer-Encoding: gzip, chunked\r\n\r\n", 501},
	{"chunked twice", acquire + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 501},
	{"chunks in two words", acquire + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n", 501},
	{"chunks that another would not see", acquire + "Transfer-Encoding:\x0bchunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400},
	{"chunks behind a blank", acquire + "Transfer-Encoding : chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400},
	{"chunks in HTTP/1.0", "POST /v1/locks/a/acquire HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 409},
	{"lines that end in LF alone", strings.ReplaceAll(get+closes, "\r\n", "\n"), 200},
	{"a CR within a header", get + "X-A: b\rX-B: c\r\n\r\n", 400},
	{"a LF within the target", "GET /v1/locks/a\n HTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
	{"a chunk whose size ends in LF alone", acquire + "Transfer-Encoding: chunked\r\n" + closes + "0\n\r\n", 400},
	{"a chunk with a sign", acquire + "Transfer-Encoding: chunked\r\n" + closes + "+0\r\n\r\n", 400},
	{"a length with a sign", acquire + "Content-Length: +0\r\n\r\n", 400},
	{"a list of lengths", acquire + "Content-Length: 0, 0\r\n\r\n", 400},
	{"too large a body", acquire + "Content-Length: 20000\r\n" + closes + strings.Repeat("x", 20_000), 413},
	{"an upgrade", get + "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings, close\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n", 200},
	{"an expectation that cannot be met", acquire + "Expect: 200-maybe\r\n" + closes, 417},
	{"garbage after a request", get + "\r\n" + "\x00\x01garbage\r\n\r\n", 200},
	{"garbage after a request that waits", "POST /v1/locks/a/acquire?wait=100ms HTTP/1.1\r\nHost: localhost\r\n\r\n\x00\x01garbage\r\n\r\n", 409},
	{"a hundred requests and garbage", strings.Repeat(get+"\r\n", 100) + "\xff\xfe\r\n\r\n", 200},
}

// The server soon refuses input that is no request, or none that a client should send, or
// hangs up. It neither panics nor counts it as a fault of its own, and goes on.
func TestNonsenseIsRefused(t *testing.T) {
	t.Parallel() // it waits more than it works
	p := octotest.Start(t, t.TempDir())
	p.Take(t, "a", "?ttl=1h")
	for _, test := range nonsense {
		t.Run(test.name, func(t *testing.T) {
			began := time.Now()
			said, err := say(p.Addr, []byte(test.raw), test.raw == "", octotest.Patient)
			if err != nil {
				t.Errorf("the connection is open after %s", time.Since(began))
			}
			all := statuses(said)
			cut := len(all) == 0 && (test.want == 0 || len(test.raw) > 16<<10)
			if !cut && (len(all) == 0 || all[0] != test.want) {
				t.Errorf("answered %v, want %d first: %.300q", all, test.want, said)
			}
			for _, status := range all {
				if !allowed(status) {
					t.Errorf("answered %d", status)
				}
			}
		})
	}
	p.ExpectHealthy(t)
}

// What is hidden behind the end of a request is never answered, whichever of its two
// lengths a proxy goes by.
func TestRequestSmugglingIsRefused(t *testing.T) {
	p := octotest.Start(t, t.TempDir())
	const hidden = "GET /v1/locks/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
	for name, raw := range map[string]string{
		"a length and chunks":           fmt.Sprintf(acquire+"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n%s", 5+len(hidden), hidden),
		"chunks and a length":           fmt.Sprintf(acquire+"Transfer-Encoding: chunked\r\nContent-Length: %d\r\n\r\n0\r\n\r\n%s", 5+len(hidden), hidden),
		"a request that has no body":    fmt.Sprintf(get+"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n%s", 5+len(hidden), hidden),
		"a trailer":                     acquire + "Transfer-Encoding: chunked\r\nTrailer: X\r\n\r\n0\r\nX: y\r\n\r\n" + hidden,
		"a length in the trailer":       acquire + "Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 99\r\n\r\n" + hidden,
		"a chunk and a blank too many ": acquire + "Transfer-Encoding: chunked\r\n\r\n0 \r\n\r\n" + hidden,
	} {
		said, err := say(p.Addr, []byte(raw), false, octotest.Patient)
		if err != nil {
			t.Fatalf("%s: the connection stays open: %.500q", name, said)
		}
		if all := statuses(said); len(all) != 1 || bytes.Contains(said, []byte("smuggled")) {
			t.Errorf("%s: answered %v", name, all)
		}
	}
}

// Whatever is sent slowly, or never, holds its connection for a bounded time.
func TestSlowRequestsAreCutOff(t *testing.T) {
	t.Parallel() // it waits more than it works
	p := octotest.Start(t, t.TempDir())
	const header, body = 5 * time.Second, 10 * time.Second // what each may take
	tests := []struct {
		name, at, drip string // sent at once, and then over and over
		most           time.Duration
	}{
		{"a header by bytes", "GET /v1/locks/a HTTP/1.1\r\nHost: localhost\r\nX-Slow: ", "a", header},
		{"headers by lines", "GET /v1/locks/a HTTP/1.1\r\nHost: localhost\r\n", "X-Slow: a\r\n", header},
		{"a body by bytes", acquire + "Content-Length: 10000\r\n\r\n", "a", body},
		{"chunks of one byte", acquire + "Transfer-Encoding: chunked\r\n\r\n", "1\r\na\r\n", body},
		{"a body that is not read", get + "Content-Length: 10000\r\n\r\n", "a", body},
	}
	if testing.Short() {
		tests = tests[:2]
	}
	var wg sync.WaitGroup
	for _, test := range tests {
		wg.Go(func() {
			took, said := drip(p, test.at, test.drip, test.most+octotest.Patient)
			if took < test.most/2 || took > test.most+octotest.Patient/2 {
				t.Errorf("%s: cut off after %s, want about %s", test.name, took, test.most)
			}
			for _, status := range statuses(said) {
				if status < 400 || status >= 500 {
					t.Errorf("%s: answered %d", test.name, status)
				}
			}
		})
	}
	wg.Wait()
	p.ExpectHealthy(t)
}

// drip sends something over and over until the server closes the connection, and
// returns when that was.
func drip(p *octotest.Server, at, again string, most time.Duration) (took time.Duration, said []byte) {
	c, err := octotest.Dial(p.Addr)
	if err != nil {
		return 0, nil
	}
	began := time.Now()
	ended := make(chan []byte)
	go func() {
		said, _ := io.ReadAll(c.In) // ends when the connection does
		ended <- said
	}()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	giveUp := time.AfterFunc(most, c.Reset)
	defer giveUp.Stop()
	for _, _ = io.WriteString(c, at); ; _, _ = io.WriteString(c, again) { // the end shows at the other side
		select {
		case said := <-ended:
			c.Reset()
			return time.Since(began), said
		case <-tick.C:
		}
	}
}

// Hundreds of connections that only just live cost others nothing.
func TestTricklingConnectionsLeaveRoomForOthers(t *testing.T) {
	t.Parallel() // it waits more than it works
	n := 500
	if testing.Short() {
		n = 100
	}
	p := octotest.Start(t, t.TempDir())
	for i := range n {
		c := octotest.NewCaller(t, p.Addr)
		half := []string{"", "P", acquire[:20], acquire, acquire + "Content-Length: 99\r\n\r\nttl="}[i%5]
		if _, err := io.WriteString(c, half); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 50 {
		name := fmt.Sprintf("well/%d", i)
		began := time.Now()
		octotest.Expect(t, p.Release(p.Take(t, name, "")), 200, "")
		if took := time.Since(began); took > octotest.Promptly { // as long as the others are let live
			t.Errorf("%s took %s", name, took)
		}
	}
	octotest.WaitWithin(t, 2*octotest.Patient, "all are cut off", func() bool { return p.Metric("go_goroutines") < 50 })
	p.ExpectHealthy(t)
}

// A client that closes its half after the request counts as gone, and nothing of it
// stays: neither lease nor place.
func TestHalfClosedConnectionsLeaveNothing(t *testing.T) {
	p := octotest.Start(t, t.TempDir())
	held := p.Take(t, "a", "?ttl=1h")
	for range 100 {
		said, err := say(p.Addr, []byte("POST /v1/locks/a/acquire?wait=1m&ttl=1h HTTP/1.1\r\nHost: localhost\r\n\r\n"), true, octotest.Patient)
		if err != nil || bytes.Contains(said, []byte(" 200 ")) {
			t.Fatalf("answered %q, %v", said, err)
		}
	}
	octotest.WaitUntil(t, "the queues are empty", func() bool { return p.Metric("octostore_waiters") == 0 })
	octotest.Expect(t, p.Release(held), 200, "")
	if l := p.Look("a"); l.State != "free" {
		t.Errorf("got %+v, want it free", l)
	}
	p.ExpectHealthy(t)
}
