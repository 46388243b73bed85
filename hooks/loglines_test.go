package hooks

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/octostore/octostore/hooks/internal/guest"
)

// Lines beyond what a policy may log are counted, and the log says how many.
func TestLogLinesThatAreDroppedAreCounted(t *testing.T) {
	const line = "i32.const 1 i32.const 0 i32.const 6 call $log "
	for _, tt := range []struct {
		name        string
		code        string
		calls       int
		logged      int
		drops       string
		atTheEnd    bool // it is told when the policy is closed
		secondRound int  // calls of the next second
	}{
		{"in a second", line, 250, 100, "150 lines were dropped", false, 0},
		{"in a call", strings.Repeat(line, 20), 1, 16, "4 lines were dropped", false, 0},
		{"at the end", line, 250, 100, "150 lines were dropped", true, 0},
		{"again in the next second", line, 250, 100, "150 lines were dropped", false, 110},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(t)
				h.write("p.wasm", check(tt.code+"i32.const 0"))
				var log bytes.Buffer
				host, err := Open(t.Context(), Config{Manifest: h.manifest(entry("p")), Logger: slog.New(slog.NewTextHandler(&log, nil))})
				if err != nil {
					t.Fatal(err)
				}
				for range tt.calls {
					if _, err := host.Judge(t.Context(), question("a")); err != nil {
						t.Fatal(err)
					}
				}
				if !tt.atTheEnd {
					time.Sleep(time.Second)
					synctest.Wait()
				}
				for range tt.secondRound {
					_, _ = host.Judge(t.Context(), question("a"))
				}
				dropped := host.Policies()[0].LinesDropped
				if err := host.Close(); err != nil {
					t.Error(err)
				}
				want := uint64(tt.calls*len(tt.code)/len(line) - tt.logged)
				if tt.secondRound > 0 {
					want += uint64(tt.secondRound - guest.LinesPerSecond)
					tt.logged += guest.LinesPerSecond
					if !strings.Contains(log.String(), "10 lines were dropped") {
						t.Errorf("the second time is not told of:\n%.2000s", &log)
					}
				}
				if dropped != want {
					t.Errorf("%d are counted, want %d", dropped, want)
				}
				if n := strings.Count(log.String(), `ttl_ms`); n != tt.logged {
					t.Errorf("%d lines, want %d", n, tt.logged)
				}
				if n := strings.Count(log.String(), tt.drops); n != 1 {
					t.Errorf("%d lines say %q, want 1", n, tt.drops)
				}
			})
		})
	}
}
