package sqlite

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/storetest"
)

// BenchmarkStart opens and loads a database of 100,000 leases: alone, with a journal of 100
// MiB, and with one of the size up to which a start checks everything.
func BenchmarkStart(b *testing.B) {
	for _, test := range []struct{ leases, mib int }{{100_000, 0}, {0, 24}, {100_000, 100}} {
		b.Run(fmt.Sprintf("leases=%d/journal=%dMiB", test.leases, test.mib), func(b *testing.B) {
			cfg := Config{Path: newPath(b)}
			s := open(b, cfg)
			storetest.Load(b, s)
			grow(b, s, test.leases, test.mib)
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				s, err := Open(b.Context(), cfg)
				if err != nil {
					b.Fatal(err)
				}
				if snap, err := s.Load(b.Context()); err != nil || len(snap.Leases) != test.leases {
					b.Fatalf("%d leases, %v", len(snap.Leases), err)
				}
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// grow commits that many leases and a journal of that size.
func grow(t testing.TB, s *Store, leases, mib int) {
	t.Helper()
	var line storetest.Line
	var rows []lock.Row
	for i := range leases {
		rows = append(rows, storetest.Row(lock.Name(fmt.Sprintf("deploy/service-%06d", i)), lock.Token(i+1), time.Minute))
		if len(rows) == 1000 || i == leases-1 {
			line.Commit(t, s, 1, rows...)
			rows = rows[:0]
		}
	}
	text := append(bytes.Repeat([]byte(strings.Repeat("x", 255)+"\n"), 1<<10)[:1<<18-1], '\n')
	for range 4 * mib {
		b := line.Batch(1)
		b.Segment.Bytes = text
		if err := s.Commit(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		line.Head = b.Next
	}
}
