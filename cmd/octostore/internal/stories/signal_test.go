package stories_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

func TestSIGTERMAnswersWaitersAndExitsWithZero(t *testing.T) {
	const waiters = 100
	p := octotest.Start(t, t.TempDir(), "OCTOSTORE_MAX_WAITERS=100", "OCTOSTORE_MAX_WAITERS_PER_LOCK=100") // for which any process has files
	octotest.Expect(t, octotest.Call("POST", p.Addr, "/v1/locks/a/acquire?ttl=60s"), 200, "")
	answers := make(chan octotest.Answer, waiters)
	for range waiters {
		go func() { answers <- octotest.Call("POST", p.Addr, "/v1/locks/a/acquire?wait=30s") }()
	}
	octotest.WaitUntil(t, "all wait", func() bool {
		got := octotest.Call("GET", p.Addr, "/v1/locks/a")
		return got.Err == nil && strings.Contains(got.Body, fmt.Sprintf(`"waiters_total":%d`, waiters))
	})

	asked := time.Now()
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for range waiters {
		got := <-answers
		octotest.Expect(t, got, 503, `"draining"`)
		if took := got.After.Sub(asked); took > octotest.Promptly { // and not 30s
			t.Fatalf("a waiter was answered after %s", took)
		}
	}
	state, err := p.Wait(octotest.Patient)
	if err != nil {
		t.Fatal(err)
	}
	if !state.Success() {
		t.Errorf("ended with %s, want exit code 0", state)
	}
	if bad := append(p.Logged("error"), p.Logged("warn")...); len(bad) > 0 {
		t.Errorf("an orderly stop logged %v", bad)
	}
}

// A request that never ends holds an orderly stop up for two seconds. On a machine that
// is slower than that the second signal comes too late, so there are several tries.
func TestSignalSentTwiceEndsTheServerAtOnce(t *testing.T) {
	t.Parallel() // it waits more than it works
	for range 5 {
		if state := signalTwice(t); !state.Success() {
			return
		}
	}
	t.Error("exit code 0 every time, as if the server had stopped in good order")
}

func signalTwice(t *testing.T) *os.ProcessState {
	t.Helper()
	p := octotest.Start(t, t.TempDir())
	conn := halfRequest(t, p.Addr)
	defer conn.Close()
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		if err := p.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Fatal(err)
		}
		if _, err := p.WaitLog("stopping", octotest.Patient); err != nil {
			t.Fatal(err)
		}
	}
	state, err := p.Wait(octotest.Patient)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

func TestStopDoesNotWaitForARequestThatNeverEnds(t *testing.T) {
	t.Parallel() // it waits more than it works
	p := octotest.Start(t, t.TempDir())
	conn := halfRequest(t, p.Addr)
	defer conn.Close()

	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	state, err := p.Wait(octotest.Patient)
	if err != nil {
		t.Fatal(err)
	}
	if !state.Success() {
		t.Errorf("ended with %s, want exit code 0", state)
	}
}

// halfRequest opens a connection, and sends a request whose body stays away. The
// server has seen it when halfRequest returns.
func halfRequest(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	// Expect has the server say when it begins to read the body.
	fmt.Fprintf(conn, "POST /v1/locks/a/acquire HTTP/1.1\r\nHost: %s\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n", addr)
	line := make([]byte, len("HTTP/1.1 100 "))
	if err := conn.SetReadDeadline(time.Now().Add(octotest.Patient)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(line); err != nil || string(line) != "HTTP/1.1 100 " {
		t.Fatalf("got %q, %v; want 100 Continue", line, err)
	}
	return conn
}
