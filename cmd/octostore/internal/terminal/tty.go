package terminal

import (
	"io"
	"os"

	"golang.org/x/term"
)

// Is reports whether somebody looks at what is written. What is not a file may
// say so itself.
func Is(w io.Writer) bool {
	w = Raw(w)
	if t, is := w.(interface{ IsTerminal() bool }); is {
		return t.IsTerminal()
	}
	file, is := w.(*os.File)
	return is && term.IsTerminal(int(file.Fd()))
}

// Exact returns where to write what programs read, byte by byte. On a terminal it is
// cleaned all the same.
func Exact(w io.Writer) io.Writer {
	if Is(w) {
		return w
	}
	return Raw(w)
}

// Raw returns where to write what is our own to the last byte, colours included.
func Raw(w io.Writer) io.Writer {
	if clean, is := w.(*Writer); is {
		return clean.Exact()
	}
	return w
}
