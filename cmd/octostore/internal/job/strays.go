//go:build linux || darwin || freebsd

package job

import (
	"slices"
	"syscall"
)

// strays are the descendants of a command that have left its group: what timeout(1) runs, or a
// shell with job control. A daemon is none: its parent has ended.
type strays struct {
	known  []member
	termed bool // they have got TERM
}

// member is one process, with what tells it from a later one of the same number.
type member struct {
	pid     int
	group   int
	started string
}

// alive reports whether the process has not ended.
func (m member) alive() bool {
	p, ok := look(m.pid)
	return ok && !p.ended && p.started == m.started
}

// find looks for the strays of a command that runs. Those of one that has just ended stay known.
func (s *strays) find(of group) {
	if found := outside(of, nil); of.leaderRuns() {
		s.known = found
	}
}

// follow looks for strays while the command is being ended: those found before, whose parent
// may have ended meanwhile, stay known, and their descendants are strays as well.
func (s *strays) follow(of group) {
	known := slices.DeleteFunc(s.known, func(m member) bool { return !m.alive() })
	s.known = known
	for _, m := range outside(of, known) {
		if !slices.Contains(known, m) {
			s.known = append(s.known, m)
		}
	}
}

// term sends TERM to the strays, once, when the group itself has ended: before, a process of it
// may pass the signal on, and a second one would make many programs give up their cleaning. For
// that reason too, of a group of strays only the leader gets it.
func (s *strays) term(of group) {
	if s.termed || len(s.known) == 0 || of.running() > 0 {
		return
	}
	s.termed = true
	for _, m := range s.known {
		led := slices.ContainsFunc(s.known, func(other member) bool { return other.pid == m.group })
		if led && m.pid != m.group {
			continue
		}
		s.signal(m, syscall.SIGTERM)
		s.signal(m, syscall.SIGCONT)
	}
}

// kill sends KILL to the strays.
func (s *strays) kill() {
	for _, m := range s.known {
		s.signal(m, syscall.SIGKILL)
	}
}

func (s *strays) signal(m member, sig syscall.Signal) {
	if m.alive() {
		_ = syscall.Kill(m.pid, sig)
	}
}

// left reports whether there are strays that have not ended.
func (s *strays) left() bool { return slices.ContainsFunc(s.known, member.alive) }
