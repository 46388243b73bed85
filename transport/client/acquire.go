package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/octostore/octostore/transport/api"
)

// AcquireOptions say how to acquire a lock, and how to keep it. The zero value does not wait.
type AcquireOptions struct {
	TTL    time.Duration // how long the lease outlives its holder; 0: 60 s. It is renewed.
	Wait   time.Duration // how long to wait in the queue, outages included; 0: do not wait; negative: until ctx ends
	Holder string        // who it is for, for people; may be empty
	Reason string        // for people; may be empty
	// Metadata of the lease: at most 16 values of at most 512 bytes. All texts of a request are sent
	// as a form of at most 16 KiB, in which a byte that is no ASCII letter or digit may take three.
	// More is refused with [ErrTooLarge].
	Metadata map[string]string
	Confirm  time.Duration // how long the lease runs before its first renewal; 0: 15 s; at most TTL
	// Key is the idempotency key of the attempt: another process that uses the same one, with the
	// same options, gets the same lease. Empty: a fresh random one.
	Key    string
	Slice  time.Duration // the longest time that one request waits, below the read timeouts of proxies; 0: 25 s
	Margin time.Duration // how long before the safe end of the lease its Context ends; 0: a sixth of the ttl, at most 5 s

	// Waiting is called after each answer or failure that is waited out, never by two goroutines
	// at a time: about 250 ms, 1 s, 5 s and 21 s after the beginning, then after each slice, and
	// after each failure. It should return soon.
	Waiting func(Waiting)
	// Renewed is called after each renewal of the lease, the first included, never by two
	// goroutines at a time. It should return soon: there is no further renewal before.
	Renewed func()
	// RenewFailed is called after each renewal that failed and is tried again, never while Renewed
	// runs. It should return soon, too.
	RenewFailed func(error)
}

// Waiting is the state of an Acquire that waits.
type Waiting struct {
	Err     error            // the answer or failure that is waited out: an [*Error] or an [*UnreachableError]
	Held    *api.HeldProblem // the holder of the lock and the place in its queue; nil: the answer does not say
	RetryIn time.Duration    // when the next request is sent; 0: at once, or it is under way
	Waited  time.Duration    // since the call of Acquire
}

const (
	defaultTTL     = 60 * time.Second
	defaultConfirm = 15 * time.Second
	defaultSlice   = 25 * time.Second
	longestMargin  = 5 * time.Second
)

// withDefaults returns complete options, or what is wrong with them.
func (o AcquireOptions) withDefaults() (AcquireOptions, error) {
	o.TTL = cmp.Or(o.TTL, defaultTTL)
	o.Confirm = min(cmp.Or(o.Confirm, defaultConfirm), o.TTL)
	o.Slice = cmp.Or(o.Slice, defaultSlice)
	o.Key = cmp.Or(o.Key, newKey())
	for what, d := range map[string]time.Duration{"ttl": o.TTL, "confirm time": o.Confirm, "slice": o.Slice, "margin": o.Margin} {
		if d < 0 {
			return o, &OptionError{fmt.Sprintf("the %s is negative: %s", what, d)}
		}
	}
	if !isKey(o.Key) {
		return o, &OptionError{"an idempotency key has 16 to 128 visible ASCII characters"}
	}
	if !hasRoom(o.TTL, o.Margin) {
		return o, &OptionError{fmt.Sprintf(
			"a ttl of %s leaves no room for a margin of %s; the margin must be below two thirds of the ttl", o.TTL, o.Margin,
		)}
	}
	if o.Renewed == nil {
		o.Renewed = func() {}
	}
	if o.RenewFailed == nil {
		o.RenewFailed = func(error) {}
	}
	return o, nil
}

// isKey reports whether the server accepts an idempotency key.
func isKey(key string) bool {
	const least, most = 16, 128
	return least <= len(key) && len(key) <= most && !strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' })
}

// hasRoom reports whether a lease can be renewed, at a third of its ttl, before the margin begins.
func hasRoom(ttl, margin time.Duration) bool { return margin < ttl-ttl/3 }

// Acquire acquires a lock, and waits for it if the options say so. The lease is renewed before
// Acquire returns, so that it has been proven twice that the server and this client understand
// each other, and then renews itself until [Lease.Release]. ctx is for Acquire only.
//
// While it waits, its place in the queue is kept: over cut connections, for up to 10 s without a
// connection, and a request that waits is followed by the next before it ends. A restart of the
// server loses the places of all. All requests of an attempt carry the same idempotency key, so
// repeating them is safe. Waited out are: a lock that is held, a server that does not answer, is
// stopping, has a full disk or a policy that could not answer, limits (429), and the failures of
// proxies; Retry-After is obeyed. Other refusals are returned at once, and an [*OptionError] before
// anything is sent.
//
// When the wait is over, the error is the last answer: errors.Is(err, [ErrHeld]) if another client
// has the lock, else an [*Error] of a server or proxy that fails, or an [*UnreachableError]. When
// ctx ends, errors.Is(err, context.Cause(ctx)), and the last answer is found in err too. Acquire
// may take a few seconds longer than the wait: before it returns an error, it makes sure that it
// leaves no lease, and no client that waits, as far as the server can be reached. Its place in the
// queue is passed over from then on, and shown as away for ten seconds. What cannot be given back
// ends by itself: after the confirm time, or after the ttl if the first renewal has arrived and
// only its answer was lost.
func (c *Client) Acquire(ctx context.Context, name string, o AcquireOptions) (*Lease, error) {
	q, err := c.newQueueing(name, o)
	if err != nil {
		return nil, err
	}
	for failures := 0; ; failures++ {
		a, err := q.wait(ctx)
		if err != nil {
			return nil, err
		}
		l, err := q.confirm(ctx, a)
		if err == nil {
			return l, nil
		}
		if !waitedOut(err) || q.over() || q.ownKey || ctx.Err() != nil {
			return nil, q.giveBackUnconfirmed(ctx, a, err)
		}
		// The renewal may have arrived. Then the lease has its whole ttl, and the same key finds it
		// again. It is not released: a release that arrives late would end a lease that is in use.
		q.unsure = true
		d := min(backoff(failures), q.left())
		q.report(err, d)
		if !pause(ctx, d) {
			_, err := q.leave(ctx)
			return nil, err
		}
	}
}

// confirm renews a lease for the first time, which gives it its ttl.
func (q *queueing) confirm(ctx context.Context, a answer) (*Lease, error) {
	l := q.newLease(ctx, a)
	err := l.confirm(ctx)
	if err == nil {
		return l, nil
	}
	if short, is := errors.AsType[*ShortTTLError](err); is {
		return nil, short
	}
	return nil, fmt.Errorf("%s was granted, but the lease could not be renewed: %w", q.name, err)
}

// giveBackUnconfirmed releases a lease that could not be confirmed, and returns the error of
// Acquire.
func (q *queueing) giveBackUnconfirmed(ctx context.Context, a answer, err error) error {
	q.giveBack(ctx, a.grant.LeaseID)
	if _, short := errors.AsType[*ShortTTLError](err); !short && ctx.Err() != nil {
		return q.gaveUp(ctx)
	}
	return err
}
