package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/config"
	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/memory"
)

// shelf is a store in memory whose commits can be made to fail or hang.
type shelf struct {
	*memory.Store
	fail   atomic.Pointer[error]
	hang   atomic.Pointer[chan struct{}]
	closed atomic.Bool
	failed chan struct{} // nil: never
}

func (s *shelf) Commit(ctx context.Context, b *lock.Batch) error {
	if until := s.hang.Load(); until != nil {
		<-*until
	}
	if err := s.fail.Load(); err != nil {
		return *err
	}
	return s.Store.Commit(ctx, b)
}

func (s *shelf) Sizes() (db, wal int64) { return 0, 0 }
func (s *shelf) Reserve() int64         { return 0 }

func (s *shelf) Used(context.Context) (int64, error) { return 0, nil }

func (s *shelf) Full() bool {
	err := s.fail.Load()
	return err != nil && errors.Is(*err, lock.ErrFull)
}

func (s *shelf) Failed() <-chan struct{} { return s.failed }

func (s *shelf) Close() error { s.closed.Store(true); return nil }

func testConfig(t *testing.T) config.Config {
	t.Helper()
	loaded, err := config.Load(config.Sources{Environ: []string{"OCTOSTORE_ADDR=127.0.0.1:0", "OCTOSTORE_WATCH_FILES=0"}})
	if err != nil {
		t.Fatal(err)
	}
	return loaded.Config
}

// startServer starts a server that systemd knows nothing of. The test stops it.
func startServer(ctx context.Context, cfg config.Config, log *slog.Logger, open openStorage) (*server, error) {
	return start(ctx, nil, cfg, log, stores{file: open})
}

// startTest starts a server on a shelf. The test stops it.
func startTest(t *testing.T, on *shelf) *server {
	t.Helper()
	s, err := startServer(t.Context(), testConfig(t), slog.New(slog.DiscardHandler),
		func(context.Context, string, *slog.Logger) (storage, error) { return on, nil })
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *server) call(method, path string) octotest.Answer {
	return octotest.Call(method, s.listener.Addr().String(), path)
}

func TestWhileDrainingHoldersGoOnAndOthersAreRefused(t *testing.T) {
	s := startTest(t, &shelf{Store: memory.New()})
	got := s.call("POST", "/v1/locks/a/acquire?ttl=60s")
	octotest.Expect(t, got, 200, `"lease_id"`)
	lease := octotest.Member(t, got.Body, "lease_id")
	octotest.Expect(t, s.call("GET", "/readyz"), 200, "")

	s.drain()

	octotest.Expect(t, s.call("GET", "/readyz"), 503, "")
	octotest.Expect(t, s.call("POST", "/v1/locks/b/acquire"), 503, `"draining"`)
	octotest.Expect(t, s.call("POST", "/v1/locks/a/renew?lease_id="+lease), 200, `"lease_id"`)
	octotest.Expect(t, s.call("POST", "/v1/locks/a/release?lease_id="+lease), 200, `"held_ms"`)
	if err := s.stop(); err != nil {
		t.Error(err)
	}
}

func TestStoppingAnswersEveryWaiterWithinASecond(t *testing.T) {
	const waiters = 200
	store := &shelf{Store: memory.New()}
	s := startTest(t, store)
	octotest.Expect(t, s.call("POST", "/v1/locks/a/acquire?ttl=60s"), 200, "")

	answers := make(chan octotest.Answer, waiters)
	for range waiters {
		go func() { answers <- s.call("POST", "/v1/locks/a/acquire?wait=30s") }()
	}
	octotest.WaitUntil(t, "all wait", func() bool { return s.serving().table.Stats().Waiters == waiters })

	asked := time.Now()
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(asked); took > shutdownTime+octotest.Promptly {
		t.Errorf("stopping took %s", took)
	}
	for range waiters {
		got := <-answers
		octotest.Expect(t, got, 503, `"draining"`)
		if took := got.After.Sub(asked); took > octotest.Promptly {
			t.Fatalf("a waiter was answered after %s", took)
		}
	}
	if !store.closed.Load() {
		t.Error("the store was left open")
	}
	assertLastEvent(t, store, lock.Stopped)
}

func TestServerEndsAtACommitOfUnknownOutcome(t *testing.T) {
	store := &shelf{Store: memory.New()}
	s := startTest(t, store)
	broken := errors.New("input/output error")
	store.fail.Store(&broken)
	octotest.Expect(t, s.call("POST", "/v1/locks/a/acquire"), 503, `"outcome_unknown"`)

	if err := s.wait(t.Context()); !errors.Is(err, broken) {
		t.Errorf("the server ended with %v, want %v", err, broken)
	}
	_ = s.stop() // reports the same
	if !store.closed.Load() {
		t.Error("the store was left open")
	}
}

