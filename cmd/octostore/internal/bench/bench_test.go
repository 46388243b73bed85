package bench

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// quick returns a configuration that measures a server at url for moments.
func quick(t *testing.T, mode Mode, url string) Config {
	return Config{
		Mode:          mode,
		URL:           url,
		CeilingServer: command(t, "ceiling"),
		Dir:           t.TempDir(),
		Connections:   []int{1, 3},
		Waiters:       5,
		Locks:         2,
		Writers:       2,
		Rounds:        2,
		Duration:      100 * time.Millisecond,
		Warmup:        5 * time.Millisecond,
	}
}

func serveFake(t *testing.T, f *fake) (url string) {
	server := httptest.NewServer(f)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server.URL
}

var everyMode = []Mode{Acquire, Handover, Status, Waiters, Locks, Ceiling}

func TestModesMeasureAServer(t *testing.T) {
	rows := map[Mode][]string{
		Acquire:  {"ceiling at 1", "acquire at 1", "ceiling at 3", "acquire at 3"},
		Handover: {"ceiling at 12", "handover at 12"},
		Status:   {"ceiling at 1", "status at 1", "status at 1", "ceiling at 3", "status at 3", "status at 3"},
		Waiters:  {"ceiling at 5", "waiters at 5"},
		Locks:    {"ceiling at 1", "locks at 1", "ceiling at 3", "locks at 3"},
		Ceiling:  {"ceiling POST at 1", "ceiling GET at 1", "ceiling POST at 3", "ceiling GET at 3"},
	}
	for _, mode := range everyMode {
		t.Run(string(mode), func(t *testing.T) {
			f := &fake{}
			report, err := Run(t.Context(), quick(t, mode, serveFake(t, f)))
			if err != nil {
				t.Fatal(err)
			}
			checkNothingIsHeld(t, f)
			var got []string
			for _, row := range report.Rows {
				got = append(got, fmt.Sprintf("%s at %d", row.Name, row.Connections))
				checkRow(t, mode, row)
			}
			if !slices.Equal(got, rows[mode]) {
				t.Errorf("rows %q, want %q", got, rows[mode])
			}
			if (report.DiskSyncUS > 0) != (mode != Ceiling) {
				t.Errorf("a disk sync of %g µs", report.DiskSyncUS)
			}
		})
	}
}

func checkRow(t *testing.T, mode Mode, row Row) {
	t.Helper()
	if row.Operations == 0 || row.P50US <= 0 || row.MaxUS < row.P99US {
		t.Errorf("%s: no figures: %+v", row.Name, row)
	}
	if row.ServerCPUUS == nil {
		t.Errorf("%s: no CPU time of the server", row.Name)
	}
	if compared := !strings.HasPrefix(row.Name, "ceiling"); compared != (row.Share != nil) {
		t.Errorf("%s: share %v", row.Name, row.Share)
	}
	if remembers := mode == Waiters || mode == Locks; remembers != (row.ResidentBytes != nil && row.HeapBytes != nil) {
		t.Errorf("%s: resident %v, heap %v", row.Name, row.ResidentBytes, row.HeapBytes)
	}
	if (row.Writers > 0) != (row.WritesPerSecond > 0) {
		t.Errorf("%s: %d writers wrote %g per second", row.Name, row.Writers, row.WritesPerSecond)
	}
}

func TestOperationsAreCountedOnce(t *testing.T) {
	url := serveFake(t, &fake{})
	for mode, want := range map[Mode]int64{Waiters: 5, Locks: 2} {
		report, err := Run(t.Context(), quick(t, mode, url))
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range report.Rows {
			if row.Operations != want {
				t.Errorf("%s: %d operations on %s, want %d", mode, row.Operations, row.Name, want)
			}
		}
	}
}

func checkNothingIsHeld(t *testing.T, f *fake) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	for name, l := range f.locks {
		if l.holder != 0 {
			t.Errorf("%s is still held", name)
		}
	}
}

