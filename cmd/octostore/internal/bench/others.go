package bench

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// busyness is processor time so far, in seconds: what the whole machine had, what
// was used of it, and what of that we and the server under load used.
type busyness struct {
	had, used, ours float64
}

// others returns the share of the machine that other programs used between two
// looks, or nil if the system does not tell. It is what a round was disturbed by.
func (b busyness) others(later busyness) *float64 {
	had := later.had - b.had
	if had <= 0 {
		return nil
	}
	share := max(0, (later.used-b.used)-(later.ours-b.ours)) / had
	return &share
}

// readBusyness returns the busyness of now, where the server under load has used so much;
// nothing if the system does not tell.
func readBusyness(server float64) busyness {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return busyness{} // not Linux
	}
	b := parseStat(string(stat))
	b.ours = server + ownCPU()
	return b
}

// parseStat reads the first line of /proc/stat, which counts hundredths of a second.
// Interrupts are nobody's: ours are counted there too.
func parseStat(stat string) busyness {
	var user, nice, system, idle, iowait, irq, softirq, steal float64
	line, _, _ := strings.Cut(stat, "\n")
	n, err := fmt.Sscanf(line, "cpu %g %g %g %g %g %g %g %g", &user, &nice, &system, &idle, &iowait, &irq, &softirq, &steal)
	if err != nil && err != io.EOF || n < 8 {
		return busyness{}
	}
	used := user + nice + system + steal
	return busyness{had: (used + idle + iowait + irq + softirq) / 100, used: used / 100}
}
