package etcd

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/etcd/etcdtest"
)

// batches makes batches like those of a busy server.
type batches struct {
	head lock.Head
	n    int
}

func newBatches(t testing.TB, r *records) *batches {
	t.Helper()
	snap, err := r.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return &batches{head: snap.Head}
}

// next returns the next batch, sealed. Half of its names are acquired, and half are released.
func (b *batches) next(size int) *lock.Batch {
	now := time.Now()
	batch := &lock.Batch{Prev: b.head}
	for i := range size {
		name := lock.Name(fmt.Sprintf("deploy/service-%d/prod", i))
		seq := b.head.Seq + lock.Seq(i) + 1
		lease := &lock.Lease{Name: name, Token: seq, Account: "ci", Holder: "runner-4711", TTL: time.Minute, GrantedAt: now, ExpiresAt: now.Add(time.Minute)}
		e := lock.Event{Seq: seq, Time: now, Kind: lock.Granted, Lease: lease, RequestID: "01JD8Z5T0000000000000000"}
		row := lock.Row{Name: name, Lease: lease}
		if (b.n+i)%2 == 1 {
			e.Kind, row.Lease = lock.Released, nil
		}
		batch.Events, batch.Rows = append(batch.Events, e), append(batch.Rows, row)
	}
	b.n++
	record.Seal(batch, nil)
	b.head = batch.Next
	return batch
}

// bare sends guarded transactions by themselves. Each has the operations and the sizes of a
// batch: what it deletes is there, and what it puts is not.
type bare struct {
	k       *terms
	guard   []clientv3.Cmp
	names   []string
	segment string
	row     string
	rev     int64
	n       int
}

func newBare(k *terms, r *records, batch *lock.Batch) *bare {
	b := &bare{k: k, guard: r.guard(), segment: strings.Repeat("s", len(batch.Segment.Bytes)+64)}
	b.row = strings.Repeat("v", len(r.sums.leaseValue(&lock.Row{Name: "n", Lease: batch.Events[0].Lease})))
	for _, row := range batch.Rows {
		b.names = append(b.names, k.prefix+"bare/l/"+string(row.Name))
	}
	return b
}

func (b *bare) send(ctx context.Context) error {
	b.n++
	head := b.k.prefix + "bare/head"
	ops := []clientv3.Op{
		clientv3.OpPut(head, strings.Repeat("h", 80)),
		clientv3.OpPut(fmt.Sprintf("%sbare/a/%016x", b.k.prefix, b.n), b.segment),
	}
	for i, name := range b.names {
		if (b.n+i)%2 == 1 {
			ops = append(ops, clientv3.OpDelete(name))
			continue
		}
		ops = append(ops, clientv3.OpPut(name, b.row))
	}
	guard := append(slices.Clip(b.guard), clientv3.Compare(clientv3.ModRevision(head), "=", b.rev))
	answer, err := b.k.client.Txn(ctx).If(guard...).Then(ops...).Commit()
	if err != nil {
		return err
	}
	if !answer.Succeeded {
		return fmt.Errorf("transaction %d was refused", b.n)
	}
	b.rev = answer.Header.Revision
	return nil
}

// TestEtcdThroughputOfCommits compares commits with transactions of the same operations and sizes by
// themselves, by turns against the same etcd.
func TestEtcdThroughputOfCommits(t *testing.T) {
	const least, tries = 0.8, 3 // a machine that does other things disturbs both unevenly
	e := etcdtest.StartWith(t, etcdtest.Config{Sync: true})
	for _, size := range []int{1, 16, batchEvents} {
		best := 0.0
		for range tries {
			if best = max(best, shareOfBare(t, termsIn(t, e.Endpoints()), size)); best >= least {
				break
			}
		}
		if best < least {
			t.Errorf("batches of %d: %.2f of the rate of transactions by themselves, want %.1f", size, best, least)
		}
	}
}

// shareOfBare returns the rate of commits as a share of the rate of transactions by
// themselves.
func shareOfBare(t *testing.T, k *terms, size int) float64 {
	t.Helper()
	r := k.take()
	ours := newBatches(t, r)
	first := ours.next(size)
	if err := r.Commit(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	theirs := newBare(k, r, first)
	var bare, commits []time.Duration
	for range 200 {
		batch := ours.next(size)
		start := time.Now()
		if err := theirs.send(t.Context()); err != nil {
			t.Fatal(err)
		}
		between := time.Now()
		if err := r.Commit(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		bare, commits = append(bare, between.Sub(start)), append(commits, time.Since(between))
	}
	share := float64(median(bare)) / float64(median(commits))
	t.Logf("batches of %d: a commit takes %s, a transaction by itself %s: %.2f of its rate", size, median(commits), median(bare), share)
	return share
}

func median(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}

// BenchmarkEtcdCommit commits batches one after the other, on an etcd that does not sync its
// disk: what is left is the store's and etcd's own work.
func BenchmarkEtcdCommit(b *testing.B) {
	for _, size := range []int{1, 16, batchEvents} {
		b.Run(fmt.Sprintf("events=%d", size), func(b *testing.B) {
			r := newTerms(b).take()
			batches := newBatches(b, r)
			b.ReportAllocs()
			for b.Loop() {
				if err := r.Commit(b.Context(), batches.next(size)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
