package journal

import "time"

// wallClock is what the clock of the machine has shown. A clock that goes wrong, or is
// wrong at a start, would make everything too old at once, and what is pruned does not
// come back when somebody sets it right.
type wallClock struct {
	shown   time.Time // at the newest look
	looked  time.Time // the newest look, by the clock that does not jump
	trusted time.Time // what it says is doubted before this
}

// doubtFor is how long a clock that jumped is doubted, unless less is kept than that.
const doubtFor = time.Hour

// newWallClock begins with what the clock showed last, zero if nobody knows.
func newWallClock(shown time.Time) wallClock {
	now := time.Now()
	if shown.IsZero() {
		shown = now
	}
	return wallClock{shown: shown.Round(0), looked: now}
}

// look returns how far the clock has jumped ahead since the look before, and doubts it if
// that is no less than age.
func (c *wallClock) look(now time.Time, age time.Duration) (ahead time.Duration, doubted bool) {
	ahead = now.Round(0).Sub(c.shown) - now.Sub(c.looked)
	c.shown, c.looked = now.Round(0), now
	if age == 0 || ahead < age {
		return ahead, false
	}
	c.trusted = now.Add(min(doubtFor, age))
	return ahead, true
}

func (c *wallClock) doubted(now time.Time) bool { return now.Before(c.trusted) }

// lookAtClock notices when the clock jumps so far ahead that all there is would be pruned.
func (k *Keeper) lookAtClock() {
	now := time.Now()
	if ahead, doubted := k.clock.look(now, k.cfg.Age); doubted {
		k.cfg.Logger.Warn("the clock is ahead of the newest record by more than the journal is kept: nothing is pruned for its age for a while; if the clock is wrong, set it right before",
			"ahead", ahead.Round(time.Second), "until", k.clock.trusted.Format(time.RFC3339))
	}
}
