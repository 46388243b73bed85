package etcd

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/storetest"
)

// full makes etcd apply the next write, and answer that it has no space.
func (w *wire) full(meanwhile func()) {
	w.set(func(ctx context.Context, op clientv3.Op) (clientv3.OpResponse, error) {
		if _, err := w.KV.Do(ctx, op); err != nil {
			return clientv3.OpResponse{}, err
		}
		meanwhile()
		return clientv3.OpResponse{}, rpctypes.ErrNoSpace
	})
}

// deaf gets no answers to reads.
type deaf struct{ clientv3.KV }

func (d deaf) Do(ctx context.Context, op clientv3.Op) (clientv3.OpResponse, error) {
	if !isWrite(op) {
		return clientv3.OpResponse{}, context.DeadlineExceeded
	}
	return d.KV.Do(ctx, op)
}

// A batch that etcd applied when it had no space is not called lost, although its segment was
// pruned before the node looked for it.
func TestEtcdCommitThatWasAppliedAndPrunedIsNotCalledLost(t *testing.T) {
	k := newTerms(t)
	r := k.take()
	storetest.Load(t, r)
	var line storetest.Line
	b := line.Batch(1)
	k.wire.full(func() { // and the process is paused for an hour
		line.Head = b.Next
		next := k.take()
		storetest.Load(t, next)
		line.Commit(t, next, 1)
		for _, r := range []*records{r, next} {
			clock := r.clock
			r.clock = func() time.Duration { return clock() + oldTermsStay }
		}
		if err := next.Prune(t.Context(), b.Next); err != nil {
			t.Fatal(err)
		}
	})
	if err := r.Commit(t.Context(), b); !errors.Is(err, lock.ErrOutcomeUnknown) || errors.Is(err, lock.ErrDeposed) {
		t.Errorf("a batch that was applied: %v, want ErrOutcomeUnknown", err)
	}
}

// A write that may have been applied is not called lost, once its mark may have been overwritten.
func TestEtcdTokensThatMayBeWrittenAreNotCalledLost(t *testing.T) {
	for name, disturb := range map[string]func(*wire, func()){
		"no answer": func(w *wire, meanwhile func()) { w.lose(true, meanwhile) },
		"no space":  (*wire).full,
	} {
		k := newTerms(t)
		r := k.take()
		storetest.Load(t, r)
		disturb(k.wire, func() {
			next := k.take()
			storetest.Load(t, next)
			if err := next.PutTokens(t.Context(), oneToken("b")); err != nil {
				t.Fatal(err)
			}
		})
		if err := r.PutTokens(t.Context(), oneToken("a")); !errors.Is(err, lock.ErrOutcomeUnknown) {
			t.Errorf("%s: %v, want ErrOutcomeUnknown", name, err)
		}
	}
}

// A write that etcd applied when it had no space is not called lost, although nothing could be
// read after that.
func TestEtcdTokensThatAreGivenUpWithoutSpaceAreUnknown(t *testing.T) {
	k := newTerms(t)
	r := k.take()
	storetest.Load(t, r)
	if err := r.PutTokens(t.Context(), oneToken("b")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	k.wire.full(func() { r.kv = deaf{k.wire}; cancel() })
	if err := r.PutTokens(ctx, oneToken("a")); !errors.Is(err, lock.ErrOutcomeUnknown) {
		t.Errorf("%v, want ErrOutcomeUnknown", err)
	}
}

// A write whose copy may still come is not waited for while etcd has no space: that may last for
// days, and others could write nothing, and would not learn why.
func TestEtcdTokensDoNotWaitForSpace(t *testing.T) {
	k := newTerms(t)
	r := k.take()
	storetest.Load(t, r)
	life, end := context.WithCancel(t.Context())
	sent, done := make(chan struct{}), make(chan struct{})
	k.wire.lose(false, func() {
		k.wire.answers(1000, rpctypes.ErrNoSpace, func(int) {})
		close(sent)
	})
	go func() {
		defer close(done)
		r.keepAgingPast(life, time.Millisecond)
	}()
	<-sent
	ctx, cancel := context.WithTimeout(t.Context(), eventually)
	defer cancel()
	if err := r.PutTokens(ctx, oneToken("a")); !errors.Is(err, lock.ErrFull) {
		t.Errorf("%v, want ErrFull", err)
	}
	end()
	<-done
}

// What is written is made again when an older write turns out to be applied meanwhile. Else two
// revoked tokens, each pruned while the other was there, would leave a server without any: it
// would serve everybody.
func TestEtcdTokensArePrunedByWhatIsThere(t *testing.T) {
	k := newTerms(t)
	r := k.take()
	storetest.Load(t, r)
	if err := r.PutTokens(t.Context(), oneToken("a"), oneToken("b")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	late := k.wire.hold(cancel)
	if err := r.PruneTokens(ctx, []string{"a"}); !errors.Is(err, lock.ErrOutcomeUnknown) {
		t.Fatalf("a write without an answer: %v", err)
	}
	k.wire.set(func(ctx context.Context, op clientv3.Op) (clientv3.OpResponse, error) {
		late()
		return k.wire.KV.Do(ctx, op)
	})
	if err := r.PruneTokens(t.Context(), []string{"b"}); err != nil {
		t.Fatal(err)
	}
	left, err := r.Tokens(t.Context())
	if err != nil || len(left) != 1 || left[0].ID != "b" {
		t.Errorf("left: %v, %v; want the last token", ids(left), err)
	}
}

func ids(tokens []auth.Token) (all []string) {
	for i := range tokens {
		all = append(all, tokens[i].ID)
	}
	return all
}
