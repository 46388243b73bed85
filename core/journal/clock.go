package journal

import "time"

// wallClock notices jumps of the system clock. A clock that is far ahead makes every
// record look too old at once, and pruned records do not come back when the clock is
// corrected.
type wallClock struct {
	shown   time.Time // wall clock at the last check
	checked time.Time // monotonic clock at the last check
	trusted time.Time // until then the wall clock is not trusted
}

// doubtFor is how long a clock that jumped is not trusted, if records are kept that long.
const doubtFor = time.Hour

// newWallClock begins with the newest known time, zero if there is none.
func newWallClock(shown time.Time) wallClock {
	now := time.Now()
	if shown.IsZero() {
		shown = now
	}
	return wallClock{shown: shown.Round(0), checked: now}
}

// check returns how far the clock has jumped ahead since the last check. A jump of age or
// more makes the clock doubted.
func (c *wallClock) check(now time.Time, age time.Duration) (ahead time.Duration, doubted bool) {
	ahead = now.Round(0).Sub(c.shown) - now.Sub(c.checked)
	c.shown, c.checked = now.Round(0), now
	if age == 0 || ahead < age {
		return ahead, false
	}
	c.trusted = now.Add(min(doubtFor, age))
	return ahead, true
}

func (c *wallClock) doubted(now time.Time) bool { return now.Before(c.trusted) }

// checkClock logs a jump of the clock that would have every record pruned.
func (k *Keeper) checkClock() {
	now := time.Now()
	if ahead, doubted := k.clock.check(now, k.cfg.Age); doubted {
		k.cfg.Logger.Warn(
			"the clock is ahead of the newest record by more than the journal is kept: nothing is pruned for its age for a while; if the clock is wrong, set it right before",
			"ahead", ahead.Round(time.Second),
			"until", k.clock.trusted.Format(time.RFC3339),
		)
	}
}
