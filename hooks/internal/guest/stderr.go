package guest

import (
	"bytes"
	"errors"
	"strings"
)

const (
	// keptStderr is how much of the end of a call's stderr is kept, in bytes: enough for
	// the stack of a panic, above which the panic itself stands.
	keptStderr = 8 << 10
	// lastLines is how many lines of stderr are told of a call that failed without a panic.
	lastLines = 4
	// maxStderr bounds what is told of it, in bytes, so that it fits into maxFault.
	maxStderr = 640
)

// keepStderr remembers the end of what a call writes to stderr.
func (c *call) keepStderr(piece []byte) {
	c.stderr = append(c.stderr, piece[max(0, len(piece)-keptStderr):]...)
	if len(c.stderr) > 2*keptStderr {
		c.stderr = append(c.stderr[:0], c.stderr[len(c.stderr)-keptStderr:]...)
	}
}

// trapped is an error of the runtime, fit to be told: a guest has a say in what is in
// it. The last words of the guest go before what the runtime knows, which is in a
// language that panics no more than that it has.
func (c *call) trapped(err error) error {
	said := lastWords(c.stderr)
	if said == "" {
		return printable(err)
	}
	trap, _, _ := strings.Cut(err.Error(), "\n") // without its stack, of which the guest tells itself
	return errors.New(Printable([]byte(said+" ("+trap+")"), maxFault))
}

// lastWords returns what a guest wrote to stderr at its end, in one line: a panic with
// where it happened, or else the last lines.
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

// isPanic reports whether a line is the first of what Go or Rust writes when a program
// panics.
func isPanic(line string) bool {
	return strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") ||
		strings.HasPrefix(line, "thread ") && strings.Contains(line, " panicked at ")
}
