package runner

import (
	"bytes"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/exitcode"
	"github.com/octostore/octostore/cmd/octostore/internal/job"
	"github.com/octostore/octostore/transport/client"
)

// TestMain lets the test binary be a guard.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == job.Argument {
		os.Exit(job.Main())
	}
	os.Exit(m.Run())
}

// Without a limit for the wait, a server that restarts is waited for; one that never was there
// is not.
func TestRunGivesUpOnAServerThatNeverAnswered(t *testing.T) {
	c, err := client.New(client.Config{URL: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	r := &Run{
		Server: c, Name: "a", Command: []string{self}, Wait: -1, TTL: DefaultTTL, KillAfter: DefaultKillAfter,
		Conflict: exitcode.Held, Stderr: &out, Quiet: true, Explain: error.Error, Patience: 100 * time.Millisecond,
	}
	_, err = r.Do(t.Context())
	if exitcode.Of(err) != exitcode.Unavailable || !strings.Contains(err.Error(), "no server has answered yet") {
		t.Errorf("%v", err)
	}
}

// The documentation names every kind of event and every member.
func TestRunEventsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../../../docs/run.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range Kinds() {
		if !strings.Contains(string(page), "| `"+kind+"` |") {
			t.Errorf("docs/run.md has no row for %s", kind)
		}
	}
	for field := range reflect.TypeFor[Event]().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if !strings.Contains(string(page), "`"+name+"`") {
			t.Errorf("docs/run.md does not mention %s", name)
		}
	}
}

func TestRunHolderOfCIJobs(t *testing.T) {
	env := map[string]string{"USER": "alice", "GITHUB_ACTIONS": "true"}
	if got := DefaultHolder(func(name string) string { return env[name] }); !strings.HasPrefix(got, "alice@") {
		t.Errorf("half a job is %q", got)
	}
	env["GITHUB_SERVER_URL"], env["GITHUB_REPOSITORY"], env["GITHUB_RUN_ID"] = "https://github.com", "o/r", "1"
	if got := DefaultHolder(func(name string) string { return env[name] }); got != "https://github.com/o/r/actions/runs/1" {
		t.Errorf("a job is %q", got)
	}
	env["GITHUB_REPOSITORY"] = strings.Repeat("x", 300)
	if got := DefaultHolder(func(name string) string { return env[name] }); !strings.HasPrefix(got, "alice@") {
		t.Errorf("a URL that is too long is %q", got)
	}
	env["USER"] = strings.Repeat("x", 300)
	if got := DefaultHolder(func(name string) string { return env[name] }); !strings.HasPrefix(got, "pid ") {
		t.Errorf("a user whose name is too long is %q", got)
	}
}
