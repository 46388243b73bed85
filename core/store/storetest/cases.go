package storetest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/octostore/octostore/core/lock"
)

func testEmpty(t *testing.T, f Fixture) {
	snap := Load(t, f.Store)
	if snap.Head != (lock.Head{}) || len(snap.Leases) != 0 {
		t.Errorf("snapshot = %+v, want nothing in it", snap)
	}
	if len(snap.Secret) != 32 || string(snap.Secret) == strings.Repeat("\x00", 32) {
		t.Errorf("secret = %x, want 32 random bytes", snap.Secret)
	}
	segments, err := f.Store.Segments(t.Context(), 0, 100)
	if err != nil || len(segments) != 0 {
		t.Errorf("Segments = %v, %v, want none", segments, err)
	}
}

func testSecret(t *testing.T, f Fixture) {
	secret := Load(t, f.Store).Secret
	for range 2 {
		if again := Load(t, f.Reopen()).Secret; string(again) != string(secret) {
			t.Fatalf("secret = %x, was %x", again, secret)
		}
	}
}

func testFields(t *testing.T, f Fixture) {
	granted := time.Date(2026, 3, 29, 1, 59, 59, 123456789, time.UTC)
	pairs := make(map[string]string)
	for i := range lock.MaxMetadata {
		pairs[fmt.Sprintf("Key-%d%s", i, strings.Repeat("k", lock.MaxMetaKey))[:lock.MaxMetaKey]] = strings.Repeat("v", lock.MaxMetaValue)
	}
	lease := func(l lock.Lease) *lock.Lease {
		l.ExpiresAt = time.Now().Add(l.TTL)
		if l.ConfirmWithin > 0 {
			l.ExpiresAt = time.Now().Add(l.ConfirmWithin)
		}
		l.GrantedAt = l.GrantedAt.UTC()
		return &l
	}
	longest := lock.Name("c/" + strings.Repeat("l", lock.MaxSegment) + "/" + strings.Repeat("~", lock.MaxSegment) + "/" + strings.Repeat("+", lock.MaxName-2-2*(lock.MaxSegment+1)))
	rows := []lock.Row{
		{Name: "a/bare", Lease: lease(lock.Lease{Name: "a/bare", Token: 1, TTL: time.Second, GrantedAt: granted})},
		{Name: "b/all", Lease: lease(lock.Lease{
			Name: "b/all", Token: 1<<53 - 1, Account: "ops@example.org", Holder: "ci-4711", Reason: "release 1.2",
			Metadata: map[string]string{"ticket": "OPS-7", "empty": ""}, TTL: time.Hour, GrantedAt: granted,
		}), Attempt: lock.Attempt{Key: sha256.Sum256([]byte("key")), Params: [16]byte{1, 2, 3}}},
		{Name: longest, Lease: lease(lock.Lease{
			Name: longest, Token: 3, Account: strings.Repeat("a", 300), Holder: strings.Repeat("h", lock.MaxHolder),
			Reason: strings.Repeat("r", lock.MaxReason), Metadata: pairs, TTL: 1500 * time.Millisecond, GrantedAt: granted,
		})},
		{Name: "d/unconfirmed", Lease: lease(lock.Lease{
			Name: "d/unconfirmed", Token: 6, TTL: time.Hour, ConfirmWithin: 1500 * time.Millisecond, GrantedAt: granted,
		})},
		{Name: "d/unicode", Lease: lease(lock.Lease{
			Name: "d/unicode", Token: 4, Account: "zoë", Holder: "Rechner Ä", Reason: "章魚 🐙 \"quoted\" <&> '; --",
			Metadata: map[string]string{"who": "Jürgen \\ 🐙", "markup": "<a&b>\u2028"}, TTL: time.Minute, GrantedAt: granted,
		})},
		{Name: "e/key", Lease: lease(lock.Lease{Name: "e/key", Token: 5, TTL: time.Minute, GrantedAt: granted}),
			Attempt: lock.Attempt{Key: [32]byte{31: 1}}},
	}
	Load(t, f.Store)
	new(Line).Commit(t, f.Store, len(rows), rows...)
	CheckLeases(t, Load(t, f.Reopen()), rows...)
}

func testRows(t *testing.T, f Fixture) {
	Load(t, f.Store)
	var line Line
	a1, b1, c1 := Row("a", 1, time.Minute), Row("b", 2, time.Minute), Row("c", 3, time.Minute)
	line.Commit(t, f.Store, 3, a1, b1, c1)
	b2 := Row("b", 5, time.Hour)
	b2.Lease.Holder, b2.Lease.Metadata = "", map[string]string{"k": "v"}
	line.Commit(t, f.Store, 2, Free("a"), b2)
	line.Commit(t, f.Store, 1, Free("never-held"))

	s := f.Reopen()
	CheckLeases(t, Load(t, s), b2, c1)
	a2 := Row("a", 7, time.Minute)
	line.Commit(t, s, 1, a2, Free("b"), Free("c"))
	CheckLeases(t, Load(t, f.Reopen()), a2)
}

