//go:build linux || darwin || freebsd

package job

import (
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/octostore/octostore/core/boottime"
)

// watch is what the goroutine knows that watches over a job. All times are on the clock of
// boottime; 0: never.
type watch struct {
	job     *Job
	command Command
	group   group
	strays  strays
	guard   *Guard
	guarded time.Duration // since when

	tty         *terminal
	interactive bool           // the command is to have the terminal
	stopBy      syscall.Signal // what stops this process
	typed       syscall.Signal // what was typed at this process, with others in the foreground
	halted      bool           // the command was stopped
	wake        time.Duration  // when the command goes on, if this process was not stopped

	deadline time.Duration
	ended    time.Duration // when the command itself ended
	termed   bool          // the group has got TERM
	kill     time.Duration // when the group gets KILL, once it has got TERM
	killed   time.Duration // when it got KILL first

	status Status
}

// run watches over the job until it has ended.
func (w *watch) run() {
	timer := time.NewTimer(0)
	for !w.over(boottime.Now()) {
		w.act(boottime.Now())
		timer.Reset(w.pause(boottime.Now()))
		w.next(timer)
	}
	w.finish()
}

// next waits for the next thing to happen.
func (w *watch) next(timer *time.Timer) {
	select {
	case status := <-w.job.waited:
		w.changed(status)
	case sig := <-w.job.signals:
		w.received(sig)
	case d := <-w.job.deadlines:
		w.deadline = d.at
		w.order()
		close(d.told)
	case reason := <-w.job.ends:
		w.end(reason, boottime.Now())
	case _, ok := <-w.guard.events:
		if ok {
			w.announced()
		} else {
			w.replaceGuard()
		}
	case <-timer.C:
	}
}

// changed: the command itself has ended or was stopped.
func (w *watch) changed(status syscall.WaitStatus) {
	switch {
	case status.Stopped():
		w.stopped(status.StopSignal(), boottime.Now())
		return
	case status.Signaled():
		w.status.Signal = status.Signal()
		w.status.Code = 128 + int(status.Signal())
	default:
		w.status.Code = status.ExitStatus()
	}
	w.ended = boottime.Now()
	w.leaveTerminal()
}

// received passes a signal on. When this process goes on, the deadline counts first: the
// command must not.
func (w *watch) received(sig os.Signal) {
	switch s, _ := sig.(syscall.Signal); s {
	case 0:
	case syscall.SIGCONT:
		w.act(boottime.Now())
		if !w.termed {
			w.resume()
		}
	default:
		if isTyped(s) && w.tty != nil && w.tty.foreground() == w.tty.own {
			w.typed = s
		}
		_ = w.group.signal(s)
	}
}

// announced: the guard has ended the job, because this process did not in time.
func (w *watch) announced() {
	if w.status.Cause == nil {
		w.status.Cause = ErrDeadline
	}
	if !w.termed {
		w.termed, w.kill = true, w.lastMoment()
	}
}

// blame sets the cause of the end of the command, if it has not ended by itself.
func (w *watch) blame(cause error) {
	if w.status.Cause == nil && w.ended == 0 && w.group.leaderRuns() {
		w.status.Cause = cause
	}
}

// end sends TERM and says when KILL is due.
func (w *watch) end(cause error, now time.Duration) {
	if w.termed {
		return
	}
	w.blame(cause)
	w.termed, w.kill = true, now+w.command.KillAfter
	if w.deadline != 0 {
		w.kill = min(w.kill, w.lastMoment())
	}
	w.order()
	if w.status.Cause != nil { // else it has ended by itself, and has left what it has left
		w.strays.follow(w.group)
	}
	w.group.end()
}

// lastMoment returns when the deadline demands KILL.
func (w *watch) lastMoment() time.Duration { return w.deadline - Margin }

