package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/transport/api"
)

// The tests in files named blackbox know the server only as its users do: as a
// process with an address, a log and metrics. Each flag makes one of them longer
// than usual.
var (
	tortureKills     = flag.Int("torture.kills", 0, "how often the server is killed under load (0: as often as is usual)")
	tortureMalformed = flag.Int("torture.malformed", 0, "how many malformed requests are sent (0: as many as is usual)")
	tortureAbandoned = flag.Int("torture.abandoned", 0, "how many waits are abandoned (0: as many as is usual)")
	tortureSeed      = flag.Uint64("torture.seed", 0, "what malformed requests and abandoned waits are made from (0: the usual seed)")
)

// howMany returns what a flag says, else what is usual.
func howMany(asked, usual, short int) int {
	switch {
	case asked > 0:
		return asked
	case testing.Short():
		return short
	}
	return usual
}

// caller is a client with one connection, which does nothing by itself: it neither
// retries nor follows nor reads ahead. One goroutine at a time may use it.
type caller struct {
	net.Conn
	r *bufio.Reader
}

func dialCaller(addr string) (*caller, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &caller{conn, bufio.NewReaderSize(conn, 1024)}, nil
}

// newCaller is dialCaller for a test, which closes the connection.
func newCaller(t *testing.T, addr string) *caller {
	t.Helper()
	c, err := dialCaller(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// post sends a request without a body; headers are whole lines.
func (c *caller) post(path string, headers ...string) error {
	head := append([]string{"POST " + path + " HTTP/1.1", "Host: localhost"}, headers...)
	_, err := io.WriteString(c, strings.Join(head, "\r\n")+"\r\n\r\n")
	return err
}

// receive reads the next answer.
func (c *caller) receive(most time.Duration) answer {
	if err := c.SetReadDeadline(time.Now().Add(most)); err != nil {
		return answer{err: err}
	}
	response, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return answer{err: err, after: time.Now()}
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, string(body), time.Now(), err}
}

// ask is post and receive.
func (c *caller) ask(path string, headers ...string) answer {
	if err := c.post(path, headers...); err != nil {
		return answer{err: err}
	}
	return c.receive(patient)
}

// patient is for answers that have to come, however busy the machine is. promptly is
// for what takes a moment on a machine with nothing else to do, and must not take the
// ten seconds for which a key keeps its place, or the length of a wait.
const (
	patient  = 30 * time.Second
	promptly = 5 * time.Second
)

// reset closes the connection the rude way, which leaves nothing behind.
func (c *caller) reset() {
	_ = c.Conn.(*net.TCPConn).SetLinger(0) // closed already: fine
	_ = c.Close()
}

// waits has a new caller wait for a lock, and returns when it stands in the queue as
// the n-th.
func waits(t *testing.T, p *process, name, query string, n int, headers ...string) *caller {
	t.Helper()
	c := newCaller(t, p.Addr)
	if err := c.post("/v1/locks/"+name+"/acquire?wait=5m"+query, headers...); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, fmt.Sprintf("%d wait for %s", n, name), func() bool { return look(p, name).WaitersTotal == n })
	return c
}

// take acquires a lock that has to be free.
func take(t *testing.T, p *process, name, query string) api.Grant {
	t.Helper()
	got := call("POST", p.Addr, "/v1/locks/"+name+"/acquire"+query)
	expect(t, got, 200, `"lease_id"`)
	return granted(t, got)
}

// granted returns what an answer grants; it has to grant something.
func granted(t *testing.T, got answer) api.Grant {
	t.Helper()
	g := grantIn(got)
	if g.LeaseID == "" {
		t.Fatalf("got %d %q %v, want a grant", got.status, got.body, got.err)
	}
	return g
}

// grantIn returns what an answer grants, without a lease id if that is nothing.
func grantIn(got answer) (g api.Grant) {
	if got.err != nil || got.status != 200 || json.Unmarshal([]byte(got.body), &g) != nil {
		return api.Grant{}
	}
	return g
}

// release returns how giving a lease back is answered.
func release(p *process, g api.Grant) answer {
	return call("POST", p.Addr, "/v1/locks/"+g.Name+"/release?lease_id="+g.LeaseID)
}

// renew returns how prolonging a lease is answered.
func renew(p *process, g api.Grant) answer {
	return call("POST", p.Addr, "/v1/locks/"+g.Name+"/renew?lease_id="+g.LeaseID)
}

// look returns a lock as anybody sees it; without an answer it is the zero Lock.
func look(p *process, name string) (l api.Lock) {
	_ = json.Unmarshal([]byte(call("GET", p.Addr, "/v1/locks/"+name).body), &l) // then it has no state
	return l
}

// metric returns one number of /metrics, or -1 without an answer.
func metric(p *process, name string) float64 {
	got := call("GET", p.Addr, "/metrics")
	for line := range strings.Lines(got.body) {
		if value, found := strings.CutPrefix(line, name+" "); found && got.err == nil {
			if n, err := strconv.ParseFloat(strings.TrimSpace(value), 64); err == nil {
				return n
			}
		}
	}
	return -1
}

// waitSoon is waitUntil for what may take longer than usual.
func waitSoon(t *testing.T, most time.Duration, what string, true func() bool) {
	t.Helper()
	for giveUp := time.Now().Add(most); !true(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(giveUp) {
			t.Fatalf("still not so after %s: %s", most, what)
		}
	}
}

// expectWell fails the test if the server has panicked or reported an error, or does
// not serve any more.
func expectWell(t *testing.T, p *process) {
	t.Helper()
	if bad := p.logged("error"); len(bad) > 0 {
		t.Errorf("the server reported %d errors, the first: %+v", len(bad), bad[0])
	}
	p.mu.Lock()
	for _, line := range p.log {
		if strings.Contains(line.Msg+line.Err, "panic") {
			t.Errorf("the server panicked: %+v", line)
		}
	}
	p.mu.Unlock()
	if n := metric(p, "octostore_http_panics_total"); n != 0 {
		t.Errorf("octostore_http_panics_total is %v", n)
	}
	name := fmt.Sprintf("well/%d", time.Now().UnixNano())
	expect(t, release(p, take(t, p, name, "")), 200, `"held_ms"`)
}
