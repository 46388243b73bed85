package usage

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// Busyness is processor time so far, in seconds: what the whole machine had, what
// was used of it, and what of that we and the server under load used.
type Busyness struct {
	had, used, ours float64
}

// Others returns the share of the machine that other programs used between two
// looks, or nil if the system does not tell. It is what a round was disturbed by.
func (b Busyness) Others(later Busyness) *float64 {
	had := later.had - b.had
	if had <= 0 {
		return nil
	}
	share := max(0, (later.used-b.used)-(later.ours-b.ours)) / had
	return &share
}

// Look returns the busyness of now, where the server under load has used so much;
// nothing if the system does not tell.
func Look(server float64) Busyness {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return Busyness{} // not Linux
	}
	b := parseStat(string(stat))
	b.ours = server + ownCPU()
	return b
}

// parseStat reads the first line of /proc/stat, which counts hundredths of a second.
// Interrupts are nobody's: ours are counted there too.
func parseStat(stat string) Busyness {
	var user, nice, system, idle, iowait, irq, softirq, steal float64
	line, _, _ := strings.Cut(stat, "\n")
	n, err := fmt.Sscanf(line, "cpu %g %g %g %g %g %g %g %g", &user, &nice, &system, &idle, &iowait, &irq, &softirq, &steal)
	if err != nil && err != io.EOF || n < 8 {
		return Busyness{}
	}
	used := user + nice + system + steal
	return Busyness{had: (used + idle + iowait + irq + softirq) / 100, used: used / 100}
}