// act does what is due.
func (w *watch) act(now time.Duration) {
	if w.termed && w.status.Cause != nil {
		w.strays.follow(w.group)
		w.strays.term(w.group)
	}
	if w.ended == 0 && !w.halted && w.wake == 0 {
		w.resume() // a shell's fg does not tell a job that runs that it is in the foreground
	}
	switch {
	case w.termed && now >= w.kill:
		if w.killed == 0 {
			w.killed = now
		}
		_ = w.group.signal(syscall.SIGKILL)
		w.strays.kill()
	case w.termed:
	case w.deadline != 0 && now >= w.lastMoment()-w.command.KillAfter:
		w.late(now)
	case w.wake != 0 && now >= w.wake:
		w.resume()
	case w.ended != 0 && now >= w.ended+linger:
		w.status.Left = w.group.running()
		w.end(nil, now)
	}
}

// late ends the job because of its deadline. If this process was stopped, its guard has sent
// TERM, and a second one would make many programs give up their cleaning.
func (w *watch) late(now time.Duration) {
	if !w.guardMayEnd(now) || now >= w.lastMoment() {
		w.end(ErrDeadline, now)
		return
	}
	w.blame(ErrDeadline)
	w.termed, w.kill = true, w.lastMoment()
}

// guardMayEnd reports whether the guard may have begun to end the job because of its deadline. Its
// clock may be ahead of this one.
func (w *watch) guardMayEnd(now time.Duration) bool {
	return w.deadline != 0 && now+boottime.Behind >= w.lastMoment()-w.command.KillAfter+lag
}

// over reports whether nothing of the job is left that has to end.
func (w *watch) over(now time.Duration) bool {
	switch {
	case w.ended == 0:
		return false
	case w.killed != 0 && now >= max(w.killed, w.ended)+resign:
		return true
	}
	return w.group.running() == 0 && !w.strays.left()
}

// pause returns how long there is nothing to do.
func (w *watch) pause(now time.Duration) time.Duration {
	pause := time.Second // timers do not count suspends: look every second
	if w.killed != 0 {
		pause = 20 * time.Millisecond
	}
	if w.ended != 0 { // nothing tells when the last process of a group ends
		pause = min(20*time.Millisecond, max(time.Millisecond, (now-w.ended)/4))
	}
	for _, at := range []time.Duration{w.deadline - Margin - w.command.KillAfter, w.kill, w.wake} {
		if at > now {
			pause = min(pause, at-now)
		}
	}
	return pause
}

// orders returns what a guard has to know.
func (w *watch) orders() orders {
	o := orders{Group: w.group, KillAfter: w.command.KillAfter, Now: boottime.Now(), Wall: time.Now().Round(0)}
	if w.group.ID == 0 {
		o.Starting = startingIn(w.command.Env)
	}
	switch {
	case w.termed:
		o.Kill = w.kill + lag
	case w.deadline != 0:
		o.Term = max(1, w.lastMoment()-w.command.KillAfter+lag)
		o.Kill = max(1, w.lastMoment()+lag)
	}
	return o
}

// order tells the guard what it has to know. One that cannot be told is replaced.
func (w *watch) order() {
	if err := w.guard.tell(w.orders()); err != nil {
		_ = w.guard.process.Kill() // its events will end
	}
}

// replaceGuard starts a guard in place of one that has ended. If it cannot be started, or has
// ended at once, the next attempt is in a second.
func (w *watch) replaceGuard() {
	w.guard.in.Close()
	if now := boottime.Now(); now >= w.guarded+time.Second {
		w.guarded = now
		if next, err := startGuard(w.orders()); err == nil {
			w.guard = next
			return
		}
	}
	again := make(chan byte)
	w.guard.events = again
	time.AfterFunc(time.Second, func() { close(again) })
}

// unread returns the signals that were caught and not passed on.
func unread(signals <-chan os.Signal) (late []os.Signal) {
	for {
		select {
		case sig := <-signals:
			late = append(late, sig)
		default:
			return late
		}
	}
}

// finish sets the status.
func (w *watch) finish() {
	if w.command.Ended != nil {
		w.command.Ended()
	}
	signal.Stop(w.job.signals)
	w.status.Late = unread(w.job.signals)
	said := false
	if now := boottime.Now(); w.guardMayEnd(now) {
		said = w.guard.leave(w.lastMoment() + lag + 2*resign - now) // it may end what this process has not seen
	}
	if w.guard.dismiss() || said {
		w.announced()
	}
	w.guard.in.Close()
	w.closeTerminal()
	w.job.status = w.status
	close(w.job.done)
}
