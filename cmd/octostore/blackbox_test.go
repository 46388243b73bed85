package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/transport/api"
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

// patient is for answers that have to come, however busy the machine is. promptly is
// for what takes a moment on a machine with nothing else to do, and must not take the
// ten seconds for which a key keeps its place, or the length of a wait.
const (
	patient  = 30 * time.Second
	promptly = 5 * time.Second
)

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

// look returns a lock as anybody sees it; without an answer it is the zero Lock.
func look(p *process, name string) (l api.Lock) {
	_ = json.Unmarshal([]byte(call("GET", p.Addr, "/v1/locks/"+name).body), &l) // then it has no state
	return l
}
