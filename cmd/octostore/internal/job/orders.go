//go:build linux || darwin || freebsd

package job

import (
	"time"

	"github.com/octostore/octostore/core/boottime"
)

// orders is what a guard needs to know. Each message has all of it.
type orders struct {
	Group     group         // ID 0: not started yet
	Starting  starting      // a command that is not one of a group yet
	Term      time.Duration // when to send TERM, on the clock of boottime; 0: not
	Kill      time.Duration // when to send KILL; 0: not
	KillAfter time.Duration // the most between TERM and KILL if the sender has ended

	Now  time.Duration // when this was sent, on the sender's clock
	Wall time.Time     // the same on the wall clock
}

// translate changes the times of the sender's clock to times of the receiver's, where their
// clocks differ. The message may have been on its way for long, if the receiver was stopped.
func (o *orders) translate() {
	if boottime.Shared() {
		return
	}
	shift := boottime.Now() - o.Now - max(0, time.Now().Round(0).Sub(o.Wall))
	for _, t := range []*time.Duration{&o.Term, &o.Kill} {
		if *t != 0 {
			*t = max(1, *t+shift)
		}
	}
}
