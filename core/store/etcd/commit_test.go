package etcd

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/etcd/etcdtest"
	"github.com/octostore/octostore/core/store/storetest"
)

// etcd says that it has no space also about a transaction that it has applied: the quota was
// passed while it was on its way.
func TestEtcdCommitThatWasAppliedAlthoughThereIsNoSpace(t *testing.T) {
	k := newTerms(t)
	r := k.take()
	storetest.Load(t, r)
	var line storetest.Line
	held := storetest.Row("held", 1, time.Minute)
	k.wire.answer(rpctypes.ErrNoSpace, true)
	line.Commit(t, r, 1, held)
	if !r.Full() {
		t.Error("it does not say that etcd is full")
	}

	k.wire.answer(rpctypes.ErrNoSpace, false)
	if err := r.Commit(t.Context(), line.Batch(1, storetest.Free("held"))); !errors.Is(err, lock.ErrFull) {
		t.Errorf("a commit that was refused = %v, want ErrFull", err)
	}
	line.Commit(t, r, 1)

	k.wire.answer(rpctypes.ErrNoSpace, true)
	a := r.PutTokens(t.Context(), oneToken("a"))
	k.wire.answer(rpctypes.ErrNoSpace, false)
	b := r.PutTokens(t.Context(), oneToken("b"))
	if a != nil || !errors.Is(b, lock.ErrFull) {
		t.Errorf("a token that was written = %v; one that was refused = %v, want ErrFull", a, b)
	}
	storetest.CheckLeases(t, storetest.Load(t, k.take()), held)
}

// While an earlier copy may still come, a refusal for space decides nothing.
func TestEtcdCommitIsNotRefusedWhileACopyIsUnanswered(t *testing.T) {
	k := newTerms(t)
	r := k.take()
	storetest.Load(t, r)
	var line storetest.Line
	b := line.Batch(1, storetest.Row("held", 1, time.Minute))
	var late func()
	late = k.wire.hold(func() {
		k.wire.answers(2, rpctypes.ErrNoSpace, func(n int) {
			if n == 1 {
				late()
			}
		})
	})
	if err := r.Commit(t.Context(), b); err != nil {
		t.Errorf("the late copy was applied; the commit says %v", err)
	}
	line.Head = b.Next
	line.Commit(t, r, 1)
}

// A batch whose segment may have been pruned since is not called surely lost.
func TestEtcdCommitOfLongAgoHasAnUnknownOutcome(t *testing.T) {
	for _, test := range []struct {
		after time.Duration
		want  error
	}{{definiteFor - time.Minute, lock.ErrDeposed}, {definiteFor + time.Minute, lock.ErrOutcomeUnknown}} {
		k := newTerms(t)
		r := k.take()
		storetest.Load(t, r)
		k.wire.lose(false, func() {
			k.take()
			clock := r.clock
			r.clock = func() time.Duration { return clock() + test.after }
		})
		var line storetest.Line
		err := r.Commit(t.Context(), line.Batch(1))
		if !errors.Is(err, test.want) {
			t.Errorf("absent after %s: %v, want %v", test.after, err, test.want)
		}
		if again := r.Commit(t.Context(), line.Batch(1)); !errors.Is(again, test.want) {
			t.Errorf("the next commit = %v, want %v", again, test.want)
		}
	}
}

func TestEtcdCommitStopsWhenSomethingElseWrites(t *testing.T) {
	k := newTerms(t)
	r := k.take()
	storetest.Load(t, r)
	var line storetest.Line
	line.Commit(t, r, 1)
	if _, err := k.client.Put(t.Context(), r.keys.head(), "x"); err != nil {
		t.Fatal(err)
	}
	err := r.Commit(t.Context(), line.Batch(1))
	if !errors.Is(err, errAnotherWriter) || errors.Is(err, lock.ErrDeposed) || errors.Is(err, lock.ErrFull) {
		t.Errorf("got %v", err)
	}
	select {
	case <-r.Failed():
	default:
		t.Error("the store does not say that it has failed")
	}
	if again := r.Commit(t.Context(), line.Batch(1)); !errors.Is(again, errAnotherWriter) {
		t.Errorf("the next commit = %v", again)
	}
}

// own that was made again by a restored etcd may have the create revision of another.
func TestEtcdCommitDemandsTheRandomPartOfTheTerm(t *testing.T) {
	k := newTerms(t)
	r := k.take()
	storetest.Load(t, r)
	if _, err := k.client.Put(t.Context(), r.keys.own(), "another"); err != nil { // its create revision stays
		t.Fatal(err)
	}
	var line storetest.Line
	if err := r.Commit(t.Context(), line.Batch(1)); !errors.Is(err, lock.ErrDeposed) {
		t.Errorf("commit = %v, want ErrDeposed", err)
	}
	if err := r.PutTokens(t.Context(), oneToken("a")); !errors.Is(err, lock.ErrDeposed) {
		t.Errorf("write of a token = %v, want ErrDeposed", err)
	}
}

