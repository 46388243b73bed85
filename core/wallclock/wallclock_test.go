package wallclock

import (
	"testing"
	"time"
)

// A clock that jumps ahead by more than is kept is doubted for a while, at a start as
// later. One that goes on, goes back, or was off for less is not.
func TestClockThatJumpsAheadIsDoubted(t *testing.T) {
	const age = 30 * 24 * time.Hour
	noon := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	c := Clock{shown: noon, checked: noon}
	for _, step := range []struct {
		name   string
		passed time.Duration // truly
		jumped time.Duration
		doubt  bool
	}{
		{"a second", time.Second, 0, false},
		{"long, in truth", 10 * age, 0, false},
		{"a little ahead", time.Second, age - time.Second, false},
		{"far ahead", time.Second, age, true},
		{"back again", time.Second, -2 * age, false},
		{"very far ahead", time.Second, 100 * age, true},
	} {
		// Without a second clock in these instants, what jumped is put into what was shown.
		now := c.checked.Add(step.passed)
		c.shown = c.checked.Add(-step.jumped)
		if _, doubted := c.Check(now, age); doubted != step.doubt {
			t.Errorf("%s: doubted %t", step.name, doubted)
		}
		if got := c.Doubted(now.Add(59 * time.Minute)); got != step.doubt && step.doubt {
			t.Errorf("%s: doubted for less than an hour", step.name)
		}
		if c.Doubted(now.Add(time.Hour)) {
			t.Errorf("%s: doubted for longer than an hour", step.name)
		}
	}
	if _, doubted := c.Check(c.checked.Add(-age), 0); doubted {
		t.Error("doubted although nothing is pruned for its age")
	}
}
