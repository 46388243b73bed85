package demo

import (
	"fmt"
	"io"
)

// story prints the demonstration.
type story struct {
	out   io.Writer
	color bool
}

const (
	bold  = "1"
	dim   = "2"
	green = "32"
)

func (s story) paint(style, text string) string {
	if !s.color {
		return text
	}
	return "\x1b[" + style + "m" + text + "\x1b[0m"
}

func (s story) say(format string, args ...any) {
	fmt.Fprintf(s.out, format+"\n", args...)
}

func (s story) scene(n int, title string) {
	s.say("\n%s", s.paint(bold, fmt.Sprintf("%d. %s", n, title)))
}

// does prints a request of a client.
func (s story) does(who, format string, args ...any) {
	s.say("  %s  %s", s.paint(bold, who), s.paint(dim, fmt.Sprintf(format, args...)))
}

// hears prints the answer to a client.
func (s story) hears(who, format string, args ...any) {
	s.say("  %s  %s", s.paint(bold, who), s.paint(green, fmt.Sprintf("← "+format, args...)))
}
