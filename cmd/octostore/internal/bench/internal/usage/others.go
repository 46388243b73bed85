package usage

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// CPUTimes is processor time so far, in seconds: what the whole machine had, what was used
// of it, and what of that this process and the server under load used.
type CPUTimes struct {
	had, used, ours float64
}

// Others returns the share of the machine that other programs used between two readings, or
// nil if the system does not tell.
func (b CPUTimes) Others(later CPUTimes) *float64 {
	had := later.had - b.had
	if had <= 0 {
		return nil
	}
	share := max(0, (later.used-b.used)-(later.ours-b.ours)) / had
	return &share
}

// ReadCPUTimes returns the busyness of now, where the server under load has used so much;
// nothing if the system does not tell.
func ReadCPUTimes(server float64) CPUTimes {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return CPUTimes{} // not Linux
	}
	b := parseStat(string(stat))
	b.ours = server + OwnCPU()
	return b
}

// parseStat reads the first line of /proc/stat, which counts hundredths of a second.
// Interrupts count for no program, because ours are among them.
func parseStat(stat string) CPUTimes {
	var user, nice, system, idle, iowait, irq, softirq, steal float64
	line, _, _ := strings.Cut(stat, "\n")
	n, err := fmt.Sscanf(line, "cpu %g %g %g %g %g %g %g %g", &user, &nice, &system, &idle, &iowait, &irq, &softirq, &steal)
	if err != nil && !errors.Is(err, io.EOF) || n < 8 {
		return CPUTimes{}
	}
	used := user + nice + system + steal
	return CPUTimes{had: (used + idle + iowait + irq + softirq) / 100, used: used / 100}
}
