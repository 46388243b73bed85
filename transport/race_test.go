//go:build race

package transport

// checksSpec is false because the race detector has no use for those checks, and makes them slow.
const checksSpec = false
