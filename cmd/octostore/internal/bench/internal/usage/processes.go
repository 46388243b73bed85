package usage

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// clockTicks is the number of units of processor time in a second. Linux uses 100 in what
// it shows to programs.
const clockTicks = 100

// ReadProcesses returns the processor time and the memory of a process and its children,
// those that have ended included; [Unknown] if the system does not tell. Memory that the
// processes share counts once for each.
func ReadProcesses(pid int) Usage {
	u := Usage{CPU: Unknown, Resident: Unknown, Heap: Unknown, Collections: Unknown}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return u
	}
	var cpu, resident float64
	found := false
	for _, path := range stats {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		p, ok := parseProcess(string(stat))
		if !ok || p.pid != pid && p.parent != pid {
			continue
		}
		found = true
		cpu += max(p.ticks/clockTicks, onProcessor(filepath.Dir(path))) + p.childTicks/clockTicks
		resident += p.pages * float64(os.Getpagesize())
	}
	if found {
		u.CPU, u.Resident = cpu, resident
	}
	return u
}

// process is a line of /proc/PID/stat.
type process struct {
	pid, parent int
	ticks       float64 // of processor time
	childTicks  float64 // of its children that have ended
	pages       float64
}

// onProcessor returns the seconds that the first thread of a process has run, which the kernel
// counts in nanoseconds. A server with a process for each connection needs that: its processes
// run for less than a tick each.
func onProcessor(proc string) float64 {
	text, err := os.ReadFile(filepath.Join(proc, "schedstat"))
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(text), " ")
	ns, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return 0
	}
	return ns / 1e9
}

// parseProcess counts fields behind the name, which may contain spaces and parentheses.
func parseProcess(stat string) (process, bool) {
	first, _, _ := strings.Cut(stat, " ")
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < 22 {
		return process{}, false
	}
	var p process
	var err error
	if p.pid, err = strconv.Atoi(first); err != nil {
		return process{}, false
	}
	if p.parent, err = strconv.Atoi(fields[1]); err != nil {
		return process{}, false
	}
	for i, ticks := range fields[11:15] {
		n, err := strconv.ParseFloat(ticks, 64)
		if err != nil {
			return process{}, false
		}
		if i < 2 {
			p.ticks += n
		} else {
			p.childTicks += n
		}
	}
	p.pages, err = strconv.ParseFloat(fields[21], 64)
	return p, err == nil
}
