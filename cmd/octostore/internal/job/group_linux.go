package job

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// process is what the system tells about a process.
type process struct {
	started string
	group   int
	session int
	ended   bool // it has not been waited for
}

// look returns what the system tells about a process; false: there is none.
func look(pid int) (process, bool) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return process{}, false
	}
	// The second field is a name that may contain anything, in parentheses.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	const state, pgrp, session, starttime = 0, 2, 3, 19
	if len(fields) <= starttime {
		return process{}, false
	}
	id, err := strconv.Atoi(fields[pgrp])
	if err != nil {
		return process{}, false
	}
	sid, err := strconv.Atoi(fields[session])
	if err != nil {
		return process{}, false
	}
	return process{
		started: fields[starttime], group: id, session: sid, ended: strings.ContainsAny(fields[state], "ZX"),
	}, true
}

// processes returns the numbers of all processes that this one may see.
func processes() (all []int) {
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			all = append(all, pid)
		}
	}
	return all
}

// running returns the number of processes of the group that have not ended. One that has
// ended is no longer counted, although it stays listed until its parent waits for it: that
// of a process in the background may never do so, as process 1 of many containers.
func (g group) running() int {
	if errors.Is(g.signal(0), syscall.ESRCH) {
		return 0
	}
	running, ended := 0, 0
	for _, pid := range processes() {
		switch p, ok := look(pid); {
		case !ok || p.group != g.ID:
		case p.ended:
			ended++
		default:
			running++
		}
	}
	if running == 0 && ended == 0 {
		return 1 // which is hidden from this user
	}
	return running
}
