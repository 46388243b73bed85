package guest

import (
	"bytes"
	"errors"
	"strings"
)

const (
	// keptStderr is the size of the kept end of stderr, in bytes: enough for a panic with its stack.
	keptStderr = 8 << 10
	// lastLines is the number of stderr lines in a fault without a panic.
	lastLines = 4
	// maxStderr bounds the text from stderr in a fault, in bytes, so that it fits into maxFault.
	maxStderr = 640
)

// keepStderr keeps the end of the stderr output of a call.
func (c *call) keepStderr(piece []byte) {
	c.stderr = append(c.stderr, piece[max(0, len(piece)-keptStderr):]...)
	if len(c.stderr) > 2*keptStderr {
		c.stderr = append(c.stderr[:0], c.stderr[len(c.stderr)-keptStderr:]...)
	}
}

// trapped makes an error of the runtime printable, after the last stderr lines of the guest: for a
// language that panics, the runtime knows only that it did.
func (c *call) trapped(err error) error {
	said := lastWords(c.stderr)
	if said == "" {
		return printable(err)
	}
	trap, _, _ := strings.Cut(err.Error(), "\n") // without its stack, which the guest has written
	return errors.New(Printable([]byte(said+" ("+trap+")"), maxFault))
}

// lastWords returns the end of stderr in one line: a panic with its stack, or the last lines.
func lastWords(stderr []byte) string {
	lines := bytes.Split(stderr, []byte{'\n'})
	var told []string
	for _, line := range lines {
		text := strings.TrimSpace(Printable(line, maxStderr))
		if isPanic(text) {
			told = told[:0]
		}
		if text != "" {
			told = append(told, text)
		}
	}
	if len(told) > 0 && !isPanic(told[0]) {
		told = told[max(0, len(told)-lastLines):]
	}
	return Printable([]byte(strings.Join(told, " | ")), maxStderr)
}

// isPanic reports whether a line is the first line of a panic in Go or Rust.
func isPanic(line string) bool {
	return strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") ||
		strings.HasPrefix(line, "thread ") && strings.Contains(line, " panicked at ")
}
