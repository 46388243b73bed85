package compiler

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"
)

// ticks is the number of clock ticks per second, the unit of processor time on Linux.
const ticks = 100

// usage returns the processor time and the resident memory of a process.
func usage(pid int) (processor time.Duration, memory int64, known bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0, false
	}
	// The program name, in parentheses, may contain anything. The third field follows it.
	end := bytes.LastIndexByte(text, ')')
	if end < 0 {
		return 0, 0, false
	}
	fields := bytes.Fields(text[end+1:])
	const user, system, resident = 14 - 3, 15 - 3, 24 - 3 // proc(5) counts from 1
	if len(fields) <= resident {
		return 0, 0, false
	}
	var n [3]int64
	for i, field := range []int{user, system, resident} {
		if n[i], err = strconv.ParseInt(string(fields[field]), 10, 64); err != nil {
			return 0, 0, false
		}
	}
	return time.Duration(n[0]+n[1]) * time.Second / ticks, n[2] * int64(os.Getpagesize()), true
}
