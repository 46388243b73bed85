package boottime

import (
	"bytes"
	"os"
	"strconv"
	"time"
)

// uptime returns the time since the machine was started, suspends included.
func uptime() (time.Duration, bool) {
	line, err := os.ReadFile("/proc/uptime")
	if err != nil {
		return 0, false
	}
	return parseUptime(line)
}

// parseUptime reads the first number of a line such as "350735.47 234388.90".
func parseUptime(line []byte) (time.Duration, bool) {
	first, _, _ := bytes.Cut(line, []byte(" "))
	seconds, hundredths, ok := bytes.Cut(first, []byte("."))
	s, err := strconv.ParseInt(string(seconds), 10, 32)
	if err != nil || !ok || len(hundredths) != 2 {
		return 0, false
	}
	h, err := strconv.ParseUint(string(hundredths), 10, 8)
	if err != nil || s < 0 {
		return 0, false
	}
	return time.Duration(s)*time.Second + time.Duration(h)*10*time.Millisecond, true
}
