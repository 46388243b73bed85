package etcd

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/etcd/internal/lease"
)

var (
	_ journal.Store = (*records)(nil)
	_ auth.Store    = (*records)(nil)
)

// hold is what the records of a table need of the term they are written in. It is set once.
type hold struct {
	kv      clientv3.KV
	prefix  string             // of all keys, with a slash at its end
	created int64              // create revision of own: the number of the term
	value   string             // of own, with its random part
	secret  []byte             // of lease ids
	key     ed25519.PrivateKey // signs the journal
	// deposed is told why the term is over: a guard has failed. It must not block.
	deposed func(cause error)
	space   *space
	counts  *counts
	log     *slog.Logger
}

// counts counts what became of requests to etcd. Any goroutine may use it.
type counts struct {
	roundTrips atomic.Uint64 // answered requests of the table
	retries    atomic.Uint64 // requests that were sent again
	unknown    atomic.Uint64 // writes given up with an unknown outcome
}

// records are the keys of a table, written for as long as a term lasts. One goroutine at a
// time calls Load and Commit; any goroutine may call the other methods.
type records struct {
	hold
	keys  keys
	sums  sums
	clock func() time.Duration // counts pauses, see lease.Now
	taken time.Duration        // on the clock: not before the end of the term before

	// Used by Load and Commit only.
	head     headValue
	headRev  int64 // ModRevision of the key head
	finished error // why nothing more is committed

	// For readers.
	loaded atomic.Bool
	newest atomic.Uint64             // sequence number of the head, once loaded
	total  atomic.Int64              // bytes of all segments ever written, once loaded
	began  lock.Seq                  // the head at Load: later segments are of this term; set before loaded
	cached atomic.Pointer[lock.Head] // the cut; nil: not read yet
	// pastBefore is what was stored about earlier terms when this one began; nil: not read yet.
	pastBefore atomic.Pointer[past]

	aside beside

	life context.Context // ends with end
	stop context.CancelFunc

	failOnce sync.Once
	failed   chan struct{}
}

// newRecords returns the records of a table whose term was just taken. It does no I/O.
func newRecords(h hold) *records {
	k := keys{h.prefix}
	r := &records{hold: h, keys: k, sums: newSums(h.secret, k), clock: lease.Now, taken: lease.Now(), failed: make(chan struct{})}
	r.aside.turn = make(chan struct{}, 1)
	r.life, r.stop = context.WithCancel(context.Background())
	return r
}

// end makes the calls that wait for etcd return, all but a commit.
func (r *records) end() { r.stop() }

// alive returns a context that ends with ctx or with the store.
func (r *records) alive(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(r.life, cancel)
	return ctx, func() { stop(); cancel() }
}

// Failed is closed when the table in etcd was seen to be written by something else than the
// holder of its term. The store commits nothing more then.
func (r *records) Failed() <-chan struct{} { return r.failed }

func (r *records) fail(err error) error {
	r.failOnce.Do(func() { close(r.failed) })
	return err
}

// errAnotherWriter says that the guard held and another head was found: a bug, or a person
// with etcdctl.
var errAnotherWriter = errors.New("something else than the holder of the term has written to the table")

// guard demands that the term goes on.
func (r *records) guard() []clientv3.Cmp {
	own := r.keys.own()
	return []clientv3.Cmp{
		clientv3.Compare(clientv3.CreateRevision(own), "=", r.created),
		clientv3.Compare(clientv3.Value(own), "=", r.value),
	}
}

// ours reports whether the range of the key own shows this term.
func (r *records) ours(own *clientv3.GetResponse) bool {
	return len(own.Kvs) == 1 && own.Kvs[0].CreateRevision == r.created && string(own.Kvs[0].Value) == r.value
}

// depose ends the term, since a guard has failed.
func (r *records) depose(doing string) error {
	r.deposed(fmt.Errorf("%s: the term has ended", doing))
	return lock.ErrDeposed
}