func testLargeBatch(t *testing.T, f Fixture) {
	Load(t, f.Store)
	var rows []lock.Row
	for i := range 600 {
		r := Row(lock.Name(fmt.Sprintf("many/%04d", i)), lock.Token(i+1), time.Minute)
		r.Lease.Reason = strings.Repeat("r", lock.MaxReason)
		rows = append(rows, r)
	}
	var line Line
	b := line.Batch(600, rows...)
	filler := []byte(`{"seq":601,"filler":"` + strings.Repeat("x", 1<<20) + `"}`)
	b.Segment.Bytes = append(append(b.Segment.Bytes, filler...), '\n')
	b.Segment.Last, b.Segment.Count = 601, 601
	b.Next = lock.Head{Seq: 601, Hash: sha256.Sum256(filler)}
	if err := f.Store.Commit(t.Context(), b); err != nil {
		t.Fatalf("commit: %v", err)
	}
	s := f.Reopen()
	snap := Load(t, s)
	CheckLeases(t, snap, rows...)
	if snap.Head != b.Next {
		t.Errorf("head = %v, want %v", snap.Head, b.Next)
	}
	segments, err := s.Segments(t.Context(), 0, 1)
	if err != nil || len(segments) != 1 || string(segments[0].Bytes) != string(b.Segment.Bytes) {
		t.Errorf("the segment came back different (%d segments, error %v)", len(segments), err)
	}
}

func testNoRows(t *testing.T, f Fixture) {
	Load(t, f.Store)
	var line Line
	line.Commit(t, f.Store, 2)
	line.Commit(t, f.Store, 1)
	snap := Load(t, f.Reopen())
	if snap.Head != line.Head || len(snap.Leases) != 0 {
		t.Errorf("snapshot = %+v, want head %v and no leases", snap, line.Head)
	}
}

func testHead(t *testing.T, f Fixture) {
	Load(t, f.Store)
	var line Line
	for _, events := range []int{1, 3, 1, 256} {
		line.Commit(t, f.Store, events)
		line.Head.Seq += 1000 // sequence numbers may jump
		b := line.Batch(events)
		b.Prev.Seq -= 1000
		if err := f.Store.Commit(t.Context(), b); err != nil {
			t.Fatalf("commit: %v", err)
		}
		line.Head = b.Next
		f.Store = f.Reopen()
		if got := Load(t, f.Store).Head; got != line.Head {
			t.Fatalf("head = %v, want %v", got, line.Head)
		}
	}
}

func testDeposed(t *testing.T, f Fixture) {
	Load(t, f.Store)
	var line Line
	held := Row("held", 1, time.Minute)
	line.Commit(t, f.Store, 1, held)
	stale, ahead := Line{}, Line{Head: lock.Head{Seq: 7}}
	for _, other := range []Line{stale, ahead} {
		err := f.Store.Commit(t.Context(), other.Batch(1, Row("new", 8, time.Minute), Free("held")))
		if !errors.Is(err, lock.ErrDeposed) {
			t.Errorf("commit on head %d = %v, want ErrDeposed", other.Head.Seq, err)
		}
	}
	if segments, err := Drain(t.Context(), f.Store, 0, 10); err != nil || len(segments) != 1 {
		t.Errorf("%d segments, error %v, want the first only", len(segments), err)
	}
	snap := Load(t, f.Reopen())
	CheckLeases(t, snap, held)
	if snap.Head != line.Head {
		t.Errorf("head = %v, want %v", snap.Head, line.Head)
	}
}

func testFull(t *testing.T, f Fixture) {
	if f.Fill == nil {
		t.Skip("this store has all the space there is")
	}
	Load(t, f.Store)
	var line Line
	held := Row("held", 1, time.Minute)
	line.Commit(t, f.Store, 1, held)

	rows := []lock.Row{Free("held")}
	for i := range 256 {
		rows = append(rows, Row(lock.Name(fmt.Sprintf("new/%d", i)), 2, time.Minute))
	}
	f.Fill(true)
	for range 3 {
		err := f.Store.Commit(t.Context(), line.Batch(256, rows...))
		if !errors.Is(err, lock.ErrFull) {
			t.Fatalf("commit = %v, want ErrFull", err)
		}
	}
	if segments, err := Drain(t.Context(), f.Store, 0, 10); err != nil || len(segments) != 1 {
		t.Errorf("%d segments, error %v, want the first only", len(segments), err)
	}
	f.Fill(false)
	next := Row("next", 2, time.Minute)
	line.Commit(t, f.Store, 1, next)

	snap := Load(t, f.Reopen())
	CheckLeases(t, snap, held, next)
	if snap.Head != line.Head {
		t.Errorf("head = %v, want %v", snap.Head, line.Head)
	}
}

