package transport

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/table"
)

// Twins are two servers with the same API, the same locks and the same token. What a client
// sends to both must have the same answers, and the connection must live on or end alike.

// twins are a server behind net/http, and the same behind another.
type twins [2]*twin

// twin is one of two servers.
type twin struct {
	*server
	addr   net.Addr
	secret string   // of a token that may do everything; empty: a server without tokens
	lease  string   // proves the lock "held"
	closes bool     // clients close their half behind a script, in place of the last request
	sides  sync.Map // *net.TCPConn of the server by the address of its client
}

// serving serves an API on a listener until the test ends.
type serving func(t testing.TB, s *server, l net.Listener)

// newTwins starts net/http, and another server for another API.
func newTwins(t testing.TB, tokens bool, other serving) *twins {
	t.Helper()
	return &twins{newTwin(t, tokens, byHTTP.serve), newTwin(t, tokens, other)}
}

func newTwin(t testing.TB, tokens bool, serve serving) *twin {
	t.Helper()
	// Waits are short, as many requests wait in vain.
	w := &twin{server: newServer(t, setup{core: core.Config{MaxWait: 10 * time.Millisecond}})}
	if tokens {
		_, with := w.token(t, "one", "admin acquire,read,break,audit:**")
		w.secret = strings.TrimPrefix(newRequest("", []option{with}).header.Get("Authorization"), "Bearer ")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.addr = l.Addr()
	serve(t, w.server, &sidesListener{l, w})
	w.reset(t)
	return w
}

// sidesListener remembers the server's side of each connection. It accepts the connections
// themselves, as a server may look for the socket.
type sidesListener struct {
	net.Listener
	of *twin
}

func (l *sidesListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		l.of.sides.Store(c.RemoteAddr().String(), c)
	}
	return c, err
}

// reset brings the locks into the state in which each script begins: "held" is held, all
// others are free.
func (w *twin) reset(t testing.TB) {
	t.Helper()
	if w.service.Draining() {
		return // nothing can be acquired
	}
	held, _ := w.table.List(table.Query{Limit: 1000})
	if len(held) == 1 && held[0].Name == "held" && held[0].Lease != nil && w.lease != "" &&
		held[0].Waiters == 0 && w.table.Proves(held[0].Lease, held[0].Lease.Account, w.lease) {
		return
	}
	for _, l := range held {
		w.quietly(t, "POST /v1/locks/"+string(l.Name)+"/break?reason=reset")
	}
	rec := w.quietly(t, "POST /v1/locks/held/acquire?ttl=1h&holder=holder&reason=held")
	_, after, _ := strings.Cut(rec.Body.String(), `"lease_id":"`)
	w.lease, _, _ = strings.Cut(after, `"`)
	if w.lease == "" {
		t.Fatalf("no lease: %d %s", rec.Code, rec.Body)
	}
}

// quietly sends a request past the socket and past openapi.yaml.
func (w *twin) quietly(t testing.TB, line string) *httptest.ResponseRecorder {
	t.Helper()
	var with []option
	if w.secret != "" {
		with = append(with, bearer(w.secret))
	}
	rec := httptest.NewRecorder()
	serve(w.API, rec, newRequest(line, with).http())
	return rec
}

// script is what a client sends: pieces that arrive one after the other. In them {lease}
// stands for the lease id of the lock "held", and {token} for the token.
type script []string

func (w *twin) fill(piece string) string {
	return strings.NewReplacer("{lease}", w.lease, "{token}", w.secret).Replace(piece)
}

// withToken returns the script with a token in each request.
func (p script) withToken() script {
	with := slices.Clone(p)
	for i := range with {
		with[i] = strings.ReplaceAll(with[i], host, host+"Authorization: Bearer {token}\r\n")
	}
	return with
}

// cut returns a script that is cut into two pieces before byte n of what is sent.
func (p script) cut(n int) script {
	whole := strings.Join(p, "")
	n = min(n, len(whole))
	return script{whole[:n], whole[n:]}
}

// last is a request that comes behind each script. Its answer is the end of the answers to the
// script, and shows that the connection lives on.
const (
	lastName = "the-last-one"
	// lastAnswer is in its answer, and in no other.
	lastAnswer = `"name":"` + lastName + `"`
	last       = "GET /v1/locks/" + lastName + " HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"
)

