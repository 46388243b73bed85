package transport

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/transport/api"
)

var parkTime = flag.Duration("torture.park", time.Second, "how long clients wait for locks and leave at random")

// unkept is a tracer that keeps nothing.
type unkept struct{}

func (unkept) Begin(r *http.Request, _ time.Time) (context.Context, Span) {
	return r.Context(), unkept{}
}
func (unkept) TraceID() string            { return "" }
func (unkept) End(time.Time, SpanRequest) {}

// TestParkedRequestsAreNotMixedUp has many connections wait for few locks, about as long as it takes
// until a request is parked, and leave at any moment. Each answer has to be the one of its connection,
// no two clients may hold a lock, and nothing may be left of any of them.
func TestParkedRequestsAreNotMixedUp(t *testing.T) {
	for name, with := range map[string]setup{
		"plain":       {},
		"traced":      {tracer: unkept{}},
		"by policies": {core: core.Config{Guard: refusing{nil}}}, // they agree, also at the turn
		"debug log":   {log: slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelDebug})},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, with)
			crowd := &parkingCrowd{t: t, addr: listening(t, s).String(), until: time.Now().Add(*parkTime)}
			var all sync.WaitGroup
			for n := range 48 {
				all.Go(func() { crowd.run(n) })
			}
			all.Wait()
			t.Logf("%d grants, %d refusals, %d hang-ups, %d keyed repeats", crowd.grants.Load(), crowd.refused.Load(), crowd.left.Load(), crowd.repeats.Load())
			if crowd.grants.Load() == 0 || crowd.refused.Load() == 0 || crowd.left.Load() == 0 || crowd.repeats.Load() == 0 {
				t.Error("some of that did not happen")
			}
			eventually(t, "no connection is left", func() bool { return s.door.connections[mainListener].Len() == 0 })
			for n := range crowd.locks {
				for _, w := range s.do(t, fmt.Sprintf("GET /v1/locks/l%d?waiters=100", n)).lock().Waiters {
					if !w.Away { // the place of an attempt is kept for a while
						t.Errorf("a ghost waits for l%d: %+v", n, w)
					}
				}
			}
		})
	}
}

// parkingCrowd is what the clients of a test have in common.
type parkingCrowd struct {
	t     *testing.T
	addr  string
	until time.Time
	locks [6]struct {
		until atomic.Int64 // the end of a lease that was not released yet, in Unix milliseconds
		token atomic.Uint64
	}
	grants, refused, left, repeats atomic.Int64
}

// parkingClient is one connection at a time.
type parkingClient struct {
	*parkingCrowd
	n, sent int
	r       *rand.Rand
	conn    net.Conn
	in      *bufio.Reader
}

func (c *parkingCrowd) run(n int) {
	m := &parkingClient{parkingCrowd: c, n: n, r: rand.New(rand.NewPCG(uint64(n), 7))}
	for time.Now().Before(c.until) && !c.t.Failed() {
		if m.conn == nil && !m.dial() {
			return
		}
		m.attempt()
	}
	m.hangUp()
}

func (m *parkingClient) dial() bool {
	conn, err := net.Dial("tcp", m.addr)
	if err != nil {
		m.t.Error(err)
		return false
	}
	m.conn, m.in = conn, bufio.NewReader(conn)
	return true
}

func (m *parkingClient) hangUp() {
	if m.conn != nil {
		if m.r.IntN(2) == 0 {
			_ = m.conn.(*net.TCPConn).SetLinger(0)
		}
		_ = m.conn.Close()
		m.conn = nil
	}
}

// request returns a request with an id of its own.
func (m *parkingClient) request(line, headers string) (text, id string) {
	m.sent++
	id = fmt.Sprintf("r-%d-%d", m.n, m.sent)
	return line + " HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: " + id + "\r\n" + headers + "\r\n", id
}