func testCanceled(t *testing.T, f Fixture) {
	Load(t, f.Store)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var line Line
	b := line.Batch(1, Row("a", 1, time.Minute))
	if err := f.Store.Commit(ctx, b); err != nil {
		t.Fatalf("commit = %v; an error would mean that the outcome is unknown", err)
	}
	if got := Load(t, f.Reopen()).Head; got != b.Next {
		t.Errorf("head = %v, want %v", got, b.Next)
	}
}

func testRemaining(t *testing.T, f Fixture) {
	Load(t, f.Store)
	long, short, over := Row("a/long", 1, time.Hour), Row("b/short", 2, time.Minute), Row("c/over", 3, time.Second)
	over.Lease.GrantedAt = over.Lease.GrantedAt.Add(-time.Minute)
	over.Lease.ExpiresAt = over.Lease.ExpiresAt.Add(-time.Minute)
	new(Line).Commit(t, f.Store, 3, long, short, over)
	snap := Load(t, f.Reopen())
	CheckLeases(t, snap, long, short, over)
	if left := snap.Leases[2].Remaining; left > 0 {
		t.Errorf("a lease that lapsed has %s left", left)
	}
}

func testRemainingBeyondTTL(t *testing.T, f Fixture) {
	Load(t, f.Store)
	r := Row("a", 1, time.Hour)
	r.Lease.TTL = time.Second // of the renewal
	new(Line).Commit(t, f.Store, 1, r)
	CheckLeases(t, Load(t, f.Reopen()), r)
}

// An unconfirmed lease is loaded as unconfirmed, and its renewal as confirmed.
func testRemainingUnconfirmed(t *testing.T, f Fixture) {
	Load(t, f.Store)
	r, stays := Row("a", 1, time.Hour), Row("b", 2, time.Hour)
	for _, r := range []lock.Row{r, stays} {
		r.Lease.ConfirmWithin = 15 * time.Second
		r.Lease.ExpiresAt = r.Lease.GrantedAt.Add(15 * time.Second)
	}
	var line Line
	line.Commit(t, f.Store, 2, r, stays)
	s := f.Reopen()
	CheckLeases(t, Load(t, s), r, stays)

	confirmed := r
	renewed := *r.Lease
	renewed.ConfirmWithin, renewed.ExpiresAt = 0, time.Now().Add(renewed.TTL)
	confirmed.Lease = &renewed
	line.Commit(t, s, 1, confirmed)
	CheckLeases(t, Load(t, f.Reopen()), confirmed, stays)
}

func testSegments(t *testing.T, f Fixture) {
	Load(t, f.Store)
	var line Line
	var want []lock.Segment
	for _, events := range []int{1, 3, 2, 5, 1} { // 1 · 2–4 · 5–6 · 7–11 · 12
		g := line.Commit(t, f.Store, events).Segment
		g.Time = g.Time.Round(0).UTC()
		want = append(want, g)
	}
	check := func(s segmenter) {
		for _, test := range []struct {
			after    lock.Seq
			events   int
			from, to int
		}{
			{after: 0, events: 1, from: 0, to: 1},
			{after: 0, events: 2, from: 0, to: 2},
			{after: 0, events: 4, from: 0, to: 2},
			{after: 0, events: 5, from: 0, to: 3},
			{after: 0, events: 1000, from: 0, to: 5},
			{after: 1, events: 1, from: 1, to: 2},
			{after: 2, events: 1, from: 1, to: 2}, // within a segment
			{after: 3, events: 4, from: 1, to: 3},
			{after: 4, events: 1, from: 2, to: 3},
			{after: 11, events: 1000, from: 4, to: 5},
			{after: 12, events: 1, from: 5, to: 5},
			{after: 1 << 52, events: 1, from: 5, to: 5},
			{after: 1<<64 - 1, events: 1, from: 5, to: 5},
		} {
			got, err := s.Segments(t.Context(), test.after, test.events)
			if err != nil {
				t.Fatalf("after %d: %v", test.after, err)
			}
			for i := range got {
				got[i].Time = got[i].Time.Round(0).UTC()
			}
			if diff := cmp.Diff(want[test.from:test.to], got, equateEmpty); diff != "" {
				t.Errorf("after %d, %d events (-want +got):\n%s", test.after, test.events, diff)
			}
		}
	}
	check(f.Store)
	s := f.Reopen()
	check(s)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Segments(ctx, 0, 1); err == nil {
		t.Error("a call whose context has ended was answered")
	}
}
