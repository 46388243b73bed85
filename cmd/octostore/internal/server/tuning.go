package server

import (
	"os"
	"runtime"
)

// Tune sets the runtime parameters of the server process.
func Tune() {
	// A thread blocked in fsync occupies a P until the scheduler takes it back. With few
	// CPUs that stalls other requests, so GOMAXPROCS is at least places.
	const places = 4
	if os.Getenv("GOMAXPROCS") == "" && runtime.GOMAXPROCS(0) < places {
		runtime.GOMAXPROCS(places)
	}
}

// heapFloor returns a heap ballast to keep alive as long as the server runs. It is never
// touched, so it takes no memory, but it counts as live. Without it the heap is so small
// that the garbage collector would run many times a second under load; with it 64 MiB are
// allocated between two runs at least.
func heapFloor() []byte { return make([]byte, 64<<20) }