// outcome is what a client received for a script.
type outcome struct {
	messages []string // with headers in order, and without what differs from run to run
	rest     string   // bytes that are no whole message
	fate     fate
	reset    bool // it ended with bytes of the client unread, so the last answers may be lost
}

// fate is what became of the connection.
type fate string

const (
	livesOn fate = "lives on"
	ended   fate = "ended"
	hangs   fate = "hangs: it neither ends nor answers"
)

func (o outcome) String() string {
	return fmt.Sprintf("%s\nrest %q, the connection %s", strings.Join(o.messages, "\n"), o.rest, o.fate)
}

// without leaves a lease id out, of which a client may have sent a part in any place. With a
// wrong length of a body even its last letters may begin the method of the next request.
func (o outcome) without(lease string) outcome {
	const least, method = 4, "does not answer to "
	o.messages = slices.Clone(o.messages)
	for i := range o.messages {
		for n := 1; n < least; n++ {
			o.messages[i] = strings.Replace(o.messages[i], method+lease[len(lease)-n:], method+"LEASE", 1)
		}
		for n := len(lease); n >= least; n-- {
			o.messages[i] = strings.ReplaceAll(strings.ReplaceAll(o.messages[i], lease[len(lease)-n:], "LEASE"), lease[:n], "LEASE")
		}
	}
	return o
}

// equal reports whether both are the same, as far as they arrived.
func (o outcome) equal(other outcome) bool {
	if o.reset || other.reset {
		n := min(len(o.messages), len(other.messages))
		return o.fate == other.fate && slices.Equal(o.messages[:n], other.messages[:n])
	}
	return o.String() == other.String()
}

// mayWait reports whether a script asks for a wait, as far as its bytes tell.
func (s script) mayWait() bool { return strings.Contains(strings.Join(s, ""), "wait") }

// play sends a script to both servers at once, and fails the test if their answers differ.
func (ws *twins) play(t testing.TB, name string, s script) {
	t.Helper()
	one, other := ws.outcomes(t, s)
	if !one.equal(other) && s.mayWait() { // on a busy machine one of two requests may be late for its wait
		one, other = ws.outcomes(t, s)
	}
	if !one.equal(other) {
		t.Errorf("%s: %.2000q\nnet/http (-), the other (+):\n%s", name, s, cmp.Diff(one.String(), other.String()))
	}
}

// outcomes sends a script to both servers.
func (ws *twins) outcomes(t testing.TB, s script) (one, other outcome) {
	t.Helper()
	var both sync.WaitGroup
	both.Go(func() { one = ws[0].outcome(t, s) })
	other = ws[1].outcome(t, s)
	both.Wait()
	if !one.equal(other) {
		one, other = one.without(ws[0].lease), other.without(ws[1].lease)
	}
	for _, w := range ws {
		w.reset(t)
	}
	return one, other
}

const (
	// patience is how long a server may take for an answer before it is sent so much more that a
	// body is whole, or a stream ends.
	patience = 200 * time.Millisecond
	flood    = 64 << 10
)

func (w *twin) outcome(t testing.TB, s script) outcome {
	c, err := net.Dial("tcp", w.addr.String())
	if err != nil {
		t.Error(err)
		return outcome{}
	}
	defer c.Close()
	reset := false // the system tells that once
	for i, piece := range s {
		if i > 0 {
			w.arrived(c)
		}
		if _, err := c.Write([]byte(w.fill(piece))); err != nil {
			reset = true
			break
		}
	}
	sentinel := w.fill(last)
	if w.closes {
		_ = c.(*net.TCPConn).CloseWrite()
	} else if _, err := c.Write([]byte(sentinel)); err != nil {
		reset = true
	}
	_ = c.SetReadDeadline(time.Now().Add(patience))
	var got []byte
	for buf, flooded := make([]byte, 16<<10), false; ; {
		n, err := c.Read(buf)
		got = append(got, buf[:n]...)
		if err == nil && !bytes.Contains(got[max(0, len(got)-n-flood/64):], []byte(lastAnswer)) {
			continue
		}
		if messages, rest, all := parse(got); all {
			return outcome{messages, rest, livesOn, false}
		} else if err != nil {
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				return outcome{messages, rest, ended, reset || !errors.Is(err, io.EOF)}
			}
			if flooded {
				return outcome{messages, rest, hangs, false}
			}
			flooded = true
			_ = c.SetDeadline(time.Now().Add(soon))
			go func() { _, _ = c.Write([]byte(strings.Repeat(sentinel, flood/len(sentinel)))) }()
		}
	}
}

