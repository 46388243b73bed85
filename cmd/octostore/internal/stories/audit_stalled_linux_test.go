package stories_test

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

var (
	auditStalled = flag.Int("audit.stalled", 0, "how many watch without reading when their cost is measured (0: as many as is usual)")
	auditRounds  = flag.Int("audit.rounds", 1, "how often that is measured, by turns with none")
)

// Watchers that do not read, and can take next to nothing, do not take the server from
// those who lock.
func TestStalledWatchersCostLittle(t *testing.T) {
	stalled, periods, period := octotest.HowMany(*auditStalled, 300, 50), 1, 400*time.Millisecond
	if *auditStalled > 0 {
		periods, period = 5, time.Second
	}
	server := octotest.Start(t, t.TempDir(), "OCTOSTORE_MAX_WATCHES=100000")
	work := newWorkers(t, server.Addr, 16)
	work.period = period
	work.run(1)
	for range *auditRounds {
		alone, slowestAlone := work.run(periods)
		crowd := stall(t, server.Addr, stalled)
		beside, slowest := work.run(periods)
		for _, c := range crowd {
			c.Close()
		}
		t.Logf("beside %d stalled watchers holders have %.2f of the requests they have alone (%d of %d in %d times %s), in the slowest of these times %.2f",
			stalled, share(beside, alone), beside, alone, periods, period, share(slowest, slowestAlone))
		if beside < alone/5 {
			t.Errorf("the watchers took more than four fifths of the server")
		}
	}
}

func share(part, whole int64) float64 { return float64(part) / float64(max(1, whole)) }

// stall opens connections that ask for all events and read none. Nothing fits into them.
func stall(t *testing.T, addr string, n int) (crowd []net.Conn) {
	t.Helper()
	small := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		var failed error
		err := c.Control(func(fd uintptr) {
			failed = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096)
		})
		if err == nil {
			err = failed
		}
		return err
	}}
	for range n {
		c, err := small.DialContext(t.Context(), "tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if _, err := io.WriteString(c, "GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		crowd = append(crowd, c)
	}
	return crowd
}

// workers acquire locks and release them, each on a connection of its own.
type workers struct {
	t      *testing.T
	conns  []net.Conn
	period time.Duration
}

func newWorkers(t *testing.T, addr string, n int) *workers {
	t.Helper()
	w := &workers{t: t}
	for range n {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		w.conns = append(w.conns, c)
	}
	return w
}

// run returns how many requests were answered in so many periods, and in the slowest of
// them.
func (w *workers) run(periods int) (all, slowest int64) {
	w.t.Helper()
	slowest = math.MaxInt64
	for range periods {
		n := w.once()
		all, slowest = all+n, min(slowest, n)
	}
	return all, slowest
}

func (w *workers) once() int64 {
	var done atomic.Int64
	var all sync.WaitGroup
	end := time.Now().Add(w.period)
	for i, c := range w.conns {
		all.Go(func() {
			in := bufio.NewReader(c)
			for time.Now().Before(end) {
				lease := w.ask(c, in, fmt.Sprintf("/v1/locks/w/%d/acquire", i), "")
				w.ask(c, in, fmt.Sprintf("/v1/locks/w/%d/release", i), lease)
				done.Add(2)
			}
		})
	}
	all.Wait()
	return done.Load()
}

// ask sends a request and returns the first word of the answer.
func (w *workers) ask(c net.Conn, in *bufio.Reader, path, lease string) string {
	fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: localhost\r\nAccept: text/plain\r\nOctostore-Lease: %s\r\nContent-Length: 0\r\n\r\n", path, lease)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		w.t.Errorf("%s: %v", path, err)
		return ""
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		w.t.Errorf("%s: %s, %s, %v", path, resp.Status, body, err)
	}
	word, _, _ := strings.Cut(string(body), " ")
	return word
}
