// Package lease holds a lease of etcd and knows until when it certainly lasts.
package lease

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/octostore/octostore/core/sleep"
)

// Margin is what a lease is trusted less than etcd grants: room for clocks that do not run
// alike, and for what happens between a look at the clock and what it decides.
const Margin = 500 * time.Millisecond

// Shortest is the shortest time of a lease: etcd grants nothing shorter.
const Shortest = 2 * time.Second

// Reasons for which a lease is over.
var (
	// ErrEnded says that etcd no longer has the lease.
	ErrEnded = errors.New("etcd has ended the lease")
	// ErrSilent says that etcd was not heard of in time.
	ErrSilent = errors.New("etcd did not confirm the lease in time")
)

// Lease is a lease that this process keeps alive until it is over. Any goroutine may use it.
type Lease struct {
	client *clientv3.Client
	id     clientv3.LeaseID
	ttl    time.Duration // as granted

	until atomic.Int64 // on the clock of [Now]
	over  atomic.Bool  // never false again
	once  sync.Once
	cause error // set before lost is closed
	lost  chan struct{}

	stop context.CancelFunc
	done sync.WaitGroup
}

// Grant asks etcd for a lease, once, and keeps it alive. The caller ends it with [Lease.End].
func Grant(ctx context.Context, client *clientv3.Client, ttl time.Duration) (*Lease, error) {
	sent := Now()
	granted, err := client.Grant(clientv3.WithRequireLeader(ctx), int64(ttl/time.Second))
	if err != nil {
		return nil, fmt.Errorf("ask etcd for a lease: %w", err)
	}
	l := &Lease{client: client, id: granted.ID, ttl: time.Duration(granted.TTL) * time.Second, lost: make(chan struct{})}
	l.until.Store(int64(sent + l.ttl - Margin))
	life, stop := context.WithCancel(context.Background())
	l.stop = stop
	l.done.Go(func() { l.keep(life, sent) })
	return l, nil
}

// ID returns etcd's number of the lease.
func (l *Lease) ID() clientv3.LeaseID { return l.id }

// Valid reports whether etcd certainly has the lease still. Once false it stays false.
func (l *Lease) Valid() bool {
	if l.over.Load() {
		return false
	}
	if int64(Now()) < l.until.Load() {
		return true
	}
	l.End(ErrSilent)
	return false
}

// ValidFor returns for how long Valid stays true if etcd is not heard of again. It is not
// positive if the lease is over.
func (l *Lease) ValidFor() time.Duration {
	left := time.Duration(l.until.Load()) - Now()
	if !l.Valid() {
		return min(left, 0)
	}
	return left
}

// Until returns until when the lease was valid when etcd was last heard of, on the clock of
// [Now].
func (l *Lease) Until() time.Duration { return time.Duration(l.until.Load()) }

// Lost returns a channel that is closed when the lease is over or may be.
func (l *Lease) Lost() <-chan struct{} { return l.lost }

// Cause returns why the lease is over, nil if it is not.
func (l *Lease) Cause() error {
	select {
	case <-l.lost:
		return l.cause
	default:
		return nil
	}
}

// End makes the lease count as over at once. It is never kept alive again. No-op if it is over.
func (l *Lease) End(cause error) {
	l.once.Do(func() {
		l.over.Store(true)
		l.cause = cause
		close(l.lost)
		l.stop()
	})
}

// Revoke ends the lease, and waits until etcd has deleted its keys or never had it.
func (l *Lease) Revoke(ctx context.Context, cause error) error {
	l.End(cause)
	l.done.Wait()
	return Revoke(ctx, l.client, l.id)
}

// keep keeps the lease alive until it is over.
func (l *Lease) keep(ctx context.Context, sent time.Duration) {
	for sleep.For(ctx, sent+l.ttl/5-Now()) == nil {
		sent = l.renew(ctx)
	}
}

// renew asks until etcd has answered, and returns when the answered request was sent. It may
// also return because ctx has ended.
func (l *Lease) renew(ctx context.Context) (sent time.Duration) {
	for ctx.Err() == nil && l.Valid() {
		sent = Now()
		ttl, err := l.ask(ctx)
		switch {
		case err == nil && ttl > 0:
			l.extend(sent + ttl - Margin)
			return sent
		case err == nil:
			l.End(ErrEnded)
		default:
			_ = sleep.For(ctx, min(l.ttl/50, l.ValidFor())) // the loop looks at ctx
		}
	}
	return sent
}

// extend moves the end of the lease, unless it is over already.
func (l *Lease) extend(until time.Duration) {
	if l.Valid() && int64(until) > l.until.Load() {
		l.until.Store(int64(until))
	}
}

// ask sends one request to keep the lease alive. The time in its answer is zero if etcd does
// not have the lease. The client's own call would repeat a request without a pause.
func (l *Lease) ask(ctx context.Context) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, min(l.ttl/5, l.ValidFor()))
	defer cancel() // ends the stream
	stream, err := etcdserverpb.NewLeaseClient(l.client.ActiveConnection()).LeaseKeepAlive(clientv3.WithRequireLeader(ctx))
	if err != nil {
		return 0, err
	}
	if err := stream.Send(&etcdserverpb.LeaseKeepAliveRequest{ID: int64(l.id)}); err != nil {
		return 0, err
	}
	answer, err := stream.Recv()
	if err != nil {
		return 0, err
	}
	return time.Duration(answer.TTL) * time.Second, nil
}
