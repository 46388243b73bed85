package job

import (
	"crypto/sha256"
	"os"
	"slices"
	"strconv"
	"strings"
)

// starting is what a guard can find the command by that a process is starting, before that process
// has told its number.
type starting struct {
	Parent  int // the process that starts it; 0: none does
	Session int
	Environ []byte // hash of what its environment is to be
}

// startingIn returns what a guard is to know before this process starts a command.
func startingIn(env []string) starting {
	self, _ := look(os.Getpid())
	text := strings.Join(env, "\x00")
	if len(env) > 0 {
		text += "\x00"
	}
	sum := sha256.Sum256([]byte(text))
	return starting{os.Getpid(), self.session, sum[:]}
}

// find returns the group of the command: the group that a child of its parent leads, in the session
// of its parent. Guards have sessions of their own.
func (s starting) find() group {
	if s.Parent == 0 {
		return group{}
	}
	return s.among(children(s.Parent), func(int) bool { return true })
}

// orphan returns the group of a command whose parent has ended. Its environment tells it from other
// processes, as long as it is as young as the command of a parent that has told nothing about it.
func (s starting) orphan() group {
	if s.Parent == 0 {
		return group{}
	}
	return s.among(processes(), func(pid int) bool {
		environ, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
		sum := sha256.Sum256(environ)
		return err == nil && slices.Equal(sum[:], s.Environ)
	})
}

// among returns the group of the one of these processes that leads a group in the session, and is the
// command as far as this function can tell.
func (s starting) among(pids []int, is func(pid int) bool) group {
	for _, pid := range pids {
		p, ok := look(pid)
		if ok && !p.ended && p.group == pid && p.session == s.Session && is(pid) {
			return group{ID: pid, Started: p.started}
		}
	}
	return group{}
}
