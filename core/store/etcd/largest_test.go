package etcd

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/storetest"
)

// The store never splits a batch, so the largest one that a table makes must fit: full of texts
// that take twice their length in the journal, and stand in the rows once more.
func TestEtcdCommitOfTheLargestBatch(t *testing.T) {
	k := newTerms(t)
	r := k.take()
	m := lock.NewMachine(lock.Rules{}, storetest.Load(t, r), time.Now())
	var all []*lock.Command
	for i := range 2 * batchEvents {
		all = append(all, largestAcquire(i))
	}
	m.Feed(time.Now(), nil, all)
	for _, more := m.Next(); more; _, more = m.Next() {
		m.Step(false)
	}
	b := &lock.Batch{Events: m.Events(), Rows: m.Rows(nil)}
	record.Seal(b, r.key)
	t.Logf("%d of %d acquires are in the batch, with %d bytes of lines", len(b.Events), len(all), len(b.Segment.Bytes))
	if len(b.Events) == len(all) {
		t.Error("it is not the largest batch")
	}
	if err := r.Commit(t.Context(), b); err != nil {
		t.Errorf("commit = %v", err)
	}
}

// largestAcquire returns an acquire with the longest texts there may be.
func largestAcquire(n int) *lock.Command {
	quotes := func(n int) string { return strings.Repeat(`"`, n) }
	metadata := map[string]string{}
	for i := range lock.MaxMetadata {
		metadata[fmt.Sprintf("%0*d", lock.MaxMetaKey, i)] = quotes(lock.MaxMetaValue)
	}
	by := lock.Origin{Actor: lock.Actor{Account: "a"}}
	c := &lock.Command{Verb: lock.DoAcquire, Name: lock.Name(fmt.Sprintf("%0*d", lock.MaxName, n)), At: time.Now(), Origin: by}
	c.Acquire = &lock.Acquisition{
		Origin: by, Name: c.Name, Holder: quotes(lock.MaxHolder), Reason: quotes(lock.MaxReason), Metadata: metadata, TTL: time.Minute,
	}
	return c
}