func TestWrongAnswersFailTheRun(t *testing.T) {
	tests := []struct {
		name    string
		mode    Mode
		fake    *fake
		promise bool // the server broke one, and did not only make an error
		says    string
	}{
		{"tokens of a lock that do not grow", Acquire, &fake{sameToken: true}, true, "was granted after"},
		{"tokens of a hand-over that do not grow", Handover, &fake{sameToken: true}, true, "was granted after"},
		{"tokens of waiters that do not grow", Waiters, &fake{sameToken: true}, true, "was granted after"},
		{"two holders", Handover, &fake{twoHolders: true}, true, "broken promise"},
		{"a held lock that reads as free", Status, &fake{wrongState: true}, true, "a reader was told"},
		{"a release of another lease", Acquire, &fake{wrongToken: true}, true, "was released as"},
		{"a held lock that was another's", Locks, &fake{wrongToken: true}, true, "was released as"},
		{"a grant without lease id", Acquire, &fake{noLease: true}, false, "without lease id"},
		{"an unexpected status", Acquire, &fake{unavailable: true}, false, "status 503: come back later"},
		{"a chunked answer", Acquire, &fake{chunked: true}, false, "Transfer-Encoding"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := quick(t, tt.mode, serveFake(t, tt.fake))
			cfg.Rounds, cfg.Connections = 1, []int{3}
			report, err := Run(t.Context(), cfg)
			var failed *FailedError
			if !errors.As(err, &failed) || report == nil {
				t.Fatalf("got error %v, want a failed run with a report", err)
			}
			if (failed.BrokenPromises > 0) != tt.promise || (failed.Errors > 0) == tt.promise {
				t.Errorf("%d broken promises and %d errors", failed.BrokenPromises, failed.Errors)
			}
			if !strings.Contains(failed.First, tt.says) {
				t.Errorf("the first is %q, want one that says %q", failed.First, tt.says)
			}
		})
	}
}

func TestMetricsAreOptional(t *testing.T) {
	for _, mode := range []Mode{Acquire, Waiters, Locks} {
		cfg := quick(t, mode, serveFake(t, &fake{noMetrics: true}))
		cfg.Rounds, cfg.Connections = 1, []int{3}
		report, err := Run(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		row := report.Rows[1]
		if row.Operations == 0 || row.ServerCPUUS != nil || row.ResidentBytes != nil || row.HeapBytes != nil {
			t.Errorf("%s: %+v", mode, row)
		}
	}
}

func TestServerIsStartedAndStopped(t *testing.T) {
	for _, mode := range []Mode{Acquire, Waiters} {
		cfg := quick(t, mode, "")
		cfg.Serve = command(t, "server")
		if _, err := Run(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
		// Stopping is waited for, and the last thing it does is to clear up.
		left, err := os.ReadDir(cfg.Dir)
		if err != nil || len(left) > 0 {
			t.Errorf("%s: left behind: %v, error %v", mode, left, err)
		}
	}
}

func TestServerThatDoesNotStartSaysWhy(t *testing.T) {
	cfg := quick(t, Acquire, "")
	cfg.Serve = command(t, "failing server")
	_, err := Run(t.Context(), cfg)
	if err == nil || !strings.Contains(err.Error(), "the disk is on fire") {
		t.Errorf("got error %v, want what the server wrote", err)
	}
}

func TestInterruptStopsEverything(t *testing.T) {
	for _, mode := range everyMode {
		t.Run(string(mode), func(t *testing.T) {
			ctx, cancel := interruptible(t)
			cfg := quick(t, mode, "")
			cfg.Serve = command(t, "server")
			cfg.Rounds = 1000
			cfg.Progress = writerFunc(func() { cancel(errInterrupted) })
			if _, err := Run(ctx, cfg); !errors.Is(err, errInterrupted) {
				t.Errorf("got error %v, want the cause", err)
			}
			left, err := os.ReadDir(cfg.Dir)
			if err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, error %v", left, err)
			}
		})
	}
}

var errInterrupted = errors.New("interrupted")

func interruptible(t *testing.T) (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(t.Context())
	t.Cleanup(func() { cancel(nil) })
	return ctx, cancel
}

// writerFunc is called for each write.
type writerFunc func()

func (f writerFunc) Write(p []byte) (int, error) { f(); return len(p), nil }

func TestInterruptEndsALoad(t *testing.T) {
	cfg := quick(t, Handover, serveFake(t, &fake{}))
	cfg.Duration = time.Hour
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := Run(ctx, cfg); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got error %v, want that of the context", err)
	}
}

func TestConfigRefusesMistakes(t *testing.T) {
	tests := []struct {
		name string
		bad  func(*Config)
		says string
	}{
		{"an unknown mode", func(c *Config) { c.Mode = "fly" }, "no mode"},
		{"no connections", func(c *Config) { c.Connections = []int{4, 0} }, "connections"},
		{"fewer rounds than one", func(c *Config) { c.Rounds = -1 }, "rounds"},
		{"a negative duration", func(c *Config) { c.Duration = -time.Second }, "duration"},
		{"https", func(c *Config) { c.URL = "https://127.0.0.1:1" }, "want http://host:port"},
		{"a path", func(c *Config) { c.URL = "http://127.0.0.1:1/x" }, "want http://host:port"},
		{"nothing to start", func(c *Config) { c.URL = "" }, "no command"},
		{"no such folder", func(c *Config) { c.Dir += "/none" }, "no such file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := quick(t, Acquire, "http://127.0.0.1:1")
			tt.bad(&cfg)
			if _, err := Run(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got error %v, want one that says %q", err, tt.says)
			}
		})
	}
}
