package lane

import (
	"net"
	"net/http"
	"testing"
	"time"
)

// deadlines is a connection that records the write deadlines it gets.
type deadlines struct {
	net.Conn
	set []time.Time
}

func (d *deadlines) SetReadDeadline(time.Time) error { return nil }
func (d *deadlines) SetWriteDeadline(t time.Time) error {
	d.set = append(d.set, t)
	return nil
}
func (d *deadlines) LocalAddr() net.Addr         { return &net.TCPAddr{} }
func (d *deadlines) RemoteAddr() net.Addr        { return &net.TCPAddr{} }
func (d *deadlines) Write(b []byte) (int, error) { return len(b), nil }

// last is the deadline in force.
func (d *deadlines) last() time.Time {
	if len(d.set) == 0 {
		return time.Time{}
	}
	return d.set[len(d.set)-1]
}

func newDeadlinesConn(t *testing.T, nc net.Conn) *conn {
	return newConn(New(Config{Handler: http.NotFoundHandler(), Rest: new(http.Server)}), nc, t.Context())
}

// An answer has the time that its handler gives it, less a second at most, however the answers
// before it were.
func TestWriteDeadlineIsThatOfTheAnswer(t *testing.T) {
	nc := &deadlines{}
	c := newDeadlinesConn(t, nc)
	now := time.Now()
	for _, by := range []time.Duration{
		10 * time.Second, 10*time.Second + time.Millisecond, 10_999 * time.Millisecond, 11 * time.Second,
		5 * time.Second, time.Hour, 10 * time.Second,
	} {
		asked := now.Add(by)
		w := newAnswer(c, new(http.Request))
		if err := w.SetWriteDeadline(asked); err != nil {
			t.Fatal(err)
		}
		w.WriteHeader(http.StatusOK)
		_ = w.FlushError()
		if early := asked.Sub(nc.last()); early < 0 || early >= time.Second {
			t.Errorf("a deadline in %s is early by %s", by, early)
		}
	}
	if len(nc.set) != 5 {
		t.Errorf("the deadline was set %d times, want 5: that of the second and the third answer is soon enough", len(nc.set))
	}
}

// The deadline of an answer does not end an answer that has none.
func TestWriteDeadlineIsNotThatOfTheNextAnswer(t *testing.T) {
	nc := &deadlines{}
	c := newDeadlinesConn(t, nc)
	first := newAnswer(c, new(http.Request))
	_ = first.SetWriteDeadline(time.Now().Add(time.Second))
	first.WriteHeader(http.StatusOK)
	if !first.finish() {
		t.Fatal("the first answer ended the connection")
	}
	second := newAnswer(c, new(http.Request))
	second.WriteHeader(http.StatusOK)
	if !second.finish() || !nc.last().IsZero() {
		t.Errorf("the second answer has the deadline %s", nc.last())
	}
}

// net/http gets a connection without a deadline: its answers may be streams.
func TestWriteDeadlineIsNotHandedOver(t *testing.T) {
	nc := &deadlines{}
	c := newDeadlinesConn(t, nc)
	if err := c.setWriteTime(time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	given := make(chan time.Time, 1)
	go func() {
		taken, err := c.srv.rest.Accept()
		if err != nil {
			given <- time.Now()
			return
		}
		given <- taken.(*handed).Conn.(*deadlines).last()
	}()
	c.handOver(time.Time{})
	if by := <-given; !by.IsZero() {
		t.Errorf("net/http gets a connection whose writes end at %s", by)
	}
}
