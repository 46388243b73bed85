package etcd

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/storetest"
)

// readAll reads everything that a server reads at its start, and the journal.
func readAll(ctx context.Context, r *records) error {
	_, load := r.Load(ctx)
	_, segments := storetest.Drain(ctx, r, 0, 100)
	_, backward := r.SegmentsBefore(ctx, 1<<53, 1000)
	_, tokens := r.Tokens(ctx)
	_, cursors := r.ObserverCursors(ctx)
	_, cut := r.Cut(ctx)
	_, past := r.pastNow(ctx)
	return errors.Join(load, segments, backward, tokens, cursors, cut, past)
}

// Each value is changed in turn: a bit of it, and then its end. A value under another key
// does not pass either.
func TestEtcdDamageIsFound(t *testing.T) {
	k := newTerms(t)
	r := k.take()
	storetest.Load(t, r)
	var line storetest.Line
	first := line.Commit(t, r, 2, storetest.Row("a", 1, time.Minute), storetest.Row("b", 2, time.Minute)).Next
	line.Commit(t, r, 2)
	used := oneToken("t1")
	used.Used = used.Created
	err := errors.Join(
		r.PutTokens(t.Context(), used, oneToken("t2")),
		r.SetObserverCursors(t.Context(), []journal.ObserverCursor{{Observer: "o", After: 1}}, nil),
		r.setCut(t.Context(), lock.Head{Seq: first.Seq, Hash: first.Hash}),
	)
	_, aged := r.agePast(t.Context())
	if err := errors.Join(err, aged); err != nil {
		t.Fatal(err)
	}
	all, err := k.client.Get(t.Context(), k.prefix, clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	put := func(key, value string) {
		t.Helper()
		if _, err := k.client.Put(t.Context(), key, value); err != nil {
			t.Fatal(err)
		}
	}
	damaged := 0
	for _, kv := range all.Kvs {
		key, value := string(kv.Key), string(kv.Value)
		if key == r.keys.own() || key == r.keys.beside() || strings.HasPrefix(key, k.prefix+"th/") {
			continue // without a checksum: compared, or only a way to a value
		}
		for what, other := range map[string]string{"flipped": value[:4] + string(value[4]^1) + value[5:], "cut off": value[:len(value)-1], "empty": ""} {
			put(key, other)
			if err := readAll(t.Context(), k.take()); !errors.Is(err, ErrDamaged) {
				t.Errorf("%s %s: %v", key, what, err)
			}
		}
		put(key, value)
		damaged++
	}
	if damaged != 11 { // two leases, two segments, two tokens, a last use, an observer, a cut, a head, the past
		t.Errorf("%d values were damaged, want 11", damaged)
	}
	if err := readAll(t.Context(), k.take()); err != nil {
		t.Fatal(err)
	}
	a, err := k.client.Get(t.Context(), r.keys.lease("a"))
	if err != nil {
		t.Fatal(err)
	}
	put(r.keys.lease("c"), string(a.Kvs[0].Value))
	if err := readAll(t.Context(), k.take()); !errors.Is(err, ErrDamaged) {
		t.Errorf("the lease of another name: %v", err)
	}
}

func TestEtcdDamageOfTheNewestSegment(t *testing.T) {
	k := newTerms(t)
	r := k.take()
	storetest.Load(t, r)
	var line storetest.Line
	line.Commit(t, r, 1)
	newest := line.Commit(t, r, 1).Segment.First
	if _, err := k.client.Delete(t.Context(), r.keys.segment(newest)); err != nil {
		t.Fatal(err)
	}
	if _, err := k.take().Load(t.Context()); !errors.Is(err, ErrDamaged) {
		t.Errorf("the newest segment is gone: %v", err)
	}
}

// FuzzEtcdValues: no value, whatever it is, makes a store do anything but refuse it.
func FuzzEtcdValues(f *testing.F) {
	s := newSums([]byte("secret"), keys{"/p/"})
	row := storetest.Row("a", 1, time.Minute)
	t1 := oneToken("t1")
	for _, value := range []string{
		s.leaseValue(&row), s.tokenValue(&t1), s.headValue(&headValue{}), s.cutValue(lock.Head{}), s.pastValue(past{1, 2, 3}),
		s.segmentValue(&segment{Segment: lock.Segment{First: 1, Last: 1, Count: 1, Bytes: []byte("x\n")}}),
	} {
		f.Add([]byte(value[:len(value)-4]))
	}
	f.Fuzz(func(_ *testing.T, content []byte) {
		sealed := func(key string) (string, []byte) {
			return key, []byte(s.seal(key, append([]byte(nil), content...)))
		}
		_, _ = s.lease(sealed(s.keys.lease("a")))
		_, _ = s.token(sealed(s.keys.token("t1")))
		_, _ = s.use(sealed(s.keys.tokenUse("t1")))
		_, _ = s.cursor(sealed(s.keys.observer("o")))
		_, _ = s.segment(sealed(s.keys.segment(1)))
		_, head := sealed(s.keys.head())
		_, _ = s.head(head)
		_, cut := sealed(s.keys.cut())
		_, _ = s.cut(cut)
		_, past := sealed(s.keys.past())
		_, _ = s.past(past)
	})
}
