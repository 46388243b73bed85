package main

var inClient = []string{"./transport/client"}

// clientMutants break the Go client: what counts as a grant, the place in the queue, the end of a
// lease, and the leader of an election.
var clientMutants = []mutant{
	{
		name: "client-any-grant", file: "transport/client/leases.go",
		old:    "	if !isGrant(g, r.Name) {\n",
		new:    "	if false {\n",
		breaks: "any JSON with status 200 is a grant",
		tests:  inClient,
	},
	{
		name: "client-sends-again", file: "transport/client/leases.go",
		old:    "	req.GetBody = nil\n",
		new:    "",
		breaks: "a request with a key is sent again by package net/http",
		tests:  inClient,
	},
	{
		name: "client-many-attempts", file: "transport/client/queueing.go",
		old:    "Wait: wait, Key: q.key,\n",
		new:    "Wait: wait, Key: newKey(),\n",
		breaks: "each request is an attempt of its own, and loses the place",
		tests:  inClient,
	},
	{
		name: "client-does-not-overlap", file: "transport/client/queueing.go",
		old:    "	overlap = 5 * time.Second\n",
		new:    "	overlap = -time.Second\n",
		breaks: "between two requests the place in the queue has no listener",
		tests:  inClient,
	},
	{
		name: "client-learns-nothing", file: "transport/client/queueing.go",
		old:    "	q.slice = min(q.slice, took*4/5)\n",
		new:    "",
		breaks: "a proxy cuts every request, and the place is without a listener each time",
		tests:  inClient,
	},
	{
		name: "client-leaves-ghosts", file: "transport/client/queueing.go",
		old:    "	if granted == nil && q.unsure {\n		granted, _ = q.resolve(ctx, nil)\n	}\n",
		new:    "",
		breaks: "a client that gave up stays in the queue behind a proxy, and is granted the lock",
		tests:  inClient,
	},
	{
		name: "client-keeps-a-grant", file: "transport/client/queueing.go",
		old:    "	if granted != nil {\n		q.giveBack(ctx, granted.grant.LeaseID)\n	}\n",
		new:    "",
		breaks: "a grant that crosses the end of the context is not given back",
		tests:  inClient,
	},
	{
		name: "client-unconfirmed", file: "transport/client/keep.go",
		old:    "		err := l.renew(ctx)\n		if err == nil {\n			break\n",
		new:    "		var err error\n		if err == nil {\n			break\n",
		breaks: "Acquire returns a lease that was not renewed",
		tests:  inClient,
	},
	{
		name: "client-counts-from-the-answer", file: "transport/client/lease.go",
		old:    "	l.end = max(l.end, sent+",
		new:    "	l.end = max(l.end, l.c.now()+",
		breaks: "a lease counts from the answer, and is over before its holder thinks so",
		tests:  inClient,
	},
	{
		name: "client-without-margin", file: "transport/client/lease.go",
		old:    "	return l.end - l.margin - l.c.now()\n",
		new:    "	return l.end - l.c.now()\n",
		breaks: "the context ends when the lease does, not before",
		tests:  inClient,
	},
	{
		name: "client-waits-for-a-hanging-server", file: "transport/client/keep.go",
		old:    "&sending{most: patience}",
		new:    "&sending{wait: patience}",
		breaks: "one renewal that hangs takes all the time there is",
		tests:  inClient,
	},
	{
		name: "client-sleeps-through", file: "transport/client/keep.go",
		old:    "const look = time.Second\n",
		new:    "const look = time.Hour\n",
		breaks: "a machine that was suspended does not notice that its lease is over",
		tests:  inClient,
	},
	{
		name: "client-lost-release", file: "transport/client/lease.go",
		old:    "err == nil || lost && errors.Is(err, ErrNotHeld)",
		new:    "err == nil",
		breaks: "a release whose answer was lost looks like a lost lease",
		tests:  inClient,
	},
	{
		name: "leader-that-stays", file: "transport/client/campaign.go",
		old:    "func() { end(context.Cause(l.Context())) })\n",
		new:    "func() {})\n",
		breaks: "a leader that has lost its lease is not told",
		tests:  inClient,
	},
	{
		name: "client-hangs-with-its-callback", file: "transport/client/keep.go",
		old:    "			go k.renew()\n",
		new:    "			k.renew()\n",
		breaks: "a callback that hangs keeps the context of a lost lease from ending",
		tests:  inClient,
	},
	{
		name: "client-waits-for-itself", file: "transport/client/acquire.go",
		old:    "		q.unsure = true\n",
		new:    "		q.begin()\n",
		breaks: "Acquire waits behind a lease of its own, whose first renewal had no answer",
		tests:  inClient,
	},
	{
		name: "client-believes-the-time-of-the-server", file: "transport/client/lease.go",
		old:    "min(took, time.Duration(g.ServerMS)*time.Millisecond)",
		new:    "time.Duration(g.ServerMS)*time.Millisecond + 0*took",
		breaks: "a client whose clock stood still while it waited believes its lease to last for longer",
		tests:  inClient,
	},
	{
		name: "client-takes-refusals-for-releases", file: "transport/client/lease.go",
		old:    "s.gone.Load() && mayBeDone(err)",
		new:    "s.gone.Load()",
		breaks: "a lease that had ended counts as released after a server that was stopping",
		tests:  inClient,
	},
}

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
