package table

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/octostore/octostore/core/lock"
)

// millionLocks are views of a million locks of one account.
func millionLocks() *views {
	vs := new(views)
	for i := range 1_000_000 {
		show(vs, heldView(lock.Name(fmt.Sprintf("team/%07d", i)), "ci"))
	}
	return vs
}

// BenchmarkViewsPublish publishes one lease while four readers do nothing but read, with a
// million locks. It reports the longest publication, too: that is how long the loop, and
// with it all requests, may be held up.
func BenchmarkViewsPublish(b *testing.B) {
	vs := millionLocks()
	vs.heldBy("ci", "")
	for _, beside := range []struct {
		name string
		read func()
	}{
		{"no-reader", func() { time.Sleep(time.Millisecond) }},
		{"count", func() { vs.heldBy("ci", "team/") }},
		{"list", func() { vs.list(Query{Limit: 1000}) }},
		{"list-of-account", func() { vs.list(Query{Limit: 1000, Account: "other"}) }},
	} {
		b.Run(beside.name, func(b *testing.B) { publishBeside(b, vs, beside.read) })
	}
}

// BenchmarkViewsIndexStep is one step of building the index of accounts: the first call of
// [Table.HeldBy] takes as many as there are locks, and gives up the lock between them.
func BenchmarkViewsIndexStep(b *testing.B) {
	vs := millionLocks()
	var longest time.Duration
	for b.Loop() {
		start := time.Now()
		if vs.indexSome() {
			vs.accounts = accountIndex{}
		}
		longest = max(longest, time.Since(start))
	}
	b.ReportMetric(float64(longest.Microseconds()), "longest-µs")
}

func publishBeside(b *testing.B, vs *views, read func()) {
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					read()
				}
			}
		})
	}
	var longest time.Duration
	for b.Loop() {
		longest = max(longest, publishOne(vs))
	}
	close(stop)
	readers.Wait()
	b.ReportMetric(float64(longest.Microseconds()), "longest-µs")
}

func publishOne(vs *views) time.Duration {
	changed := []lock.Change{lock.NewChange(vs.slot("team/x"), &lock.Lease{Account: "ci"})}
	start := time.Now()
	vs.publish(changed)
	vs.published()
	return time.Since(start)
}
