package main

// inMCP are the quicker tests of the sessions of coding agents.
var inMCP = []string{"-run=MCP(LockIs|WaitKeeps|Forgotten|Cancelled|SessionHas|LossIs|Refuses) ./cmd/octostore/internal/mcpserver"}

// mcpMutants break what octostore mcp promises to agents, and to everybody else.
var mcpMutants = []mutant{
	{
		name: "agent-holds-for-ever", file: "cmd/octostore/internal/mcpserver/locks.go",
		old:    "	l.arm(e, e.hold, l.timeUp)\n",
		new:    "",
		breaks: "a lock that an agent has forgotten is renewed as long as its editor is open",
		tests:  inMCP,
	},
	{
		name: "agent-place-not-kept", file: "cmd/octostore/internal/mcpserver/locks.go",
		old:    "	l.arm(e, l.cfg.Kept, l.forget)\n",
		new:    "	l.abandon(e)\n",
		breaks: "an agent loses its place in the queue between two calls",
		tests:  inMCP,
	},
	{
		name: "agent-place-kept-for-ever", file: "cmd/octostore/internal/mcpserver/locks.go",
		old:    "l.arm(e, l.cfg.Kept, l.forget)",
		new:    "l.arm(e, time.Hour, l.forget)",
		breaks: "an agent that does not call again gets the lock, and nobody uses it",
		tests:  inMCP,
	},
	{
		name: "cancelled-agent-waits-on", file: "cmd/octostore/internal/mcpserver/locks.go",
		old:    "	if ctx.Err() != nil {\n		l.abandon(e)\n",
		new:    "	if ctx.Err() != nil {\n",
		breaks: "a call that was cancelled stays in the queue",
		tests:  inMCP,
	},
	{
		name: "two-tasks-one-lock", file: "cmd/octostore/internal/mcpserver/locks.go",
		old:    "		return alreadyHeld(e)\n",
		new:    "		return granted(e)\n",
		breaks: "two tasks of one agent are both told that they have the lock",
		tests:  inMCP,
	},
	{
		name: "agent-loss-untold", file: "cmd/octostore/internal/mcpserver/tools.go",
		old:    "		notices := t.locks.takeNotices()\n",
		new:    "		notices := t.locks.takeNotices()[:0]\n",
		breaks: "an agent is not told that it lost a lock",
		tests:  inMCP,
	},
	{
		name: "null-arguments-panic", file: "cmd/octostore/internal/mcpserver/mcpserver.go",
		old:    ` == "null" {`,
		new:    ` == "none" {`,
		breaks: "a call with null as its arguments ends the session, and nothing is released",
		tests:  inMCP,
	},
}
