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

// begin is called before each call: the strings of the last call are no longer in use.
func begin() { used = 0 }

func lookUp(key string) (string, bool) {
	free := buffer[used:]
	n := host.Get(key, free)
	if uint(n) <= uint(len(free)) {
		used += n
		return unsafe.String(unsafe.SliceData(free), n), true
	}
	if n < 0 {
		return "", false
	}
	renew(n)
	n = min(host.Get(key, buffer), len(buffer))
	return take(n), true
}

// prefixed is a key that begins with a prefix and ends with a name. It may be used until
// prefixed is called again.
func prefixed(prefix, name string) string {
	n := len(prefix) + len(name)
	if n > len(composed) {
		return prefix + name // longer than any key there is
	}
	copy(composed[:], prefix)
	copy(composed[len(prefix):], name)
	return unsafe.String(&composed[0], n)
}

// A longer key is the name of no field.
var composed [1 << 10]byte

// join concatenates parts. It returns a single part unchanged.
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
