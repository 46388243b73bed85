package guest

import (
	"unsafe"

	"github.com/octostore/octostore/plugins/guest/internal/host"
)

// The buffer holds all strings of one call. Most calls need far less; when it is full
// a new one takes its place, and the strings in the old one stay what they are.
const bufferSize = 4 << 10

var (
	buffer = make([]byte, bufferSize)
	used   int
)

// begin is called before each call: nobody has strings of the last one any more.
func begin() { used = 0 }

func lookUp(key string) (string, bool) {
	n := host.Get(key, buffer[used:])
	switch {
	case n < 0:
		return "", false
	case n > len(buffer)-used:
		renew(n)
		n = min(host.Get(key, buffer), len(buffer))
	}
	return take(n), true
}

// join puts parts together; one alone is what it is.
func join(parts []string) string {
	if len(parts) == 1 {
		return parts[0]
	}
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	if n > len(buffer)-used {
		renew(n)
	}
	at := used
	for _, p := range parts {
		at += copy(buffer[at:], p)
	}
	return take(n)
}

func renew(n int) {
	buffer, used = make([]byte, max(n, bufferSize)), 0
}

func take(n int) string {
	s := unsafe.String(unsafe.SliceData(buffer[used:]), n)
	used += n
	return s
}