// A batch that etcd cannot take is refused, and the next one is not.
func TestEtcdCommitOfTooMuch(t *testing.T) {
	k := newTerms(t)
	r := k.take()
	storetest.Load(t, r)
	var line storetest.Line
	large := line.Batch(1)
	large.Segment.Bytes = append([]byte(strings.Repeat("x", mostBytes)), large.Segment.Bytes...)
	far := line.Batch(1)
	far.Segment.Last += mostSpan
	for what, b := range map[string]*lock.Batch{"bytes": large, "numbers": far} {
		if err := r.Commit(t.Context(), b); !errors.Is(err, lock.ErrFull) {
			t.Errorf("too many %s: %v, want ErrFull", what, err)
		}
	}
	k.wire.answer(rpctypes.ErrRequestTooLarge, false)
	if err := r.Commit(t.Context(), line.Batch(1)); !errors.Is(err, lock.ErrFull) {
		t.Errorf("a server with lower limits: %v, want ErrFull", err)
	}
	line.Commit(t, r, 1)
}

// A commit waits for an etcd that does not answer, and gives up when its context ends.
func TestEtcdCommitWithoutAnAnswer(t *testing.T) {
	proxy := etcdtest.NewProxy(t, etcdtest.Shared(t).Endpoints()[0])
	k := termsIn(t, []string{proxy.Endpoint()})
	r := k.take()
	storetest.Load(t, r)
	var line storetest.Line
	proxy.Lose()
	mends := time.AfterFunc(firstTime/2, proxy.Mend)
	defer mends.Stop()
	line.Commit(t, r, 1) // sent twice, and applied once
	if r.counts.retries.Load() == 0 {
		t.Error("the commit was not sent again")
	}

	proxy.Lose()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	err := r.Commit(ctx, line.Batch(1))
	if !errors.Is(err, lock.ErrOutcomeUnknown) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if took := time.Since(start); took > 10*graceTime {
		t.Errorf("it gave up after %s", took)
	}
	if r.counts.unknown.Load() != 1 {
		t.Errorf("%d unknown outcomes are counted, want 1", r.counts.unknown.Load())
	}
	tokens := make(chan error)
	go func() { tokens <- r.PutTokens(context.Background(), oneToken("a")) }()
	r.end()
	if err := <-tokens; err == nil {
		t.Error("a token was written without an answer")
	}
	direct := newTerms(t)
	direct.prefix, direct.count = k.prefix, k.count
	snap := storetest.Load(t, direct.take())
	if snap.Head.Seq < line.Head.Seq || snap.Head.Seq > line.Head.Seq+1 {
		t.Errorf("the head is %d, want %d, or one more of an unknown outcome", snap.Head.Seq, line.Head.Seq)
	}
}

func TestEtcdFateOfErrors(t *testing.T) {
	for _, test := range []struct {
		err  error
		want fate
	}{
		{nil, answered},
		{context.DeadlineExceeded, unknown},
		{context.Canceled, unknown},
		{errors.New("connection reset"), unknown},
		{rpctypes.ErrTimeout, unknown},
		{rpctypes.ErrTimeoutDueToLeaderFail, unknown},
		{rpctypes.ErrLeaderChanged, unknown},
		{rpctypes.ErrStopped, unknown},
		{rpctypes.ErrNoSpace, noSpace},
		{rpctypes.ErrNoLeader, refused},
		{rpctypes.ErrTooManyRequests, refused},
		{rpctypes.ErrPermissionDenied, refused},
		{rpctypes.ErrRequestTooLarge, impossible},
		{rpctypes.ErrTooManyOps, impossible},
	} {
		if got := fateOf(test.err); got != test.want {
			t.Errorf("%v: %d, want %d", test.err, got, test.want)
		}
	}
}

// Operations of any number are sent within what etcd allows, in their order.
func TestEtcdNestedOperations(t *testing.T) {
	for _, n := range []int{1, flatOps, flatOps + 1, 500, mostOps} {
		var ops []clientv3.Op
		for i := range n {
			ops = append(ops, clientv3.OpDelete(string(rune(i+1))))
		}
		outer := nested(ops)
		var flat []string
		for _, op := range outer {
			inner := []clientv3.Op{op}
			if op.IsTxn() {
				_, inner, _ = op.Txn()
			}
			if len(outer)+len(inner) > 128 && len(inner) > 1 {
				t.Errorf("%d operations: %d of %d", n, len(outer), len(inner))
			}
			for _, o := range inner {
				flat = append(flat, string(o.KeyBytes()))
			}
		}
		want := make([]string, n)
		for i, op := range ops {
			want[i] = string(op.KeyBytes())
		}
		if !slices.Equal(flat, want) {
			t.Errorf("%d operations came out as %d others", n, len(flat))
		}
	}
}
