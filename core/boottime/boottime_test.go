package boottime_test

import (
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/octostore/octostore/core/boottime"
)

func TestBoottimeNeverGoesBack(t *testing.T) {
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			last := boottime.Now()
			for range 2000 {
				now := boottime.Now()
				if now < last {
					t.Errorf("%s after %s", now, last)
					return
				}
				last = now
			}
		})
	}
	wg.Wait()
}

func TestBoottimeCountsLikeTheMonotonicClock(t *testing.T) {
	before, began := boottime.Now(), time.Now()
	for time.Since(began) < 50*time.Millisecond {
		runtime.Gosched()
	}
	took := time.Since(began)
	if counted := boottime.Now() - before; counted < took-11*time.Millisecond {
		t.Errorf("%s counted in %s", counted, took)
	}
}

func TestBoottimeIsTheSameInAllProcesses(t *testing.T) {
	if !boottime.Shared() {
		t.Skip("only Linux has a clock that processes share")
	}
	before := boottime.Now()
	out, err := exec.CommandContext(t.Context(), "cat", "/proc/uptime").Output()
	after := boottime.Now()
	if err != nil {
		t.Fatal(err)
	}
	seconds, err := strconv.ParseFloat(strings.Fields(string(out))[0], 64)
	if err != nil {
		t.Fatal(err)
	}
	const step = 10 * time.Millisecond // of /proc/uptime
	if other := time.Duration(seconds * float64(time.Second)); other < before-step || other > after+step {
		t.Errorf("another process reads %s, this one %s before and %s after", other, before, after)
	}
}

// Tests of leases run in bubbles.
func TestBoottimeFollowsABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before := boottime.Now()
		time.Sleep(time.Hour)
		if counted := boottime.Now() - before; counted != time.Hour {
			t.Errorf("an hour of the bubble counts as %s", counted)
		}
	})
	if outside := boottime.Now(); boottime.Shared() && outside > 20*365*24*time.Hour {
		t.Errorf("the bubble has moved the clock outside of it to %s", outside)
	}
}
