package etcd

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/storetest"
)

// disturbance commits to a table while answers get lost, copies come late and twice, and
// other owners come, and remembers what was promised.
type disturbance struct {
	t    *testing.T
	rng  *rand.Rand
	k    *terms
	line storetest.Line // as the owner knows it
	rows map[lock.Name]lock.Row
	late []func() // copies that may still come

	owner  *records
	former []*records
}

// TestEtcdStoreUnderDisturbance: every commit that is acknowledged is there once, and none
// that is called surely lost is.
func TestEtcdStoreUnderDisturbance(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	d := &disturbance{t: t, rng: rand.New(rand.NewPCG(seed, 0)), k: newTerms(t), rows: map[lock.Name]lock.Row{}}
	d.take()
	for range 120 {
		d.step()
	}
	d.take()
	for _, deliver := range d.late {
		deliver()
	}
	d.check()
}

// take makes another owner, which must find exactly what was acknowledged.
func (d *disturbance) take() {
	d.t.Helper()
	if d.owner != nil {
		d.former = append(d.former, d.owner)
	}
	d.owner = d.k.take()
	d.check()
}

func (d *disturbance) check() {
	d.t.Helper()
	snap := storetest.Load(d.t, d.owner)
	if snap.Head != d.line.Head {
		d.t.Fatalf("the head is %d, want %d", snap.Head.Seq, d.line.Head.Seq)
	}
	found := map[lock.Name]lock.Token{}
	for _, l := range snap.Leases {
		found[l.Lease.Name] = l.Lease.Token
	}
	if len(found) != len(d.rows) {
		d.t.Fatalf("%d names are held, want %d", len(found), len(d.rows))
	}
	for name, row := range d.rows {
		if found[name] != row.Lease.Token {
			d.t.Fatalf("%s has the token %d, want %d", name, found[name], row.Lease.Token)
		}
	}
	all, err := storetest.Drain(d.t.Context(), d.owner, 0, 50)
	if err != nil {
		d.t.Fatal(err)
	}
	var last lock.Seq
	for _, g := range all {
		if g.First != last+1 {
			d.t.Fatalf("segment %d follows event %d", g.First, last)
		}
		last = g.Last
	}
	if last != d.line.Head.Seq {
		d.t.Fatalf("the segments lead to %d, want %d", last, d.line.Head.Seq)
	}
}

// step commits one batch, which may be disturbed.
func (d *disturbance) step() {
	owner, b := d.owner, d.batch()
	applied := d.rng.IntN(2) == 0
	takes := d.rng.IntN(3) == 0
	commits := d.rng.IntN(3)
	meanwhile := func() {
		if !takes {
			return
		}
		if applied {
			d.accept(b)
		}
		d.take()
		for range commits {
			d.commit(d.batch())
		}
	}
	switch d.rng.IntN(4) {
	case 0:
		d.k.wire.lose(applied, meanwhile)
	case 1:
		applied = false
		d.late = append(d.late, d.k.wire.hold(meanwhile))
	default:
		applied, takes = true, false
	}
	err := owner.Commit(d.t.Context(), b)
	switch {
	case !takes && err == nil:
		d.accept(b)
	case takes && applied && err == nil:
	case takes && !applied && errors.Is(err, lock.ErrDeposed):
	default:
		d.t.Fatalf("applied %v, taken meanwhile %v: %v", applied, takes, err)
	}
	d.stale()
}

// stale has a late copy arrive, and a former owner try.
func (d *disturbance) stale() {
	if len(d.late) > 0 && d.rng.IntN(3) == 0 {
		d.late[d.rng.IntN(len(d.late))]()
	}
	if len(d.former) > 0 && d.rng.IntN(4) == 0 {
		f := d.former[d.rng.IntN(len(d.former))]
		line := storetest.Line{Head: f.head.Head}
		if err := f.Commit(d.t.Context(), line.Batch(1, storetest.Free("n/1"))); !errors.Is(err, lock.ErrDeposed) {
			d.t.Fatalf("a former owner: %v", err)
		}
	}
}

func (d *disturbance) commit(b *lock.Batch) {
	if err := d.owner.Commit(d.t.Context(), b); err != nil {
		d.t.Fatal(err)
	}
	d.accept(b)
}

func (d *disturbance) batch() *lock.Batch {
	name := lock.Name(fmt.Sprintf("n/%d", d.rng.IntN(5)))
	if d.rng.IntN(3) == 0 {
		return d.line.Batch(1+d.rng.IntN(3), storetest.Free(name))
	}
	return d.line.Batch(1+d.rng.IntN(3), storetest.Row(name, d.line.Head.Seq+1, time.Minute))
}

func (d *disturbance) accept(b *lock.Batch) {
	d.line.Head = b.Next
	for _, r := range b.Rows {
		if d.rows[r.Name] = r; r.Lease == nil {
			delete(d.rows, r.Name)
		}
	}
}
