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

// BenchmarkCommit commits batches as a busy server makes them: half of the events
// grant a lock, half release one, each of a few hundred bytes.
func BenchmarkCommit(b *testing.B) {
	for _, size := range []int{1, 32, 64, 256} {
		for _, wal := range []struct {
			name string
			size int64
		}{{"wal=extended", defaultWAL}, {"wal=growing", -1}} {
			b.Run(fmt.Sprintf("rows=%d/%s", size, wal.name), func(b *testing.B) {
				s := open(b, Config{Path: newPath(b), walSize: wal.size})
				storetest.Load(b, s)
				benchmark(b, size, func(batch *lock.Batch) error { return s.Commit(b.Context(), batch) })
			})
		}
	}
}

func benchmark(b *testing.B, size int, commit func(*lock.Batch) error) {
	var line storetest.Line
	batches := [2]*lock.Batch{}
	for i := range batches {
		batches[i] = batchOf(size, i == 0)
	}
	b.ReportAllocs()
	b.ResetTimer()
	before := cpuTime()
	for i := 0; b.Loop(); i++ {
		batch := batches[i%2]
		batch.Prev = line.Head
		batch.Segment.First = line.Head.Seq + 1
		batch.Segment.Last = line.Head.Seq + lock.Seq(size)
		if err := commit(batch); err != nil {
			b.Fatal(err)
		}
		line.Head.Seq = batch.Segment.Last
	}
	b.ReportMetric(float64(cpuTime()-before)/float64(b.N), "cpu-ns/op")
}

// batchOf returns a batch in which every other name is granted, and the rest
// released; with even the other way round.
func batchOf(size int, even bool) *lock.Batch {
	var rows []lock.Row
	for i := range size {
		name := lock.Name(fmt.Sprintf("deploy/service-%d/prod", i))
		if (i%2 == 0) == even {
			r := storetest.Row(name, lock.Token(i+1), time.Minute)
			r.Attempt.Key[0] = 1
			rows = append(rows, r)
		} else {
			rows = append(rows, storetest.Free(name))
		}
	}
	batch := new(storetest.Line).Batch(size, rows...)
	line := []byte(`{"pad":"` + strings.Repeat("x", 300) + `"}` + "\n")
	batch.Segment.Bytes = bytes.Repeat(line, size)
	return batch
}
