package peer

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/octostore/octostore/cmd/octostore/internal/bench/internal/usage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 30 * time.Second

// start starts a real peer, if it is installed.
func start(ctx context.Context, t *testing.T, name string) (s *Server, dir string) {
	t.Helper()
	dir = openFolder(t)
	s, err := Start(ctx, name, dir, 10)
	if errors.Is(err, ErrNotInstalled) {
		t.Skipf("SKIP: %s is not installed", name)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s, dir
}

// openFolder returns a folder that every user can enter: a peer may run as nobody.
func openFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "peer")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func dial(t *testing.T, s *Server) Client {
	t.Helper()
	c, err := s.Dial(t.Context(), patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// checkExclusion checks that a lock has one holder at a time.
func checkExclusion(t *testing.T, one, other Client) {
	t.Helper()
	for _, step := range []struct {
		what    string
		do      func() error
		refused bool
	}{
		{"reading a free lock", func() error { return one.Read("a") }, true},
		{"the first acquire", func() error { return one.Acquire("a") }, false},
		{"an acquire of a held lock", func() error { return other.Acquire("a") }, true},
		{"reading a held lock", func() error { return other.Read("a") }, false},
		{"the release", func() error { return one.Release("a") }, false},
		{"a second release", func() error { return one.Release("a") }, true},
		{"another lock", func() error { return one.Acquire("b") }, false},
	} {
		var refusal *RefusalError
		if err := step.do(); (err != nil) != step.refused || err != nil && !errors.As(err, &refusal) {
			t.Errorf("%s: got %v, want a refusal: %v", step.what, err, step.refused)
		}
	}
}

// checkHandOver checks that a lock goes from client to client.
func checkHandOver(t *testing.T, a, b, c Client) {
	t.Helper()
	clients := []Client{a, b, c}
	if err := clients[0].Open("a"); err != nil {
		t.Fatal(err)
	}
	if err := clients[0].Wait("a"); err != nil {
		t.Fatal(err)
	}
	held := make(chan error, 1)
	for i := 0; i < 6; i++ {
		next := clients[(i+1)%3]
		go func() { held <- next.Wait("a") }()
		select {
		case err := <-held:
			t.Fatalf("hand-over %d: the waiter has a lock that another client holds: %v", i, err)
		case <-time.After(30 * time.Millisecond): // a moment in which it would show
		}
		if err := clients[i%3].Pass("a"); err != nil {
			t.Fatalf("hand-over %d: %v", i, err)
		}
		if err := <-held; err != nil {
			t.Fatalf("hand-over %d: %v", i, err)
		}
	}
}

func TestPeerExcludes(t *testing.T) {
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // it waits more than it works
			s, dir := start(t.Context(), t, name)
			one, other := dial(t, s), dial(t, s)
			checkExclusion(t, one, other)
			if u := s.Usage(); u.CPU == usage.Unknown || u.Resident <= 0 {
				t.Errorf("usage: %+v", u)
			}
			one.Close()
			other.Close() // some peers wait for their clients
			s.Stop()
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, error %v", left, err)
			}
		})
	}
}

func TestPeerHandsOverInOrder(t *testing.T) {
	for _, name := range Names() {
		if !HasQueue(name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel() // it waits more than it works
			s, _ := start(t.Context(), t, name)
			t.Cleanup(s.Stop)
			checkHandOver(t, dial(t, s), dial(t, s), dial(t, s))
		})
	}
}

func TestPeerEndsWithTheContext(t *testing.T) {
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // it waits more than it works
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			s, _ := start(ctx, t, name)
			defer s.Stop()
			cancel()
			select {
			case <-s.process.done:
			case <-time.After(2 * stopTime):
				t.Error("it goes on")
			}
		})
	}
}
