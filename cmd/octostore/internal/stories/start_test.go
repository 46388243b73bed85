package stories_test

import (
	"strings"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

// The first thing a start says is that it works, and the command it names for the first
// token works while it runs.
func TestStartSaysFirstThatItListensAndHowToMakeAToken(t *testing.T) {
	octotest.NeedTools(t, "sh")
	p := octotest.Start(t, t.TempDir())
	var hint string
	var first octotest.LogLine
	octotest.WaitUntil(t, "it says how to make a token", func() bool {
		lines := p.Log()
		first = lines[0]
		for _, line := range lines {
			if _, command, is := strings.Cut(line.Msg, "create the first token with: "); is {
				hint = command
			}
		}
		return hint != ""
	})
	if first.Msg != "listening" || first.Level != "INFO" {
		t.Errorf("the first line of a default start is %+v", first)
	}
	dir := t.TempDir()
	cmd := octotest.Shell(t, dir, hint, "XDG_CONFIG_HOME="+dir)
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "account admin: admin") {
		t.Errorf("$ %s: %v\n%s", hint, err, out)
	}
	octotest.Expect(t, octotest.Call("GET", p.Addr, "/v1/locks"), 401, "")
}