func TestServeReportsWhatEndedIt(t *testing.T) {
	store := &shelf{Store: memory.New()}
	var log syncedBuilder
	deposed := lock.ErrDeposed
	ended := make(chan error, 1)
	go func() {
		ended <- serve(t.Context(), nil, testConfig(t), slog.New(slog.NewTextHandler(&log, nil)),
			stores{file: func(context.Context, string, *slog.Logger) (storage, error) { return store, nil }}, nil)
	}()
	octotest.WaitUntil(t, "it listens", func() bool { return strings.Contains(log.String(), "msg=listening") })
	store.fail.Store(&deposed)
	_, addr, _ := strings.Cut(log.String(), "addr=")
	addr, _, _ = strings.Cut(addr, " ")
	octotest.Call("POST", addr, "/v1/locks/a/acquire")
	if err := <-ended; !errors.Is(err, lock.ErrDeposed) {
		t.Errorf("got %v, want %v", err, lock.ErrDeposed)
	}
	if strings.Contains(log.String(), "msg=stopped") {
		t.Errorf("the log says it stopped in good order: %s", log.String())
	}
}

func TestServerEndsAlthoughTheDiskDoesNotAnswer(t *testing.T) {
	if testing.Short() {
		t.Skip("takes the whole time of a stop")
	}
	store := &shelf{Store: memory.New()}
	s := startTest(t, store)
	until := make(chan struct{})
	store.hang.Store(&until)
	asked := time.Now()
	octotest.Expect(t, s.call("POST", "/v1/locks/a/acquire"), 503, `"outcome_unknown"`)

	err := s.stop()
	if err == nil || !strings.Contains(err.Error(), "the disk may not answer") {
		t.Errorf("got %v, want that the disk may not answer", err)
	}
	if took := time.Since(asked); took > shutdownTime+octotest.Promptly {
		t.Errorf("took %s", took)
	}
	store.hang.Store(nil)
	close(until)
	<-s.serving().table.Done()
	octotest.WaitUntil(t, "the stop ends after all", store.closed.Load)
}

func TestServerStartsOnAFullDisk(t *testing.T) {
	store := &shelf{Store: memory.New()}
	full := lock.ErrFull
	store.fail.Store(&full)
	s := startTest(t, store)
	octotest.Expect(t, s.call("GET", "/readyz"), 200, `"degraded":["storage_full"]`)
	octotest.Expect(t, s.call("GET", "/readyz?grants=1"), 503, `"storage_full"`)
	octotest.Expect(t, s.call("GET", "/healthz"), 200, "")
	if err := s.stop(); err != nil {
		t.Error(err)
	}
}

func TestServerClosesItsPartsWhenTheStartFails(t *testing.T) {
	store := &shelf{Store: memory.New()}
	broken := errors.New("input/output error")
	store.fail.Store(&broken)
	_, err := startServer(t.Context(), testConfig(t), slog.New(slog.DiscardHandler),
		func(context.Context, string, *slog.Logger) (storage, error) { return store, nil })
	if !errors.Is(err, broken) && !errors.Is(err, lock.ErrOutcomeUnknown) {
		t.Errorf("got %v, want %v", err, broken)
	}
	if !store.closed.Load() {
		t.Error("the store was left open")
	}
}

// assertLastEvent looks at the newest line of the journal.
func assertLastEvent(t *testing.T, store *shelf, kind lock.Kind) {
	t.Helper()
	segments, err := store.Segments(context.Background(), 0, 1000)
	if err != nil || len(segments) == 0 {
		t.Fatalf("read the journal: %v, %d segments", err, len(segments))
	}
	last := string(segments[len(segments)-1].Bytes)
	if !strings.Contains(last, fmt.Sprintf("%q", kind)) {
		t.Errorf("the journal ends in %s, want %s", last, kind)
	}
}

// syncedBuilder is a strings.Builder for many goroutines.
type syncedBuilder struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *syncedBuilder) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncedBuilder) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// TestServerServesByTheLane starts servers with and without it. With TLS there is none.
func TestServerServesByTheLane(t *testing.T) {
	for lane, want := range map[config.OnOff]string{true: "*lane.Server", false: "*http.Server"} {
		cfg := testConfig(t)
		cfg.Lane = lane
		s, err := startServer(t.Context(), cfg, slog.New(slog.DiscardHandler),
			func(context.Context, string, *slog.Logger) (storage, error) { return &shelf{Store: memory.New()}, nil })
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%T", s.http[0]); got != want {
			t.Errorf("with OCTOSTORE_LANE %t it is served by a %s, want a %s", lane, got, want)
		}
		octotest.Expect(t, s.call("POST", "/v1/locks/a/acquire"), 200, `"lease_id"`)
		octotest.Expect(t, s.call("GET", "/readyz"), 200, "")
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	}
	if s := startTLS(t, t.TempDir(), io.Discard); fmt.Sprintf("%T", s.http[0]) != "*http.Server" {
		t.Errorf("with TLS it is served by a %T", s.http[0])
	}
}
