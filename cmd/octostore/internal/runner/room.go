package runner

import (
	"fmt"
	"math"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/exitcode"
	"github.com/octostore/octostore/cmd/octostore/internal/job"
)

const (
	// margin is how long before its lease can end the command is gone.
	margin = job.Margin
	// reserve is what two thirds of a ttl have to exceed besides the time to end the command,
	// so that one failed renewal is not the end of the lease.
	reserve = 2 * time.Second
)

// Defaults of a Run that the command line sets.
const (
	DefaultTTL       = 60 * time.Second
	DefaultKillAfter = 10 * time.Second
	DefaultPatience  = 2 * time.Minute
)

// Survives returns which outage of the server a lease survives: a renewal is sent when a third
// of its ttl has passed, and the command gets SIGTERM so early that it is gone in time.
func Survives(ttl, killAfter time.Duration) time.Duration {
	return max(0, ttl-ttl/3-killAfter-margin)
}

// fits reports whether a lease leaves room for ending the command.
func fits(ttl, killAfter time.Duration) bool { return ttl-ttl/3 > killAfter+reserve }

// leastTTL is the smallest ttl in whole seconds that fits.
func leastTTL(killAfter time.Duration) time.Duration {
	ttl := time.Duration(math.Ceil(1.5*(killAfter+reserve).Seconds())) * time.Second
	for !fits(ttl, killAfter) {
		ttl += time.Second
	}
	return ttl
}

// checkRoom refuses a ttl that leaves no room for ending the command before the lease can be
// somebody else's.
func (r *Run) checkRoom() error {
	if fits(r.TTL, r.KillAfter) {
		return nil
	}
	return exitcode.Usagef(
		"--ttl %s leaves no room to end the command: two thirds of it must be more than --kill-after (%s) and 2s; want --ttl %s or more, or a smaller --kill-after",
		r.TTL, r.KillAfter, leastTTL(r.KillAfter),
	)
}

// errNoRoom is for a lease whose ttl a policy has capped.
func (r *Run) errNoRoom(granted time.Duration) error {
	return exitcode.As(exitcode.Denied, fmt.Errorf(
		"%s: the command was not started: a policy allows a ttl of %s only, and two thirds of it must be more than --kill-after (%s) and 2s",
		r.Name, granted, r.KillAfter,
	))
}
