// Package wallclock notices jumps of the system clock. What is deleted for its age does not
// come back when a wrong clock is corrected, so its deletion waits after a jump.
package wallclock

import "time"

// Clock compares the wall clock with the monotonic clock. It is for one goroutine. Make one
// with [New].
type Clock struct {
	shown   time.Time // wall clock at the last check
	checked time.Time // monotonic clock at the last check
	trusted time.Time // until then the wall clock is not trusted
}

// doubtFor is how long a clock that jumped is not trusted, if things are kept that long.
const doubtFor = time.Hour

// New begins with the newest known time, zero if there is none.
func New(newest time.Time) Clock {
	now := time.Now()
	if newest.IsZero() {
		newest = now
	}
	return Clock{shown: newest.Round(0), checked: now}
}

// Check returns how far the clock has jumped ahead since the last check. A jump of age or
// more makes the clock doubted; with age 0 none does.
func (c *Clock) Check(now time.Time, age time.Duration) (ahead time.Duration, doubted bool) {
	ahead = now.Round(0).Sub(c.shown) - now.Sub(c.checked)
	c.shown, c.checked = now.Round(0), now
	if age == 0 || ahead < age {
		return ahead, false
	}
	c.trusted = now.Add(min(doubtFor, age))
	return ahead, true
}

// Doubted reports whether the clock has jumped ahead so recently that it may be wrong.
func (c *Clock) Doubted(now time.Time) bool { return now.Before(c.trusted) }

// TrustedFrom is the end of the doubt; zero if there was none.
func (c *Clock) TrustedFrom() time.Time { return c.trusted }
