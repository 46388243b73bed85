package mcpserver

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/transport/api"
)

// process is an agent whose session is a process of its own.
type process struct {
	*agent

	cmd *exec.Cmd
}

// startMCP starts octostore mcp as the program of an agent does.
func startMCP(t *testing.T, environ []string, arguments ...string) process {
	t.Helper()
	cmd := exec.Command(octotest.Binary(t), append([]string{"mcp"}, arguments...)...)
	cmd.Env = append(os.Environ(), environ...)
	var errs octotest.Buffer
	cmd.Stderr = &errs
	session, err := mcp.NewClient(&mcp.Implementation{Name: "test-agent", Version: "1.0"}, nil).Connect(
		t.Context(), &mcp.CommandTransport{Command: cmd}, nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, errs.String())
	}
	t.Cleanup(func() {
		_ = session.Close() // ended already: fine
		if t.Failed() {
			t.Logf("what octostore mcp said:\n%s", errs.String())
		}
	})
	return process{&agent{t: t, session: session}, cmd}
}

// The real command, as agents start it: waits, hands over in order, and releases at the end of
// its input, and at SIGTERM.
func TestMCPProcessReleasesWhenItEnds(t *testing.T) {
	t.Parallel()
	server := octotest.Start(t, t.TempDir())
	url := "http://" + server.Addr
	first := startMCP(t, nil, "--url", url, "--holder", "first")
	second := startMCP(t, []string{"OCTOSTORE_URL=" + url}, "--holder", "second")
	third := startMCP(t, nil, "--url", url, "--holder", "third")
	first.gets("x")
	for i, p := range []process{second, third} {
		if got := p.call("acquire", args{"lock": "x", "wait_seconds": 1}); got.Status != statusWaiting || got.Position != i+1 {
			t.Fatalf("%+v", got)
		}
	}
	if err := first.session.Close(); err != nil { // closes its input
		t.Errorf("the first ended with %v", err)
	}
	second.waits("x")
	if err := second.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	third.waits("x")
	third.call("release", args{"lock": "x"})
	if s := server.Look("x").State; s != api.Free {
		t.Errorf("it is %s", s)
	}
}

// A killed process cannot release; its lease ends by itself, and no later.
func TestMCPProcessKilledLosesItsLockAfterItsTTL(t *testing.T) {
	t.Parallel()
	server := octotest.Start(t, t.TempDir())
	url := "http://" + server.Addr
	victim := startMCP(t, nil, "--url", url, "--ttl", "2s")
	next := startMCP(t, nil, "--url", url)
	victim.gets("x")
	if ttl := server.Look("x").Lease.TTLMS; ttl != 2000 {
		t.Errorf("the ttl is %d ms", ttl)
	}
	if got := next.call("acquire", args{"lock": "x", "wait_seconds": 1}); got.Status != statusWaiting {
		t.Fatalf("%+v", got)
	}
	if err := victim.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	next.waits("x")
}

// A lock is kept over a restart of the server, and so is the wait for one.
func TestMCPProcessOutlivesRestartsOfTheServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server := octotest.Start(t, dir)
	addr := "OCTOSTORE_ADDR=" + server.Addr
	holder := startMCP(t, nil, "--url", "http://"+server.Addr, "--holder", "holder")
	waiter := startMCP(t, nil, "--url", "http://"+server.Addr, "--holder", "waiter")
	before := holder.gets("x")
	if got := waiter.call("acquire", args{"lock": "x", "wait_seconds": 1}); got.Status != statusWaiting {
		t.Fatalf("%+v", got)
	}
	server.Kill()
	if got := waiter.call("wait", args{"lock": "x", "wait_seconds": 1}); got.Status != statusWaiting || !strings.Contains(got.Text, "no answer from") {
		t.Errorf("while the server is away: %+v", got)
	}
	octotest.Start(t, dir, addr)
	if got := holder.call("renew", args{"lock": "x"}); !got.Held || got.FencingToken != before.FencingToken {
		t.Errorf("after the restart: %+v", got)
	}
	holder.call("release", args{"lock": "x"})
	waiter.waits("x")
	waiter.call("release", args{"lock": "x"}) // while the server is there
}

// Standard output is for the protocol only, and an agent that says nothing more ends the session.
func TestMCPProcessWritesOnlyTheProtocol(t *testing.T) {
	t.Parallel()
	server := octotest.Start(t, t.TempDir())
	p := startRaw(t, server)
	p.gets("x")
	// As clients write it that have no arguments.
	p.send(`{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"list","arguments":null}}`)
	if m := p.next(); m.ID != 3 || !strings.Contains(string(m.Result), `"yours":"held"`) {
		t.Errorf("%s", m.Result)
	}
	if err := p.in.Close(); err != nil {
		t.Fatal(err)
	}
	if p.lines.Scan() {
		t.Errorf("more than was asked for: %q", p.lines.Text())
	}
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
	if s := server.Look("x").State; s != api.Free {
		t.Errorf("it is %s", s)
	}
}

