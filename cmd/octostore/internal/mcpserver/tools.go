package mcpserver

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/client"
)

// tools are what an agent can call. Schemas and defaults of their inputs are in tools.json.
type tools struct {
	locks  *locks
	server *mcp.Server
}

// answer is the output of a tool.
type answer interface {
	failed() bool
	text() string
	withNotices(notices []string) answer
}

// add registers a tool. Every answer carries the notices that no call has told yet.
func add[In any, Out answer](t *tools, name string, call func(context.Context, *mcp.CallToolRequest, In) Out) {
	mcp.AddTool(t.server, definition(name), func(ctx context.Context, req *mcp.CallToolRequest, in In) (*mcp.CallToolResult, Out, error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(t.locks.ending, cancel)()
		out := call(ctx, req, in)
		if err := ctx.Err(); err != nil { // no answer is read any more; the next one tells
			return nil, out, errors.New("the call was cancelled")
		}
		notices := t.locks.takeNotices()
		out, _ = out.withNotices(notices).(Out)
		words := append(notices, out.text())
		return &mcp.CallToolResult{
			Content: []mcp.Content{&mcp.TextContent{Text: strings.Join(words, "\n")}},
			IsError: out.failed(),
		}, out, nil
	})
}

type acquireInput struct {
	Lock        string `json:"lock"`
	WaitSeconds int    `json:"wait_seconds"`
	HoldSeconds int    `json:"hold_seconds"`
	Reason      string `json:"reason"`
}

func (t *tools) acquire(ctx context.Context, req *mcp.CallToolRequest, in acquireInput) outcome {
	return t.locks.acquire(ctx, wish{
		name: in.Lock, wait: seconds(in.WaitSeconds), hold: seconds(in.HoldSeconds), reason: in.Reason, agent: agentOf(req),
	})
}

type waitInput struct {
	Lock        string `json:"lock"`
	WaitSeconds int    `json:"wait_seconds"`
}

func (t *tools) wait(ctx context.Context, _ *mcp.CallToolRequest, in waitInput) outcome {
	return t.locks.wait(ctx, in.Lock, seconds(in.WaitSeconds))
}

type renewInput struct {
	Lock        string `json:"lock"`
	HoldSeconds int    `json:"hold_seconds"`
}

func (t *tools) renew(ctx context.Context, _ *mcp.CallToolRequest, in renewInput) outcome {
	return t.locks.renew(ctx, in.Lock, seconds(in.HoldSeconds))
}

type lockInput struct {
	Lock string `json:"lock"`
}

func (t *tools) release(ctx context.Context, _ *mcp.CallToolRequest, in lockInput) outcome {
	return t.locks.release(ctx, in.Lock)
}

// patience is how long a read may take.
const patience = 15 * time.Second

func (t *tools) show(ctx context.Context, _ *mcp.CallToolRequest, in lockInput) shown {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	found, err := t.locks.cfg.Client.Lock(ctx, in.Lock, client.QueuePage{})
	if err != nil {
		return shown{Locks: []lockState{}, problem: problemOf(in.Lock, err)}
	}
	return t.shownOf([]api.Lock{found}, false)
}

type listInput struct {
	Prefix string `json:"prefix"`
	Limit  int    `json:"limit"`
}

func (t *tools) list(ctx context.Context, _ *mcp.CallToolRequest, in listInput) shown {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	found, err := t.locks.cfg.Client.Locks(ctx, client.LocksQuery{Prefix: in.Prefix, Limit: in.Limit})
	if err != nil {
		return shown{Locks: []lockState{}, problem: problemOf(in.Prefix, err)}
	}
	return t.shownOf(found.Locks, found.Next != "")
}

func (t *tools) shownOf(found []api.Lock, more bool) shown {
	s := shown{Locks: []lockState{}, More: more}
	for _, l := range found {
		state := stateOf(l)
		state.Yours = t.locks.standing(l.Name)
		s.Locks = append(s.Locks, state)
	}
	return s
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }

// agentOf returns the name of the program that the agent runs in, if it says one.
func agentOf(req *mcp.CallToolRequest) string {
	params := req.Session.InitializeParams()
	if params == nil || params.ClientInfo == nil {
		return ""
	}
	name := strings.TrimSpace(params.ClientInfo.Name + " " + params.ClientInfo.Version)
	const most = 100
	return strings.Map(printable, name[:min(len(name), most)])
}

// printable drops what the value of metadata may not have.
func printable(r rune) rune {
	if r < ' ' || r > '~' {
		return -1
	}
	return r
}
