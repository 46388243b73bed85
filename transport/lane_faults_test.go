package transport

import (
	"context"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/transport/api"
)

// These tests are about clients that do not read, or take their time, and about handlers that panic.

// failing makes connections whose writes fail as soon as they have a deadline, or at once.
type failing struct {
	net.Listener
	always bool
}

type failingConn struct {
	*net.TCPConn
	of      *failing
	limited atomic.Bool
}

func (f *failing) Accept() (net.Conn, error) {
	c, err := f.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &failingConn{TCPConn: c.(*net.TCPConn), of: f}, nil
}

func (c *failingConn) NetConn() net.Conn    { return c.TCPConn }
func (c *failingConn) Socket() *net.TCPConn { return c.TCPConn }

func (c *failingConn) SetWriteDeadline(by time.Time) error {
	c.limited.Store(!by.IsZero() && time.Until(by) <= writeTimeout && time.Until(by) > 0)
	return c.TCPConn.SetWriteDeadline(by)
}

func (c *failingConn) Write(b []byte) (int, error) {
	if c.of.always || c.limited.Load() {
		return 0, os.ErrDeadlineExceeded // as if the client had not read until then
	}
	return c.TCPConn.Write(b)
}

// A grant that no client could read is undone: its answer could not be written at all, or not
// before its deadline, which it has to have.
func TestGrantIsUndoneIfItIsNotRead(t *testing.T) { byBothDoors(t, grantIsUndoneIfItIsNotRead) }

func grantIsUndoneIfItIsNotRead(t *testing.T) {
	for name, always := range map[string]bool{"never": true, "not in time": false} {
		s := newServer(t, setup{})
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		serveOn(t, s, &failing{l, always})
		w := dial(t, s, l.Addr())
		w.send("POST /v1/locks/a/acquire", "")
		if got := w.ends(); got != "" {
			t.Errorf("%s: it had %q", name, got)
		}
		eventually(t, "the grant is on record", func() bool { return s.log.Head() > 0 })
		eventually(t, "the lock is free", func() bool { return s.do(t, "GET /v1/locks/a").lock().State == api.Free })
	}
}

// The time for a header runs from its first byte, whoever reads its end.
func TestTimeoutOfAHeaderThatIsHandedOver(t *testing.T) {
	byBothDoors(t, timeoutOfAHeaderThatIsHandedOver)
}

func timeoutOfAHeaderThatIsHandedOver(t *testing.T) {
	for _, before := range []string{"", status + "\r\n"} {
		synctest.Test(t, func(t *testing.T) {
			w := piped(t, newServer(t, setup{}))
			if before != "" {
				w.raw(before)
				w.read(request{}).want(200)
				time.Sleep(30 * time.Second)
			}
			began := time.Now()
			w.raw(status)
			time.Sleep(3 * time.Second)
			w.raw("Transfer-Encoding: chunked\r\n") // which is not for the lane
			_, _ = io.ReadAll(w.conn)
			if took := time.Since(began); took != headerTimeout {
				t.Errorf("cut off after %s, want %s", took, headerTimeout)
			}
		})
	}
}

// A connection without a request ends after the idle time, whether its last request had a body,
// and whoever answered it.
func TestTimeoutOfAnIdleConnection(t *testing.T) { byBothDoors(t, timeoutOfAnIdleConnection) }

func timeoutOfAnIdleConnection(t *testing.T) {
	for _, line := range []string{"POST /v1/locks/a/renew", "GET /v1/locks/a", "GET /healthz"} {
		synctest.Test(t, func(t *testing.T) {
			w := piped(t, newServer(t, setup{}))
			body := ""
			if strings.HasPrefix(line, "POST") {
				body = "lease_id=x"
			}
			w.read(w.send(line, body))
			began := time.Now()
			_, _ = io.ReadAll(w.conn)
			if took := time.Since(began); took != idleTimeout {
				t.Errorf("%s: cut off after %s, want %s", line, took, idleTimeout)
			}
		})
	}
}

// A panic of a handler is an answer, and its connection lives on.
func TestPanicIsAnswered(t *testing.T) { byBothDoors(t, panicIsAnswered) }

func panicIsAnswered(t *testing.T) {
	s := newServer(t, setup{core: core.Config{Guard: panics{}}})
	w := dial(t, s, listening(t, s))
	for range 2 {
		w.receive(w.send("POST /v1/locks/a/acquire", "")).want(500, api.CodeInternal)
	}
	w.receive(w.send("GET /v1/locks/a", "")).want(200)
}

// panics is a guard that panics.
type panics struct{}

func (panics) Covers(core.Hook, lock.Name) bool { return true }
func (panics) Judge(context.Context, core.Question) (core.Decision, error) {
	panic("on purpose")
}
