//go:build linux || darwin || freebsd

package job

import "syscall"

// group is a process group, by the process that leads it.
type group struct {
	ID      int
	Started string // when its leader was started, or empty: unknown
}

// groupOf returns the group that a process leads, which must not have been waited for yet.
func groupOf(pid int) group {
	p, _ := look(pid)
	return group{ID: pid, Started: p.started}
}

// signal sends a signal to all processes of the group. It sends none if the number of the
// group has come to belong to another one. That cannot be as long as one process of the
// group is left, but the one who asks may have slept since.
func (g group) signal(sig syscall.Signal) error {
	if p, ok := look(g.ID); ok && g.Started != "" && p.started != g.Started {
		return syscall.ESRCH
	}
	return syscall.Kill(-g.ID, sig)
}

// end sends TERM to the group, stopped processes included.
func (g group) end() {
	_ = g.signal(syscall.SIGTERM)
	_ = g.signal(syscall.SIGCONT)
}

// leaderRuns reports whether the leader has not ended yet.
func (g group) leaderRuns() bool {
	p, ok := look(g.ID)
	return ok && !p.ended && (g.Started == "" || p.started == g.Started)
}
