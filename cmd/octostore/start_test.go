package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// The first thing a start says is that it works, and the command it names for the first
// token works while it runs.
func TestStartSaysFirstThatItListensAndHowToMakeAToken(t *testing.T) {
	needTools(t, "sh")
	p := newProcess(t, t.TempDir())
	var hint string
	var first logLine
	waitUntil(t, "it says how to make a token", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		first = p.log[0]
		for _, line := range p.log {
			if _, command, is := strings.Cut(line.Msg, "this makes the first one: "); is {
				hint = command
			}
		}
		return hint != ""
	})
	if first.Msg != "listening" || first.Level != "INFO" {
		t.Errorf("the first line of a default start is %+v", first)
	}
	cmd := exec.Command("sh", "-c", hint)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "XDG_CONFIG_HOME="+cmd.Dir)
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "account admin: admin") {
		t.Errorf("$ %s: %v\n%s", hint, err, out)
	}
	expect(t, call("GET", p.Addr, "/v1/locks"), 401, "")
}
