//go:build linux || darwin || freebsd

package job

import (
	"cmp"
	"encoding/json"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/octostore/octostore/core/boottime"
)

// announced is what a guard writes before it sends TERM because the deadline has come.
const announced = 'T'

// Main is the main function of a guard process. Its standard input has orders, from the
// process that runs the job. It returns when that process and the job have ended.
func Main() int {
	// What comes from a terminal or a supervisor is for the other process. A guard that has
	// been told to end would leave the job unguarded.
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2,
		syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU, syscall.SIGPIPE)
	incoming := make(chan orders)
	go receive(os.Stdin, incoming)
	g := sentinel{say: os.Stdout}
	timer := time.NewTimer(0)
	for {
		select {
		case o, ok := <-incoming:
			if !ok {
				incoming = nil
				g.abandoned(boottime.Now())
				break
			}
			o.translate()
			g.obey(o)
		case <-timer.C:
		}
		now := boottime.Now()
		g.act(now)
		if incoming == nil && g.over(now) {
			return 0
		}
		timer.Reset(g.pause(now, incoming == nil))
	}
}

func receive(from io.Reader, to chan<- orders) {
	defer close(to)
	for in := json.NewDecoder(from); ; {
		var o orders
		if in.Decode(&o) != nil {
			return
		}
		to <- o
	}
}

// sentinel is what a guard knows.
type sentinel struct {
	orders
	say    io.Writer
	strays strays
	ending bool          // this process ends the job, not the other one
	killed time.Duration // when it got KILL first
}

// obey takes new orders. Their sender may not know yet that this process ends the job: a second TERM
// would make many programs give up their cleaning.
func (s *sentinel) obey(o orders) {
	s.orders = o
	if s.ending {
		s.Term = 0
	}
}

// findCommand looks for the command that its parent has started and has not told about yet: that may have
// been stopped or killed in between.
func (s *sentinel) findCommand() {
	if g := s.Starting.find(); g.ID != 0 {
		s.Group = g
	}
}

// over reports whether there is nothing left to end, or nothing that can be ended.
func (s *sentinel) over(now time.Duration) bool {
	if s.Group.ID == 0 || s.killed != 0 && now >= s.killed+resign {
		return true
	}
	return s.Group.running() == 0 && !s.strays.left()
}

// abandoned ends the job, because the process that runs it has ended and not this one first.
func (s *sentinel) abandoned(now time.Duration) {
	if s.findCommand(); s.Group.ID == 0 {
		s.Group = s.Starting.orphan()
	}
	if s.Group.ID == 0 {
		return
	}
	if !s.told() {
		s.Group.end()
	}
	s.ending = true
	s.Term = 0
	if latest := now + s.KillAfter; s.Kill == 0 || s.Kill > latest {
		s.Kill = latest
	}
}

// told reports whether the other process has sent TERM.
func (s *sentinel) told() bool { return s.Term == 0 && s.Kill != 0 }

// act does what is due.
func (s *sentinel) act(now time.Duration) {
	s.findCommand()
	if s.Group.ID == 0 {
		return
	}
	if s.ending || s.told() {
		s.strays.follow(s.Group)
	} else {
		s.strays.find(s.Group) // when the other process is killed, the command may have ended before it can be looked at
	}
	if s.ending {
		s.strays.term(s.Group)
	}
	if s.Kill != 0 && now >= s.Kill {
		s.announce()
		s.ending = true
		s.killed = cmp.Or(s.killed, now)
		_ = s.Group.signal(syscall.SIGKILL)
		s.strays.kill()
		return
	}
	if s.Term != 0 && now >= s.Term {
		s.announce()
		s.ending = true
		s.Group.end()
	}
}

// announce tells the process that runs the job, which may be stopped, that the deadline
// ends the command. One that has ended by itself meanwhile is not announced.
func (s *sentinel) announce() {
	if s.Term != 0 && s.Group.leaderRuns() {
		_, _ = s.say.Write([]byte{announced})
	}
	s.Term = 0
}

// pause returns how long there is nothing to do.
func (s *sentinel) pause(now time.Duration, alone bool) time.Duration {
	pause := time.Second // timers do not count suspends: look every second
	if alone || s.ending {
		pause = 20 * time.Millisecond
	}
	for _, at := range []time.Duration{s.Term, s.Kill} {
		if at > now {
			pause = min(pause, at-now)
		}
	}
	return pause
}
