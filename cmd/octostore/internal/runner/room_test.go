package runner

import (
	"testing"
	"time"
)

func TestRunRoomOfALease(t *testing.T) {
	for _, test := range []struct {
		ttl, killAfter time.Duration
		fits           bool
	}{
		{60 * time.Second, 10 * time.Second, true},
		{18 * time.Second, 10 * time.Second, false}, // exactly two thirds
		{19 * time.Second, 10 * time.Second, true},
		{3 * time.Second, 0, false},
		{4 * time.Second, 0, true},
	} {
		if got := fits(test.ttl, test.killAfter); got != test.fits {
			t.Errorf("ttl %s and kill-after %s: %t", test.ttl, test.killAfter, got)
		}
		if least := leastTTL(test.killAfter); !fits(least, test.killAfter) || fits(least-time.Second, test.killAfter) {
			t.Errorf("the least ttl for a kill-after of %s is %s", test.killAfter, least)
		}
	}
	if got := Survives(DefaultTTL, DefaultKillAfter); got != 29*time.Second {
		t.Errorf("with the defaults it survives %s", got)
	}
}