// attempt acquires a lock, or leaves before it has an answer.
func (m *parkingClient) attempt() {
	lock, holder := m.r.IntN(len(m.locks)), fmt.Sprintf("h-%d-%d", m.n, m.sent)
	wait, headers := []int{1, 20, 24, 25, 26, 30, 60, 300}[m.r.IntN(8)], ""
	keyed := m.r.IntN(2) == 0
	if keyed {
		headers = "Idempotency-Key: key-" + strings.Repeat("x", 16) + holder + "\r\n"
	}
	line := fmt.Sprintf("POST /v1/locks/l%d/acquire?ttl=2s&holder=%s&wait=", lock, holder)
	text, id := m.request(line+fmt.Sprint(wait)+"ms", headers)
	behind, second := "", ""
	if m.r.IntN(3) == 0 {
		second, behind = m.request(fmt.Sprintf("GET /v1/locks/l%d", lock), "")
	}
	if _, err := io.WriteString(m.conn, text+second); err != nil {
		m.t.Error(err)
		return
	}
	if m.r.IntN(4) == 0 {
		_ = m.conn.SetReadDeadline(time.Now().Add(time.Duration(m.r.IntN(30000)) * time.Microsecond))
		if _, err := m.in.Peek(1); errors.Is(err, os.ErrDeadlineExceeded) {
			m.left.Add(1)
			m.hangUp()
			if !keyed || !m.dial() {
				return // a grant that has crossed ends with its ttl
			}
			m.repeats.Add(1)
			text, id = m.request(line+fmt.Sprint(wait)+"ms", headers)
			_, _ = io.WriteString(m.conn, text)
			behind = ""
		}
	}
	g := m.outcome(id, lock, holder)
	if behind != "" {
		if status, body := m.read(behind); status != 200 || !strings.Contains(string(body), fmt.Sprintf(`"name":"l%d"`, lock)) {
			m.t.Errorf("the answer behind a request: %d %s", status, body)
		}
	}
	if g != nil {
		m.hold(lock, g)
	}
}

// outcome reads the answer to an acquire.
func (m *parkingClient) outcome(id string, lock int, holder string) *api.Grant {
	status, body := m.read(id)
	switch status {
	case http.StatusConflict:
		m.refused.Add(1)
		return nil
	case http.StatusServiceUnavailable: // the machine is so busy that an answer or a lease took seconds
		if strings.Contains(string(body), `"too_late"`) || strings.Contains(string(body), `"outcome_unknown"`) {
			return nil
		}
		fallthrough
	default:
		m.t.Errorf("answered with %d: %s", status, body)
		return nil
	case http.StatusOK:
	}
	g := new(api.Grant)
	if err := json.Unmarshal(body, g); err != nil || g.Name != fmt.Sprint("l", lock) || g.Holder != holder {
		m.t.Errorf("%s has for l%d: %s (%v)", holder, lock, body, err)
		return nil
	}
	m.grants.Add(1)
	l := &m.locks[lock]
	if before := l.until.Swap(g.ExpiresAt.UnixMilli()); before > g.GrantedAt.UnixMilli() {
		m.t.Errorf("l%d is held twice: %s", lock, body)
	}
	if last := l.token.Swap(g.FencingToken); last >= g.FencingToken {
		m.t.Errorf("the token of l%d was %d, and is %d", lock, last, g.FencingToken)
	}
	return g
}

// hold keeps a lock for a moment and releases it.
func (m *parkingClient) hold(lock int, g *api.Grant) {
	if m.r.IntN(2) == 0 {
		time.Sleep(time.Duration(m.r.IntN(30)) * time.Millisecond)
	}
	m.locks[lock].until.CompareAndSwap(g.ExpiresAt.UnixMilli(), 0)
	text, id := m.request(fmt.Sprintf("POST /v1/locks/l%d/release", lock), "Octostore-Lease: "+g.LeaseID+"\r\n")
	_, _ = io.WriteString(m.conn, text)
	if status, body := m.read(id); status != 200 && time.Now().Before(g.ExpiresAt) {
		m.t.Errorf("release of a lock that was held: %d %s", status, body)
	}
}

// read reads the answer to the request with that id.
func (m *parkingClient) read(id string) (status int, body []byte) {
	_ = m.conn.SetReadDeadline(time.Now().Add(soon))
	resp, err := http.ReadResponse(m.in, nil)
	if err != nil {
		m.t.Errorf("no answer to %s: %v", id, err)
		return 0, nil
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	if got := resp.Header.Get("X-Request-Id"); err != nil || got != id {
		m.t.Errorf("the answer to %s is that to %s (%v): %s", id, got, err, body)
	}
	return resp.StatusCode, body
}
