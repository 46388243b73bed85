package job

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// mostStrays bounds the look at a command that starts processes without end.
const mostStrays = 10_000

// outside returns the descendants of the leader of a group, and of other processes, that are not
// in the group. A kernel may be built without what tells the children of a process; then there
// are none.
func outside(of group, others []member) []member {
	var todo []int
	if of.leaderRuns() {
		todo = children(of.ID)
	}
	for _, m := range others {
		todo = append(todo, children(m.pid)...)
	}
	var found []member
	for i := 0; i < len(todo) && i < mostStrays; i++ {
		p, ok := look(todo[i])
		if !ok {
			continue
		}
		if p.group != of.ID && !p.ended {
			found = append(found, member{todo[i], p.group, p.started})
		}
		todo = append(todo, children(todo[i])...)
	}
	return found
}

// children returns the processes that a process has started, and has not waited for.
func children(pid int) (all []int) {
	lists, _ := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/children")
	for _, list := range lists {
		text, err := os.ReadFile(list)
		if err != nil {
			continue // the thread has ended
		}
		for _, field := range strings.Fields(string(text)) {
			if child, err := strconv.Atoi(field); err == nil {
				all = append(all, child)
			}
		}
	}
	return all
}
