package terminal

import (
	"errors"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// Screen is a terminal that a program has for itself: it draws all of it, and gets each key as
// it is pressed. One goroutine uses it.
type Screen struct {
	in, out *os.File
	modes   *term.State // before; nil: the input is no terminal
	keys    chan byte
}

// Sequences that all terminals of today know.
const (
	// ownScreen switches to the other screen, hides the cursor, and cuts long lines.
	ownScreen    = "\x1b[?1049h\x1b[?25l\x1b[?7l"
	formerScreen = "\x1b[?7h\x1b[?25h\x1b[?1049l"
	home         = "\x1b[H"
	restOfLine   = "\x1b[K"
	restOfScreen = "\x1b[J"
	bold, plain  = "\x1b[1m", "\x1b[m"
)

// OpenScreen takes the terminal that output goes to. The caller closes the screen, whatever
// happens, or the terminal is left unusable.
func OpenScreen(in io.Reader, out io.Writer) (*Screen, error) {
	file, is := Raw(out).(*os.File)
	if !is || !term.IsTerminal(int(file.Fd())) {
		return nil, errors.New("the output is no terminal")
	}
	s := &Screen{out: file, keys: make(chan byte)}
	if keyboard, is := in.(*os.File); is && term.IsTerminal(int(keyboard.Fd())) {
		modes, err := term.MakeRaw(int(keyboard.Fd()))
		if err != nil {
			return nil, err
		}
		s.in, s.modes = keyboard, modes
		go s.read()
	}
	_, err := s.out.WriteString(ownScreen)
	return s, errors.Join(err, s.closeAfter(err))
}

func (s *Screen) closeAfter(err error) error {
	if err == nil {
		return nil
	}
	return s.Close()
}

// read passes keys on until the input ends. A program that ends does not wait for it.
func (s *Screen) read() {
	key := make([]byte, 1)
	for {
		if n, err := s.in.Read(key); n == 0 || err != nil {
			close(s.keys)
			return
		}
		s.keys <- key[0]
	}
}

// Keys returns the bytes of the keys that are pressed; ctrl-C is the byte 3 and no signal. It is
// closed when the input has ended.
func (s *Screen) Keys() <-chan byte { return s.keys }

// Size returns the size of the screen now.
func (s *Screen) Size() (columns, rows int) {
	columns, rows, err := term.GetSize(int(s.out.Fd()))
	if err != nil || columns < 1 || rows < 1 {
		return 80, 24
	}
	return columns, rows
}

// Line is a line of a screen.
type Line struct {
	Text string // untrusted characters are escaped
	Bold bool
}

// Draw shows lines from the top on, as many as there is room for, and nothing else. It does not
// flicker: what stays the same is written over.
func (s *Screen) Draw(lines []Line) error {
	_, rows := s.Size()
	var b strings.Builder
	b.WriteString(home)
	for i, line := range lines[:min(len(lines), rows)] {
		if i > 0 {
			b.WriteString("\r\n")
		}
		shown := Clean(line.Text)
		if line.Bold {
			shown = bold + shown + plain
		}
		b.WriteString(restOfLine + shown)
	}
	if len(lines) < rows {
		b.WriteString("\r\n" + restOfScreen)
	}
	_, err := s.out.WriteString(b.String())
	return err
}

// Close gives the terminal back as it was.
func (s *Screen) Close() error {
	_, err := s.out.WriteString(formerScreen)
	if s.modes != nil {
		err = errors.Join(err, term.Restore(int(s.in.Fd()), s.modes))
	}
	return err
}
