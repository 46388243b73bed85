package terminal

import (
	"io"
	"os"

	"golang.org/x/term"
)

// Is reports whether output goes to a terminal. A writer that is not a file may say so
// itself.
func Is(w io.Writer) bool {
	w = Raw(w)
	if t, is := w.(interface{ IsTerminal() bool }); is {
		return t.IsTerminal()
	}
	file, is := w.(*os.File)
	return is && term.IsTerminal(int(file.Fd()))
}

// IsInput reports whether input comes from a terminal. A reader that is not a file may say
// so itself.
func IsInput(r io.Reader) bool {
	if t, is := r.(interface{ IsTerminal() bool }); is {
		return t.IsTerminal()
	}
	file, is := r.(*os.File)
	return is && term.IsTerminal(int(file.Fd()))
}

// Exact returns the writer for output that programs read byte for byte. On a terminal it is
// escaped all the same.
func Exact(w io.Writer) io.Writer {
	if Is(w) {
		return w
	}
	return Raw(w)
}

// Raw returns the writer for trusted output, such as colours.
func Raw(w io.Writer) io.Writer {
	if clean, is := w.(*Writer); is {
		return clean.Exact()
	}
	return w
}

// Width returns how many columns the terminal has that output goes to; 80 if it does not say.
func Width(w io.Writer) int {
	if file, is := Raw(w).(*os.File); is {
		if columns, _, err := term.GetSize(int(file.Fd())); err == nil && columns > 0 {
			return columns
		}
	}
	return 80
}
