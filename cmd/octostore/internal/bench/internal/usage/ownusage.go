package usage

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
)

// WriteOwn writes the usage of this process in the format that [Read] reads, without what
// the system does not tell.
func WriteOwn(w io.Writer) {
	if cpu := OwnCPU(); cpu > 0 {
		fmt.Fprintf(w, "process_cpu_seconds_total %g\n", cpu)
	}
	if bytes, ok := residentBytes(); ok {
		fmt.Fprintf(w, "process_resident_memory_bytes %d\n", bytes)
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fmt.Fprintf(w, "go_memstats_heap_inuse_bytes %d\ngo_gc_duration_seconds_count %d\n", m.HeapInuse, m.NumGC)
}

// residentBytes reads the second field of /proc/self/statm, which counts pages.
func residentBytes() (int64, bool) {
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, false
	}
	fields := strings.Fields(string(statm))
	if len(fields) < 2 {
		return 0, false
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize()), err == nil
}