// rawProcess is a session whose messages a test writes itself.
type rawProcess struct {
	t     *testing.T
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   io.Closer
	lines *bufio.Scanner
}

func startRaw(t *testing.T, server *octotest.Server) rawProcess {
	t.Helper()
	cmd := exec.Command(octotest.Binary(t), "mcp", "--url", "http://"+server.Addr)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // it has ended: fine
	return rawProcess{t, cmd, in, out, bufio.NewScanner(out)}
}

func (p rawProcess) send(message string) {
	p.t.Helper()
	if _, err := p.in.Write([]byte(message + "\n")); err != nil {
		p.t.Fatal(err)
	}
}

func (p rawProcess) next() (m struct {
	Jsonrpc string
	ID      int
	Result  json.RawMessage
}) {
	p.t.Helper()
	if !p.lines.Scan() {
		p.t.Fatal("the output has ended")
	}
	if err := json.Unmarshal(p.lines.Bytes(), &m); err != nil || m.Jsonrpc != "2.0" {
		p.t.Errorf("not of the protocol: %q", p.lines.Text())
	}
	return m
}

// gets begins the session and acquires a lock.
func (p rawProcess) gets(lock string) {
	p.t.Helper()
	p.send(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"old","version":"1"}}}`)
	p.next()
	p.send(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	p.send(`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"acquire","arguments":{"lock":"` + lock + `"}}}`)
	if m := p.next(); m.ID != 2 || !strings.Contains(string(m.Result), `"status":"held"`) {
		p.t.Errorf("%s", m.Result)
	}
}

// However the agent leaves, the session releases its locks: its terminal is closed, or it no longer
// reads what is said.
func TestMCPProcessReleasesHoweverTheAgentLeaves(t *testing.T) {
	t.Parallel()
	server := octotest.Start(t, t.TempDir())
	for how, leave := range map[string]func(p rawProcess) error{
		"hangup": func(p rawProcess) error { return p.cmd.Process.Signal(syscall.SIGHUP) },
		"unread": func(p rawProcess) error {
			err := p.out.Close()
			p.send(`{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"list"}}`)
			return err
		},
	} {
		t.Run(how, func(t *testing.T) {
			p := startRaw(t, server)
			p.gets(how)
			if err := leave(p); err != nil {
				t.Fatal(err)
			}
			_ = p.cmd.Wait() // an error is right if nobody reads
			if s := server.Look(how).State; s != api.Free {
				t.Errorf("it is %s", s)
			}
		})
	}
}

func TestMCPProcessRefusesAWrongServer(t *testing.T) {
	t.Parallel()
	if out := octotest.Run(t, "mcp", "--url", "ftp://x"); out.Code != 1 && out.Code != 64 || out.Stdout != "" || !strings.Contains(out.Stderr, "is not the URL of a server") {
		t.Errorf("%+v", out)
	}
}

// The configuration in docs/mcp.md works, and the page has every tool and status.
func TestMCPPageTellsTheTruth(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(octotest.Path("docs/mcp.md"))
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	block := regexp.MustCompile("(?s)```json\n(.*?)```").FindStringSubmatch(page)
	var config struct {
		MCPServers map[string]struct {
			Command string
			Args    []string
			Env     map[string]string
		} `json:"mcpServers"`
	}
	if block == nil {
		t.Fatal("the page has no configuration")
	}
	if err := json.Unmarshal([]byte(block[1]), &config); err != nil {
		t.Fatal(err)
	}
	entry := config.MCPServers["octostore"]
	if entry.Command != "octostore" || entry.Args[0] != "mcp" {
		t.Fatalf("%+v", entry)
	}
	server := octotest.Start(t, t.TempDir())
	i := slices.Index(entry.Args, "http://127.0.0.1:3000")
	entry.Args[i] = "http://" + server.Addr
	var environ []string
	for name, value := range entry.Env {
		environ = append(environ, name+"="+value)
	}
	a := startMCP(t, environ, entry.Args[1:]...)
	a.gets("deploy/prod")
	ctx, cancel := context.WithTimeout(t.Context(), octotest.Patient)
	defer cancel()
	tools, err := a.session.ListTools(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, tool := range tools.Tools {
		names = append(names, tool.Name)
	}
	names = append(names, statusHeld, statusWaiting, statusBusy, statusDenied, statusAlready, statusReleased, statusLost, statusNotHeld, statusError)
	for _, name := range names {
		if !strings.Contains(page, "\n| `"+name+"` | ") {
			t.Errorf("the page does not have %s", name)
		}
	}
	command := regexp.MustCompile(`(?m)^\$ octostore (token create .*)$`).FindStringSubmatch(page)
	words := strings.Fields(strings.ReplaceAll(command[1], "'", ""))
	if out := octotest.RunWith(t, []string{"OCTOSTORE_DB=" + t.TempDir() + "/x.db"}, append(words, "--create")...); out.Code != 0 {
		t.Errorf("%s: %+v", command[1], out)
	}
}
