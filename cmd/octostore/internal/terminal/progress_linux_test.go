package terminal_test

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/cmd/octostore/internal/terminal"
)

// TestMain runs a command with a progress line, if a test has started this program as one.
func TestMain(m *testing.M) {
	if os.Getenv("OCTOSTORE_TEST_PROGRESS") == "" {
		os.Exit(m.Run())
	}
	p := terminal.NewProgress(os.Stderr, "counting")
	p.Set(1<<20, 4<<20)
	lines := bufio.NewScanner(os.Stdin) // what is typed makes it go on
	for lines.Scan() && lines.Text() != "end" {
		p.Set(3<<20, 4<<20)
	}
	p.End()
	os.Stdout.WriteString("done\n")
}

// On a real terminal the line has its width, also after that has changed.
func TestProgressFitsTheTerminal(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "OCTOSTORE_TEST_PROGRESS=1", "TERM=xterm")
	s := octotest.StartInTerminal(t, cmd)
	s.Resize(30, 10)
	s.Sees("\rcounting: 25%, 1.0 MiB of 4.0")
	s.Resize(12, 10)
	s.Types("more\r")
	s.Sees("\rcounting: 7") // 75 %
	drawn := func() int { return strings.Count(s.Shown(), "\rcounting: 7") }
	octotest.WaitUntil(t, "it is drawn again", func() bool { return drawn() > 2 })
	for _, line := range strings.Split(s.Shown(), "\r")[2:] {
		if seen := strings.Trim(line, "\b"); len(strings.TrimRight(seen, " ")) > 11 {
			t.Errorf("%q is wider than the terminal", seen)
		}
	}
	s.Types("end\r")
	<-s.Done
	s.Sees("done\r\n")
	if !strings.HasSuffix(s.Shown(), "\r           \rdone\r\n") {
		t.Errorf("it ends with %q, not with an empty line and what comes after", s.Shown())
	}
}
