package client

import (
	"context"
	"errors"
	"time"
)

// look is how often the clock is looked at: timers do not count the time for which the machine is
// suspended.
const look = time.Second

// confirm renews a lease for the first time, and then keeps it. It fails if that cannot be done
// while there is time.
func (l *Lease) confirm(ctx context.Context) error {
	reserve := l.Left() / 6
	for failures := 0; ; failures++ {
		err := l.renew(ctx)
		if err == nil {
			break
		}
		d := backoff(failures)
		if errors.Is(err, ErrNotHeld) || !waitedOut(err) || l.Left()-reserve <= d || !pause(ctx, d) {
			return err
		}
	}
	if ttl := l.span(); !hasRoom(ttl, l.margin) {
		return &ShortTTLError{Name: l.name, TTL: ttl, Margin: l.margin}
	}
	l.o.Renewed()
	go (&keeping{l: l, renewals: make(chan error, 1), next: l.due()}).run()
	return nil
}

// renew sends one renewal, which may take only a part of the time that is left.
func (l *Lease) renew(ctx context.Context) error {
	const least, most = 100 * time.Millisecond, 10 * time.Second
	patience := max(least, min(l.span()/6, l.Left()/3, most))
	sent := l.c.now()
	g, err := l.c.renew(ctx, l.name, l.ID(), 0, &sending{most: patience})
	if err != nil {
		return err
	}
	l.take(sent, l.c.now()-sent, g)
	return nil
}

// keeping is the work of the goroutine that renews a lease.
type keeping struct {
	l        *Lease
	renewals chan error // the outcome of the renewal that is under way
	underWay bool
	next     time.Duration // when to renew
	failures int           // one after another
	err      error         // of the last renewal
}

// run renews the lease until its context ends, and ends that if it cannot be kept.
func (k *keeping) run() {
	defer close(k.l.ended)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for !k.lost() && k.l.ctx.Err() == nil {
		if !k.underWay && k.l.c.now() >= k.next {
			k.underWay = true
			go k.renew()
		}
		timer.Reset(k.rest())
		select {
		case err := <-k.renewals:
			k.underWay = false
			k.judge(err)
		case <-timer.C:
		case <-k.l.ctx.Done():
		}
	}
	if k.underWay {
		<-k.renewals // the context has ended it
	}
}

// renew renews the lease once, and tells. If a callback hangs, no more renewals are sent, but run
// still ends the context in time.
func (k *keeping) renew() {
	err := k.l.renew(k.l.ctx)
	switch {
	case errors.Is(err, ErrNotHeld) || k.l.ctx.Err() != nil: // the context tells of the end
	case err != nil:
		k.l.o.RenewFailed(err)
	default:
		k.l.o.Renewed()
	}
	k.renewals <- err
}

// rest is how long there is nothing to do but to wait for an answer.
func (k *keeping) rest() time.Duration {
	d := min(look, k.l.spare())
	if !k.underWay {
		d = min(d, k.next-k.l.c.now())
	}
	return d
}

// lost ends the context of the lease if it is over, or cannot be kept.
func (k *keeping) lost() bool {
	if !errors.Is(k.err, ErrNotHeld) && k.l.spare() > 0 {
		return false
	}
	err := k.err
	if err == nil {
		err = errNotRenewed
	}
	k.l.cancel(&LostError{Name: k.l.name, Err: err})
	return true
}

var errNotRenewed = errors.New("it was not renewed in time; the process, the machine or a callback may have stood still")

// judge looks at the outcome of a renewal. Whatever is not a success is retried while there is
// time, but for the word that the lease is over: a token may be mended, and a proxy, too.
func (k *keeping) judge(err error) {
	k.err = err
	switch {
	case errors.Is(err, ErrNotHeld) || k.l.ctx.Err() != nil:
		return // see run
	case err != nil:
		k.next = k.l.c.now() + backoff(k.failures)
		k.failures++
		return
	}
	k.failures = 0
	k.next = k.l.due()
}
