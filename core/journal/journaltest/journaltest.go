// Package journaltest provides tests with a journal in memory, a history of events of all
// kinds, and its exports.
package journaltest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/memory"
)

// Noon is the time before the first event of a [History].
var Noon = time.Date(2026, 3, 4, 12, 0, 0, 123456789, time.UTC)

// Open returns an empty journal and its store.
func Open(t testing.TB) (*journal.Journal, journal.Store) {
	t.Helper()
	store := memory.New()
	j := journal.New(store)
	if _, err := j.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	return j, store
}

// History writes events of all sorts: that many, a second apart, in batches of
// one to five, with a checkpoint every 50, and returns the last number.
func History(t testing.TB, j *journal.Journal, first lock.Seq, events int) lock.Seq {
	t.Helper()
	seq := first
	for size := 1; events > 0; size = size%5 + 1 {
		b := &lock.Batch{}
		for range min(size, events) {
			b.Events = append(b.Events, Event(seq))
			seq++
		}
		events -= len(b.Events)
		if err := j.Commit(context.Background(), b); err != nil {
			t.Fatal(err)
		}
		j.Publish()
	}
	return seq - 1
}

// Event returns the event that [History] writes under a number.
func Event(seq lock.Seq) lock.Event {
	n := int(seq % 10)
	e := lock.Event{
		Seq: seq, Time: Noon.Add(time.Duration(seq) * time.Second), RequestID: fmt.Sprintf("r-%d", seq),
		Actor: lock.Actor{Account: "acme", RemoteAddr: "127.0.0.1:9", UserAgent: `curl "8"`},
		Lease: &lock.Lease{
			Name: lock.Name(fmt.Sprintf("app%d/prod", n%3)), Token: seq, Account: "acme", Holder: "=ci, 1", TTL: time.Minute,
			Metadata: map[string]string{"signature": "x", "account": "ops"},
		},
	}
	switch {
	case seq%50 == 0:
		return lock.Event{Seq: seq, Time: e.Time, Kind: lock.Checkpoint}
	case n == 1:
		e.Kind = lock.Denied
	case n == 2:
		e.Kind, e.Lease.Account = lock.Broken, "ops"
	case n == 3:
		e.Kind, e.Lease, e.Actor = lock.Started, nil, lock.Actor{}
	case n == 4:
		e.Kind = lock.PolicyError
	default:
		e.Kind = lock.Granted
	}
	return e
}

// Export reads a whole export.
func Export(t testing.TB, j *journal.Journal, q journal.Query) []byte {
	t.Helper()
	var out bytes.Buffer
	e := j.Export(q)
	out.Write(e.Opening(Noon))
	for {
		lines, err := e.Next(context.Background())
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range lines {
			out.Write(l)
		}
	}
	out.Write(e.Closing())
	return out.Bytes()
}
