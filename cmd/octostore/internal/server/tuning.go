package server

import (
	"os"
	"runtime"
)

// Tune sets what the process as a whole needs to serve well.
func Tune() {
	// A thread in fsync keeps its place among the running ones for a while. With few
	// CPUs that stalls requests that could be decided meanwhile, so there are a few
	// more places than CPUs.
	const places = 4
	if os.Getenv("GOMAXPROCS") == "" && runtime.GOMAXPROCS(0) < places {
		runtime.GOMAXPROCS(places)
	}
}

// heapFloor returns memory that is to be kept alive as long as the server runs. It is
// never touched, so it takes no memory. It counts as live, though: with so little
// else on the heap the garbage collector would run many times a second under load; so
// it runs each time 64 MiB and what is live have been allocated.
func heapFloor() []byte { return make([]byte, 64<<20) }
