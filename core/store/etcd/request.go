package etcd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/octostore/octostore/core/sleep"
)

// Times of a request. When a member does not answer in time, the client asks the next one:
// first soon, since only that member may be paused or cut off, then more slowly.
const (
	firstTime  = 700 * time.Millisecond
	answerTime = 2 * time.Second
	graceTime  = time.Second      // for a write under way whose context ends
	readTime   = 15 * time.Second // for a read, all its attempts together
	firstPause = 20 * time.Millisecond
	mostPause  = 500 * time.Millisecond
)

// fate is what an error says about a transaction.
type fate int

const (
	answered fate = iota
	// unknown: it may have been applied, or may be later.
	unknown
	// refused: this copy of it was not applied and will not be. Another one may be.
	refused
	// impossible: refused, and so would any other copy be.
	impossible
	// noSpace: it was applied or not, and an answer to a read tells: etcd also says so about
	// a transaction that it applies while its quota is passed.
	noSpace
)

func fateOf(err error) fate {
	switch {
	case err == nil:
		return answered
	case errors.Is(err, rpctypes.ErrNoSpace):
		return noSpace
	case isAny(err, rpctypes.ErrRequestTooLarge, rpctypes.ErrTooManyOps, rpctypes.ErrDuplicateKey, rpctypes.ErrEmptyKey):
		return impossible
	case status.Code(err) == codes.ResourceExhausted && !errors.Is(err, rpctypes.ErrTooManyRequests):
		return impossible // larger than a message may be
	case isAny(err, rpctypes.ErrTooManyRequests, rpctypes.ErrNoLeader, rpctypes.ErrPermissionDenied, rpctypes.ErrAuthFailed,
		rpctypes.ErrUserEmpty, rpctypes.ErrInvalidAuthToken, rpctypes.ErrAuthOldRevision):
		return refused
	}
	return unknown
}

func isAny(err error, targets ...error) bool {
	for _, t := range targets {
		if errors.Is(err, t) {
			return true
		}
	}
	return false
}

// try sends an operation once, and waits for at most so long. A write that was sent gets some
// time for its answer, also after ctx has ended.
func (r *records) try(ctx context.Context, op clientv3.Op, most, grace time.Duration) (clientv3.OpResponse, error) {
	sent, cancel := context.WithTimeout(context.WithoutCancel(ctx), most)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(grace, cancel) })
	defer stop()
	answer, err := r.kv.Do(clientv3.WithRequireLeader(sent), op)
	if err == nil {
		r.counts.roundTrips.Add(1)
	}
	return answer, err
}

// pauses are the times between the attempts of one request.
type pauses struct{ next time.Duration }

// answer returns for how long the next attempt waits.
func (p *pauses) answer() time.Duration {
	if p.next == 0 {
		return firstTime
	}
	return answerTime
}

func (p *pauses) wait(ctx context.Context) error {
	p.next = min(max(2*p.next, firstPause), mostPause)
	return sleep.For(ctx, p.next)
}

// read sends an operation that changes nothing, or the same however often it is sent, until
// it is answered, ctx or the store ends, or too much time has passed. Its answer is
// linearizable.
func (r *records) read(ctx context.Context, op clientv3.Op) (clientv3.OpResponse, error) {
	ctx, cancel := r.alive(ctx)
	defer cancel()
	ctx, late := context.WithTimeout(ctx, readTime)
	defer late()
	var p pauses
	for {
		if err := ctx.Err(); err != nil {
			return clientv3.OpResponse{}, err
		}
		answer, err := r.try(ctx, op, p.answer(), 0)
		if err == nil || final(err) {
			return answer, err
		}
		if p.wait(ctx) != nil {
			return answer, fmt.Errorf("etcd does not answer: %w", err)
		}
		r.counts.retries.Add(1)
	}
}

// final reports whether asking again would give the same error.
func final(err error) bool {
	return isAny(err, rpctypes.ErrCompacted, rpctypes.ErrFutureRev,
		rpctypes.ErrPermissionDenied, rpctypes.ErrUserEmpty, rpctypes.ErrAuthFailed)
}

// get reads keys.
func (r *records) get(ctx context.Context, key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	answer, err := r.read(ctx, clientv3.OpGet(key, opts...))
	if err != nil {
		return nil, err
	}
	return answer.Get(), nil
}
