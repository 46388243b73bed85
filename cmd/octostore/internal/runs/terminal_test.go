//go:build linux

package runs_test

import (
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/transport/api"
)

// typed is a script of the system's shell on a terminal of its own.
type typed struct {
	wrapped

	keys io.WriteCloser
}

// onTerminal starts a script in a folder on a terminal with 60 columns.
func onTerminal(t *testing.T, p *octotest.Server, dir, script string) *typed {
	t.Helper()
	octotest.NeedTools(t, "script", "stty", "bash")
	tmp := t.TempDir()
	r := &typed{wrapped: wrapped{tmp: tmp, done: make(chan struct{})}}
	r.cmd = exec.Command("script", "-qec", "stty cols 60; bash -c '"+script+"'", "/dev/null")
	r.cmd.Dir = dir
	r.cmd.Env = append(environ(t, "http://"+p.Addr, tmp), octotest.SearchPath(t), "TERM=xterm", "SHELL=/bin/sh")
	keys, err := r.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	r.keys, r.cmd.Stdout, r.cmd.Stderr = keys, &r.out, os.Stderr
	r.cmd.WaitDelay = octotest.Patient
	r.begin(t)
	return r
}

func TestRunDrawsOneLineOnATerminal(t *testing.T) {
	t.Parallel()
	p := octotest.Start(t, t.TempDir())
	g := p.Take(t, "a", "?holder=ci-4711&ttl=5m")
	later := regexp.MustCompile(`\ra is held by ci-4711 \(local\) for [1-9][0-9]*s, at most [34]m`)
	r := onTerminal(t, p, t.TempDir(), "octostore run --holder us a -- echo ran; echo rc $?")
	octotest.WaitUntil(t, "it says how it goes", func() bool {
		return later.MatchString(r.out.String())
	})
	octotest.Expect(t, p.Release(g), 200, "")
	r.ends(t, 0)
	before, after, _ := strings.Cut(r.out.String(), "ran\r\n")
	if after != "rc 0\r\n" || strings.Contains(before, "\n") || !strings.HasSuffix(before, " \r") {
		t.Errorf("%q, then %q", before, after)
	}
	for drawn := range strings.SplitSeq(before, "\r") {
		if len(drawn) > 59 {
			t.Errorf("%q is too long for the terminal", drawn)
		}
	}
}

// Ctrl-C ends the command, the run and the loop of the shell around it.
func TestRunStopsWithALoopAtControlC(t *testing.T) {
	t.Parallel()
	p, dir := octotest.Start(t, t.TempDir()), t.TempDir()
	r := onTerminal(t, p, dir, "for i in 1 2 3; do octostore run a -- sh -c \"echo x >>runs; exec sleep 60\"; done; echo on >>runs")
	runs(t, dir, "runs")
	octotest.WaitUntil(t, "the command is at work", func() bool { return strings.TrimSpace(content(t, dir, "runs")) == "x" })
	if _, err := io.WriteString(r.keys, "\x03"); err != nil {
		t.Fatal(err)
	}
	r.ends(t, 130)
	if got := content(t, dir, "runs"); got != "x" || p.Look("a").State != api.Free {
		t.Errorf("after ctrl-C it went on: %q, %+v", got, p.Look("a"))
	}
}