// arrived waits until the server has read all that was sent, or does not read it.
func (w *twin) arrived(c net.Conn) {
	for began := time.Now(); time.Since(began) < 20*time.Millisecond; {
		if side, is := w.sides.Load(c.LocalAddr().String()); is && unreadBytes(side.(*net.TCPConn)) == 0 {
			return
		}
		time.Sleep(10 * time.Microsecond)
	}
}

// parse takes what a server sent apart. All reports whether the answer to last was among it;
// it is not one of the messages.
func parse(got []byte) (messages []string, rest string, all bool) {
	for len(got) > 0 {
		head, after, whole := bytes.Cut(got, []byte("\r\n\r\n"))
		if !whole {
			break
		}
		lines := strings.Split(string(head), "\r\n")
		body, after, whole := bodyOf(lines, after)
		if !whole {
			break
		}
		if strings.Contains(body, lastAnswer) {
			return messages, "", true
		}
		messages = append(messages, masked(lines, body))
		got = after
	}
	if bytes.HasPrefix(got, []byte("HTTP/1.")) {
		got = bytes.TrimRight(got[:min(len(got), 12)], " ") // a stream: what comes and when differs
	}
	return messages, string(got), false
}

// bodyOf returns the body behind the lines of a header, and what comes after it.
func bodyOf(header []string, got []byte) (body string, after []byte, whole bool) {
	length := 0
	for _, line := range header[1:] {
		name, value, _ := strings.Cut(line, ": ")
		switch name {
		case "Content-Length":
			length, _ = strconv.Atoi(value)
		case "Transfer-Encoding":
			end := []byte("0\r\n\r\n")
			i := bytes.Index(got, append([]byte("\r\n"), end...))
			if bytes.HasPrefix(got, []byte("HTTP/1.")) {
				return "", got, true // to a HEAD
			}
			if i < 0 {
				return "", nil, false
			}
			return "(chunks)", got[i+2+len(end):], true
		}
	}
	if len(got) == 0 && length > 0 || bytes.HasPrefix(got, []byte("HTTP/1.")) {
		return "", got, len(got) > 0 || strings.HasPrefix(header[0], "HTTP/1.1 304") // to a HEAD, mostly
	}
	if len(got) < length {
		return "", nil, false
	}
	return string(got[:length]), got[length:], true
}

// What differs between two servers that do the same.
var (
	ofLocks   = regexp.MustCompile(`^\{"(name|locks|type)":`) // answers, lists and problems
	ownID     = regexp.MustCompile(`\b[a-z2-7]{6}-\d+\b`)
	numbers   = regexp.MustCompile(`"(\w+_ms|fencing_token|seq)":\d+`)
	texts     = regexp.MustCompile(`"(\w+_at|lease_id|token|token_id|waiting_since)":"[^"]*"`)
	instants  = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`)
	durations = regexp.MustCompile(`\b\d+(h\d+)?(m\d+)?(\.\d+)?(ms|s|µs)\b`)
)

// masked returns a message in a form that is the same for servers that do the same.
func masked(header []string, body string) string {
	kept := header[1:]
	shown := ofLocks.MatchString(body)
	for i, line := range kept {
		name, _, _ := strings.Cut(line, ": ")
		switch name {
		case "Date", "Content-Length", "Last-Modified":
			kept[i] = name // that it matches the body was seen
		default:
			kept[i] = ownID.ReplaceAllString(line, "ID")
		}
	}
	slices.Sort(kept)
	if !shown {
		body = body[:min(len(body), 8)] // of pages, metrics and exports
	}
	body = ownID.ReplaceAllString(body, "ID")
	body = numbers.ReplaceAllString(body, `"$1":0`)
	body = texts.ReplaceAllString(body, `"$1":""`)
	body = instants.ReplaceAllString(body, "THEN")
	body = durations.ReplaceAllString(body, "SPAN")
	return header[0] + "\n" + strings.Join(kept, "\n") + "\n\n" + body
}
