package wire

import (
	"bytes"
	"encoding/json"
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/octostore/octostore/core/input"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/table"
	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/problem"
	"pgregory.net/rapid"
)

// What is appended by hand is, byte for byte, what encoding/json makes of the types
// of package api.

// instants are times with and without milliseconds, in and out of UTC.
func instants() *rapid.Generator[time.Time] {
	return rapid.Custom(func(t *rapid.T) time.Time {
		at := time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, "seconds"), rapid.Int64Range(0, 999_999_999).Draw(t, "nanos"))
		zone := time.FixedZone("", rapid.IntRange(-12, 12).Draw(t, "zone")*3600)
		return at.In(zone)
	})
}

func spans() *rapid.Generator[time.Duration] {
	return rapid.Map(rapid.Int64Range(0, int64(24*time.Hour)), func(n int64) time.Duration { return time.Duration(n) })
}

func leases() *rapid.Generator[*lock.Lease] {
	return rapid.Custom(func(t *rapid.T) *lock.Lease {
		return &lock.Lease{
			Name:     lock.Name(rapid.String().Draw(t, "name")),
			Token:    lock.Token(rapid.Uint64Range(1, 1<<53-1).Draw(t, "token")),
			Account:  rapid.String().Draw(t, "account"),
			Holder:   rapid.String().Draw(t, "holder"),
			Reason:   rapid.String().Draw(t, "reason"),
			Metadata: rapid.MapOfN(rapid.String(), rapid.String(), -1, 3).Draw(t, "metadata"),
			TTL:      spans().Draw(t, "ttl"),

			ConfirmWithin: rapid.SampledFrom([]time.Duration{0, 0, time.Second, 15 * time.Second}).Draw(t, "confirm"),

			GrantedAt: instants().Draw(t, "granted"),
			ExpiresAt: instants().Draw(t, "expires"),
		}
	})
}

func views() *rapid.Generator[lock.View] {
	return rapid.Custom(func(t *rapid.T) lock.View {
		v := lock.View{Name: lock.Name(rapid.String().Draw(t, "name")), Waiters: rapid.IntRange(0, 1<<20).Draw(t, "waiters")}
		if v.Waiters > 0 {
			v.WaitingSince = instants().Draw(t, "waiting since")
		}
		if rapid.Bool().Draw(t, "held") {
			v.Lease = leases().Draw(t, "lease")
		}
		v.Queue = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) lock.Waiting {
			return lock.Waiting{
				Position:  rapid.IntRange(1, 16).Draw(t, "position"),
				Priority:  rapid.SampledFrom(lock.Priorities()).Draw(t, "priority"),
				Account:   rapid.String().Draw(t, "account"),
				Holder:    rapid.String().Draw(t, "holder"),
				Reason:    rapid.String().Draw(t, "reason"),
				Metadata:  rapid.MapOfN(rapid.String(), rapid.String(), -1, 3).Draw(t, "metadata"),
				Since:     instants().Draw(t, "since"),
				KeptUntil: rapid.OneOf(rapid.Just(time.Time{}), instants()).Draw(t, "kept until"),
			}
		}), 0, 3).Draw(t, "queue")
		return v
	})
}

func TestEncodingOfGrants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := table.Grant{Lease: leases().Draw(t, "lease"), LeaseID: rapid.String().Draw(t, "id"), Waited: spans().Draw(t, "waited")}
		wait, server, at := spans().Draw(t, "wait"), spans().Draw(t, "server"), instants().Draw(t, "now")
		sameJSON(t, api.Grant{
			Name: string(g.Lease.Name), LeaseID: g.LeaseID, FencingToken: uint64(g.Lease.Token),
			Account: g.Lease.Account, Holder: g.Lease.Holder, TTLMS: g.Lease.TTL.Milliseconds(), ConfirmMS: g.Lease.ConfirmWithin.Milliseconds(),
			ExpiresInMS: max(0, g.Lease.ExpiresAt.Sub(at)).Milliseconds(), ServerMS: server.Milliseconds(),
			WaitedMS: g.Waited.Milliseconds(), WaitMS: wait.Milliseconds(),
			GrantedAt: forPeople(g.Lease.GrantedAt), ExpiresAt: forPeople(g.Lease.ExpiresAt),
		}, appendGrant(nil, g, wait, server, at))
	})
}

func TestEncodingOfEnds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := lock.EndedLease{Lease: leases().Draw(t, "lease"), Held: spans().Draw(t, "held")}
		sameJSON(t, api.Ended{Name: string(e.Lease.Name), FencingToken: uint64(e.Lease.Token), HeldMS: e.Held.Milliseconds()}, appendEnded(nil, e))
	})
}

