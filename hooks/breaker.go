package hooks

import (
	"context"
	"fmt"
	"github.com/octostore/octostore/hooks/internal/guest"
	"github.com/octostore/octostore/hooks/internal/manifest"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Breaker of a policy.
const (
	// failuresToOpen is the number of failures in a row that opens the breaker.
	failuresToOpen = 5
	// The first pause without calls, which doubles with each probe that fails, and the
	// longest.
	firstPause   = 100 * time.Millisecond
	longestPause = 30 * time.Second
)

// breaker is a circuit breaker: after failuresToOpen failures in a row it opens, and on_error answers
// requests at once, without a call. When its pause is over it lets one call through, the probe: an
// answer closes it, a failure doubles the pause. The zero value is closed and ready for use by many
// goroutines.
type breaker struct {
	// wary is true after a failure, until the next answer. A call of a healthy policy reads nothing
	// else.
	wary atomic.Bool

	opened atomic.Uint64 // times

	mu       sync.Mutex // held for moments only
	failures int        // in a row, while it is closed
	open     bool
	since    time.Time // when it opened
	until    time.Time // end of the pause
	pause    time.Duration
	probing  bool         // a probe is under way
	refused  uint64       // requests without a call since it opened
	last     *guest.Fault // the newest failure
}

// enter reports whether the policy may be called: a fault says why not. A caller that gets probe calls
// leave after its call.
func (b *breaker) enter() (probe bool, _ *guest.Fault) {
	if !b.wary.Load() {
		return false, nil
	}
	return b.admit(time.Now())
}

// admit is enter, for a policy that has failed.
func (b *breaker) admit(now time.Time) (probe bool, _ *guest.Fault) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case !b.open:
		return false, nil
	case b.probing || now.Before(b.until):
		b.refused++
		return false, b.fault(now)
	}
	b.probing = true
	return true, nil
}

// leave ends a probe. If there was no guest slot or no instance for it, the next request probes.
func (b *breaker) leave() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probing = false
}

// fault is the answer of an open breaker. It is called under mu.
func (b *breaker) fault(now time.Time) *guest.Fault {
	until := "until a call that probes it is answered"
	if left := b.until.Sub(now); left > 0 {
		until = "for " + left.Round(time.Millisecond).String()
	}
	return &guest.Fault{Kind: breakerOpen, Err: fmt.Errorf("it is not called %s after failures in a row, the last: %w", until, b.last)}
}

// opensMeanwhile is enter for a request that was let in and then waited for a guest slot.
func (b *breaker) opensMeanwhile() *guest.Fault {
	if !b.wary.Load() {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.open {
		return nil
	}
	b.refused++
	return b.fault(time.Now())
}

// peek returns the fault that enter would, and counts nothing.
func (b *breaker) peek() *guest.Fault {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now := time.Now(); b.open && (b.probing || now.Before(b.until)) {
		return b.fault(now)
	}
	return nil
}

// transition is the effect of an answer or a failure on a breaker.
type transition int

const (
	unchanged transition = iota
	opens
	closes
)

// answered counts an answer.
func (b *breaker) answered(probe bool) (_ transition, open time.Duration, refused uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open && !probe { // it began before the breaker opened
		return unchanged, 0, 0
	}
	was := b.open
	b.failures, b.open, b.last = 0, false, nil
	b.wary.Store(false)
	if !was {
		return unchanged, 0, 0
	}
	return closes, time.Since(b.since), b.refused
}

// failed counts a failure. While the breaker is open only that of a probe counts.
func (b *breaker) failed(probe bool, f *guest.Fault) transition {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wary.Store(true)
	now := time.Now()
	switch {
	case b.open && !probe:
		return unchanged
	case b.open:
		b.last = f
		b.pause = min(2*b.pause, longestPause)
		b.until = now.Add(b.pause)
		return unchanged
	}
	b.last = f
	if b.failures++; b.failures < failuresToOpen {
		return unchanged
	}
	b.open, b.pause, b.since, b.refused = true, firstPause, now, 0
	b.until = now.Add(b.pause)
	b.opened.Add(1)
	return opens
}

// failedInBackground counts a background start that failed. It counts as the probe if one is due: a
// policy that does not start is as broken as one that does not answer.
func (b *breaker) failedInBackground(f *guest.Fault) transition {
	b.mu.Lock()
	probe := b.open && !b.probing && !time.Now().Before(b.until)
	b.mu.Unlock()
	return b.failed(probe, f)
}

// isOpen reports whether requests are answered without a call. After its pause the breaker stays open
// until a probe was answered.
func (b *breaker) isOpen() bool {
	if !b.wary.Load() {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open
}

// settle gives the breaker the result of a call, and logs when it opens or closes.
func (p *policy) settle(probe bool, f *guest.Fault) {
	if f != nil || p.breaker.wary.Load() {
		p.settleFailing(probe, f)
	}
}

func (p *policy) settleFailing(probe bool, f *guest.Fault) {
	switch {
	case f == nil:
		if t, open, refused := p.breaker.answered(probe); t == closes {
			p.log.Info("the policy answers again: its breaker is closed", slog.Duration("open", open), slog.Uint64("not_called", refused))
		}
	case f.Kind != busy && f.Kind != starting:
		p.opened(p.breaker.failed(probe, f), f)
	}
}

// opened logs that the breaker has opened, if it has.
func (p *policy) opened(t transition, f *guest.Fault) {
	if t == opens {
		level := slog.LevelError
		if p.Mode == manifest.Shadow {
			level = slog.LevelWarn
		}
		p.log.Log(context.Background(), level, "the policy keeps failing: its breaker is open", slog.Int("failures", failuresToOpen),
			slog.String("on_error", string(p.OnError)), slog.String("mode", string(p.Mode)), slog.String("kind", f.Kind), slog.Any("err", f.Err))
	}
}
