package top_test

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

// atTerminal starts octostore top in a terminal of that size.
func atTerminal(t *testing.T, p *octotest.Server, args ...string) *octotest.Terminal {
	t.Helper()
	cmd := exec.Command(octotest.Binary(t), append([]string{"top", "--url", "http://" + p.Addr}, args...)...)
	cmd.Env = []string{"HOME=" + t.TempDir(), "TERM=xterm"}
	s := octotest.StartInTerminal(t, cmd)
	s.Resize(100, 24)
	return s
}

func (e ends) wait(t *testing.T) {
	t.Helper()
	octotest.WaitUntil(t, "the program ends", func() bool {
		select {
		case <-e.Done:
			return true
		default:
			return false
		}
	})
}

type ends struct{ *octotest.Terminal }

// What is pressed takes effect, and the terminal is as it was when the program has ended.
func TestTopAtATerminalShowsWhatChangesUntilItsEnd(t *testing.T) {
	t.Parallel()
	p := waitedFor(t)
	for i, end := range []string{"q", octotest.CtrlC} {
		other := fmt.Sprintf("other-%d", i)
		p.Take(t, other, "?ttl=10m")
		s := atTerminal(t, p)
		s.Sees("deploy/b")
		s.Sees("s sort by wait")
		s.Sees(", up ")
		if strings.Contains(s.Shown(), other) {
			t.Error("a lock without waiters is shown")
		}
		p.Enqueue(t, other, "", 1)
		s.Sees(other)
		s.Types("s")
		s.Sees("s sort by name")
		s.Types("s")
		s.Sees("s sort by waiters")
		s.Types(end)
		ends{s}.wait(t)
		if code := s.Cmd.ProcessState.ExitCode(); code != 0 {
			t.Errorf("exit code %d after %q", code, end)
		}
		octotest.WaitUntil(t, "the last that the terminal gets is its end", func() bool {
			return strings.HasSuffix(s.Shown(), "\x1b[?7h\x1b[?25h\x1b[?1049l")
		})
		if s.Modes().Lflag != s.Before.Lflag {
			t.Errorf("the modes of the terminal are %x, and were %x", s.Modes().Lflag, s.Before.Lflag)
		}
	}
}

func TestTopFitsTheTerminal(t *testing.T) {
	t.Parallel()
	p := octotest.Start(t, t.TempDir())
	for i := range 30 {
		p.Take(t, fmt.Sprintf("lock-%02d", i), "?ttl=10m")
	}
	s := atTerminal(t, p, "--sort", "name")
	s.Sees("lock-05")
	s.Types("x") // forgets what was shown
	s.Resize(60, 12)
	octotest.WaitUntil(t, "the screen has twelve lines", func() bool {
		screens := strings.Split(s.Shown(), "\x1b[H")
		last := screens[max(0, len(screens)-2)] // it is whole
		return strings.Count(last, "\r\n") == 11 && strings.Contains(last, "lock-00") && !strings.Contains(last, "lock-10")
	})
}

func TestTopConnectsAgainAndSaysSo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := octotest.Start(t, dir)
	p.Take(t, "a", "?ttl=10m&holder=steady")
	s := atTerminal(t, p, "--sort", "name")
	s.Sees("steady")
	s.Types("x")
	p.Kill()
	s.Sees("the connection is lost; connecting again")
	s.Sees("steady") // what was there is still shown
	octotest.Start(t, dir, "OCTOSTORE_ADDR="+p.Addr)
	s.Types("x")
	s.Sees("q quit")
}

func TestTopAtATerminalShowsWhatTheTokenMaySee(t *testing.T) {
	t.Parallel()
	p := teams(t)
	cmd := exec.Command(octotest.Binary(t), "top", "--sort", "name")
	cmd.Env = append(withToken(t, p), "HOME="+t.TempDir(), "TERM=xterm")
	s := octotest.StartInTerminal(t, cmd)
	s.Sees("bobs-job")
	if shown := s.Shown(); strings.Contains(shown, "alice") || strings.Contains(shown, ", up ") {
		t.Errorf("shown is %q", shown)
	}
	s.Types("q")
	ends{s}.wait(t)
}
