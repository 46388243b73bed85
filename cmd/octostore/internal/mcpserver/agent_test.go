package mcpserver

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/transport/client"
)

func TestMain(m *testing.M) { octotest.Main(m) }

// agent is an agent with a session of its own. Its calls fail the test if the protocol fails.
type agent struct {
	t       *testing.T
	session *mcp.ClientSession
	ended   chan error // the outcome of the server
}

// newAgent begins a session in this process, with the transport of the SDK for tests.
func newAgent(t *testing.T, cfg Config) *agent {
	t.Helper()
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	ours, theirs := mcp.NewInMemoryTransports()
	a := &agent{t: t, ended: make(chan error, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { a.ended <- serve(ctx, ours, cfg) }()
	session, err := mcp.NewClient(&mcp.Implementation{Name: "test-agent", Version: "1.0"}, nil).Connect(t.Context(), theirs, nil)
	if err != nil {
		t.Fatal(err)
	}
	a.session = session
	t.Cleanup(func() {
		_ = session.Close() // closed already: fine
		cancel()
		<-a.ended
	})
	return a
}

// agentAt is an agent that asks a server.
func agentAt(t *testing.T, server *octotest.Server, holder string, change ...func(*Config)) *agent {
	t.Helper()
	cfg := Config{Client: clientOf(t, server.Addr, ""), Holder: holder}
	for _, f := range change {
		f(&cfg)
	}
	return newAgent(t, cfg)
}

func clientOf(t *testing.T, addr, token string) *client.Client {
	t.Helper()
	transport := http.DefaultTransport.(*http.Transport).Clone()
	t.Cleanup(transport.CloseIdleConnections)
	c, err := client.New(client.Config{URL: "http://" + addr, Token: token, HTTP: &http.Client{Transport: transport}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

type args map[string]any

// told is the answer to a call, as both forms of it say.
type told struct {
	outcome

	Locks []lockState `json:"locks"`
	Text  string      `json:"-"`
	Error bool        `json:"-"`
}

func (a *agent) call(tool string, in any) told {
	a.t.Helper()
	got, err := a.try(context.Background(), tool, in)
	if err != nil {
		a.t.Fatalf("%s %v: %v", tool, in, err)
	}
	return got
}

func (a *agent) try(ctx context.Context, tool string, in any) (got told, err error) {
	result, err := a.session.CallTool(ctx, &mcp.CallToolParams{Name: tool, Arguments: in})
	if err != nil {
		return told{}, err
	}
	for _, c := range result.Content {
		got.Text += c.(*mcp.TextContent).Text
	}
	got.Error = result.IsError
	if result.StructuredContent != nil {
		structured, err := json.Marshal(result.StructuredContent)
		if err != nil {
			return told{}, err
		}
		if strings.Contains(string(structured)+got.Text, "lease_id") {
			a.t.Errorf("%s shows a lease id: %s", tool, structured)
		}
		if err := json.Unmarshal(structured, &got); err != nil {
			return told{}, err
		}
	}
	return got, nil
}

// gets acquires a lock that is free.
func (a *agent) gets(lock string) told {
	a.t.Helper()
	got := a.call("acquire", args{"lock": lock})
	a.expect(got, statusHeld, "HELD: the lock "+lock+" is yours")
	return got
}

// waits goes on waiting until it is the agent's turn.
func (a *agent) waits(lock string) told {
	a.t.Helper()
	for giveUp := time.Now().Add(octotest.Patient); ; {
		got := a.call("wait", args{"lock": lock, "wait_seconds": 5})
		if got.Status != statusWaiting || time.Now().After(giveUp) {
			a.expect(got, statusHeld, "HELD")
			return got
		}
	}
}

// expect compares the status of an answer with its text, and both with what has to be.
func (a *agent) expect(got told, status, text string) {
	a.t.Helper()
	if got.Status != status || !strings.Contains(got.Text, text) || got.Held != (status == statusHeld) {
		a.t.Fatalf("got %+v\nwant the status %s and a text with %q", got, status, text)
	}
	if wrong := got.failed(); got.Error != wrong {
		a.t.Errorf("the status %s is marked as an error: %t", got.Status, got.Error)
	}
}

// notices makes a harmless call until an answer has a notice.
func (a *agent) notices() []string {
	a.t.Helper()
	var told []string
	octotest.WaitUntil(a.t, "a notice is told", func() bool {
		got := a.call("list", nil)
		if len(got.Notices) > 0 && !strings.HasPrefix(got.Text, got.Notices[0]) {
			a.t.Errorf("the text does not begin with the notice: %q", got.Text)
		}
		told = got.Notices
		return len(told) > 0
	})
	return told
}

func holderAt(server *octotest.Server, lock string) string {
	if l := server.Look(lock); l.Lease != nil {
		return l.Lease.Holder
	}
	return ""
}

func waitHolder(t *testing.T, server *octotest.Server, lock, holder string) {
	t.Helper()
	octotest.WaitUntil(t, lock+" is held by "+holder, func() bool { return holderAt(server, lock) == holder })
}

// nobodyWaits reports whether no client waits for a lock. The server keeps the place of one that
// left for a few seconds, and passes it over.
func nobodyWaits(server *octotest.Server, lock string) bool {
	for _, w := range server.Look(lock).Waiters {
		if !w.Away {
			return false
		}
	}
	return true
}