func TestEncodingOfLocks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v, at := views().Draw(t, "view"), instants().Draw(t, "now")
		sameJSON(t, lockOf(v, whole, at), appendLock(nil, v, at))
		sameJSON(t, api.List{Locks: []api.Lock{lockOf(v, whole, at)}}, appendList(nil, []lock.View{v}, "", whole, at))
	})
}

func TestEncodingOfLists(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		vs, at := rapid.SliceOfN(views(), 0, 3).Draw(t, "views"), instants().Draw(t, "now")
		next := lock.Name(rapid.String().Draw(t, "next"))
		list := api.List{Locks: []api.Lock{}, Next: string(next)}
		for _, v := range vs {
			list.Locks = append(list.Locks, lockOf(v, listed, at))
		}
		sameJSON(t, list, appendList(nil, vs, next, listed, at))
	})
}

func lockOf(v lock.View, how detail, at time.Time) api.Lock {
	l := api.Lock{Name: string(v.Name), State: api.Free, WaitersTotal: v.Waiters, Waiters: []api.Waiter{}}
	if v.Lease != nil {
		l.State, l.Lease = api.Held, problem.Lease(v.Lease, at)
	}
	if v.Waiters > 0 {
		l.WaitingSince = new(forPeople(v.WaitingSince))
	}
	for _, w := range v.Queue {
		shown := api.Waiter{Position: w.Position, Account: w.Account, Holder: w.Holder, Reason: w.Reason, Since: forPeople(w.Since)}
		if how == whole {
			shown.Metadata = w.Metadata
		}
		if w.Priority != lock.Normal {
			shown.Priority = w.Priority.String()
		}
		if !w.KeptUntil.IsZero() {
			shown.Away, shown.KeptUntil = true, new(forPeople(w.KeptUntil))
		}
		l.Waiters = append(l.Waiters, shown)
	}
	if n := len(v.Queue); n > 0 && v.Queue[n-1].Position < v.Waiters {
		l.WaitersNext = v.Queue[n-1].Position
	}
	return l
}

func forPeople(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// sameJSON fails unless got is what encoding/json makes of want, and reads as want
// again.
func sameJSON[T any](t *rapid.T, want T, got []byte) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(b.String(), string(got)); diff != "" {
		t.Fatalf("encoding/json (-), appended (+):\n%s", diff)
	}
	dec := json.NewDecoder(bytes.NewReader(got))
	dec.DisallowUnknownFields()
	var back T
	if err := dec.Decode(&back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, back, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("does not read as it was written:\n%s", diff)
	}
}

// FuzzString: any bytes at all are encoded as encoding/json does it.
func FuzzString(f *testing.F) {
	for _, s := range []string{"", "plain", "\"\\/", "\b\f\n\r\t\x00\x1f\x7f", "<&>", "é✓😀", "\u2028\u2029", "\xff\xc3", "\ufffd"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(s); err != nil {
			t.Fatal(err)
		}
		if got, want := string(appendString(nil, s)), string(bytes.TrimSuffix(b.Bytes(), []byte("\n"))); got != want {
			t.Errorf("%q is %s, want %s", s, got, want)
		}
	})
}

// Of two problems with nothing in common each says only its own.
func TestProblemsSayOnlyWhatBelongsToThem(t *testing.T) {
	members := func(err error) []string {
		b, _ := json.Marshal(problem.Of(err, time.Now()).Problem)
		var m map[string]any
		if err := json.Unmarshal(b, &m); err != nil {
			t.Fatal(err)
		}
		for _, always := range []string{"type", "title", "status", "detail", "code", "request_id"} {
			if _, ok := m[always]; !ok {
				t.Errorf("%v has no %s", err, always)
			}
			delete(m, always)
		}
		var rest []string
		for k := range maps.Keys(m) {
			rest = append(rest, k)
		}
		return rest
	}
	for _, test := range []struct {
		err  error
		want []string
	}{
		{lock.ErrNotHeld, nil},
		{&input.Error{Field: "ttl", Problem: "p", Want: "w"}, []string{"field", "problem", "want"}},
		{&lock.HeldError{}, []string{"position", "waiters", "waited_ms", "retry_after_ms"}},
		{lock.ErrDraining, []string{"retry_after_ms"}},
	} {
		if diff := cmp.Diff(test.want, members(test.err), cmpopts.SortSlices(func(a, b string) bool { return a < b }), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%v:\n%s", test.err, diff)
		}
	}
}
