package main

var (
	inSession  = []string{"./cmd/octostore/internal/session"}
	inLocktool = []string{"./cmd/octostore/internal/locktool"}
)

// verbMutants break the commands for locks, and the choice of the server that they ask.
var verbMutants = []mutant{
	{
		name: "profile-token-for-any-server", file: "cmd/octostore/internal/session/profiles.go",
		old:    "source{url: p.URL, only: p.URL, token",
		new:    "source{url: p.URL, token",
		breaks: "the token of a profile goes to the server of --url",
		tests:  inSession,
	},
	{
		name: "environment-token-for-a-profile", file: "cmd/octostore/internal/session/server.go",
		old:    "		e.only = e.url\n",
		new:    "",
		breaks: "a token of the environment for one server goes to that of a profile",
		tests:  inSession,
	},
	{
		name: "environment-before-named-profile", file: "cmd/octostore/internal/session/server.go",
		old:    "		order[1], order[2] = order[2], order[1]\n",
		new:    "",
		breaks: "OCTOSTORE_URL goes before --profile",
		tests:  inSession,
	},
	{
		name: "logins-lose-each-other", file: "cmd/octostore/internal/session/credentials.go",
		old:    "		if err == nil {\n			return func() { f.Close() }, nil\n		}\n",
		new:    "		if err == nil || errors.Is(err, filelock.ErrLocked) {\n			return func() { f.Close() }, nil\n		}\n",
		breaks: "two logins at once lose a token",
		tests:  inSession,
	},
	{
		name: "timeout-of-headers-only", file: "cmd/octostore/internal/session/timeout.go",
		old:    "	if isStream(resp) {\n",
		new:    "	if true {\n",
		breaks: "an answer that stops in its middle is waited for without end",
		tests:  inSession,
	},
	{
		name: "shell-unquoted", file: "cmd/octostore/internal/locktool/grant.go",
		old:    "strings.ReplaceAll(s, \"'\", `'\\''`)",
		new:    "s",
		breaks: "a quote in a name runs commands in eval",
		tests:  inLocktool,
	},
	{
		name: "eval-of-cut-output", file: "cmd/octostore/internal/locktool/grant.go",
		old:    `terminal.Exact(w), "{ :\n")`,
		new:    `terminal.Exact(w), ":\n")`,
		breaks: "a script goes on without its lock when a signal ends octostore acquire --shell",
		tests:  []string{"-run=TestShell ./cmd/octostore/internal/locktool"},
	},
	{
		name: "eval-of-another-form", file: "cmd/octostore/locks.go",
		old:    "slices.ContainsFunc(args, asksForShell)",
		new:    `slices.Contains(args, "--shell")`,
		breaks: "a script goes on without its lock after a failed octostore acquire --shell=true",
		tests:  []string{"-run=TestAcquire ./cmd/octostore"},
	},
	{
		name: "unprinted-lease-kept", file: "cmd/octostore/locks.go",
		old:    "	if f.options.Key != \"\" {\n		return failed",
		new:    "	if true {\n		return failed",
		breaks: "a lease whose id could not be printed is held until its end",
		tests:  []string{"-run=TestAcquire ./cmd/octostore"},
	},
	{
		name: "watch-begins-again", file: "cmd/octostore/internal/locktool/watch.go",
		old:    "		w.Query.After = e.ID\n",
		new:    "",
		breaks: "a watch misses the events of a lost connection",
		tests:  inLocktool,
	},
	{
		name: "history-of-longer-names", file: "cmd/octostore/internal/locktool/events.go",
		old:    "		if about.Name != name {",
		new:    "		if about.Name == \"\" {",
		breaks: "octostore show a shows events of a/b",
		tests:  inLocktool,
	},
	{
		name: "history-cut-off", file: "cmd/octostore/internal/locktool/events.go",
		old:    "		if err == io.EOF && complete && len(line) == 0 {",
		new:    "		if err == io.EOF && len(line) == 0 {",
		breaks: "a history that was cut off is shown as the whole",
		tests:  inLocktool,
	},
	{
		name: "unkept-unconfirmed", file: "transport/client/unkept.go",
		old:    "	if o.Confirm != 0 {\n",
		new:    "	if true {\n",
		breaks: "octostore acquire prints a lease that ends after the confirm time",
		tests:  []string{"-run=AcquireUnkept ./transport/client"},
	},
	{
		name: "unkept-kept", file: "transport/client/unkept.go",
		old:    "	l.cancel(errUnkept)\n	<-l.ended\n",
		new:    "",
		breaks: "a lease that was left to the caller is renewed on",
		tests:  []string{"-run=AcquireUnkept ./transport/client"},
	},
}

// moveMutants break the ways by which a table moves to another store or node.
var moveMutants = []mutant{
	{
		name: "half-a-table-is-served", file: "core/store/etcd/import.go",
		old:    "	guard := append(im.records.guard(), clientv3.Compare(clientv3.CreateRevision(k.meta()), \"=\", 0))\n",
		new:    "	guard := im.records.guard()\n",
		breaks: "a table that was copied beside a node that was started too early has the secret of neither",
		tests:  []string{"-run=TestImport ./core/store/etcd"},
	},
	{
		name: "copy-of-a-served-table", file: "core/store/etcd/inspect.go",
		old:    "		return s.unchanged(ctx)\n",
		new:    "		return nil\n",
		breaks: "a copy lacks what a node has written while it was made",
		tests:  []string{"-run=TestRead ./core/store/etcd"},
	},
	{
		name: "copy-not-compared", file: "cmd/octostore/internal/storetool/storetool.go",
		old:    "	return differences(r.table, t)\n",
		new:    "	_ = differences(r.table, t)\n	return nil\n",
		breaks: "a copy without a lease is called verified",
		tests:  []string{"-run=TestStoreCopy ./cmd/octostore/internal/storetool"},
	},
	{
		name: "copy-drops-unasked", file: "cmd/octostore/internal/storetool/storetool.go",
		old:    "	if !r.DropOldest {\n",
		new:    "	if !r.DropOldest && false {\n",
		breaks: "a copy leaves old audit records out without being asked to",
		tests:  []string{"-run=TestStoreCopy ./cmd/octostore/internal/storetool"},
	},
	{
		name: "hand-over-not-awaited", file: "cmd/octostore/internal/clustertool/clustertool.go",
		old:    " && now.Serving.Term != h.Term {",
		new:    " {",
		breaks: "a hand-over by hand is called done while the old node still serves",
		tests:  []string{"-run=TestHandOver ./cmd/octostore/internal/clustertool"},
	},
}

// forwardMutants break the way of a request through a node that does not serve.
var forwardMutants = []mutant{
	{
		name: "forward-grant-without-asking", file: "transport/forward/passage.go",
		old:    "	return p.askFor(ask)\n",
		new:    "	p.ask = ask\n	go func() { _ = p.askFor(ask) }()\n	return nil\n",
		breaks: "a grant is delivered before the serving node knows that a broken connection says nothing any more",
		tests:  inForward,
	},
	{
		name: "forward-broken-connection-says-nothing", file: "transport/forward/receiver.go",
		old:    "	case <-ctx.Done():\n		a.refuse(lock.ErrGone)\n",
		new:    "	case <-ctx.Done():\n",
		breaks: "a grant stays with a node that has died before it asked for it",
		tests:  inForward,
	},
	{
		name: "forward-repeats-a-request", file: "transport/forward/passage.go",
		old:    "		delete(h, api.HeaderKey)\n		h[strings.ToLower(api.HeaderKey)] = key",
		new:    "		h[api.HeaderKey] = key",
		breaks: "the transport sends a request with an idempotency key again",
		tests:  inForward,
	},
	{
		name: "forward-hides-what-is-unknown", file: "transport/forward/passage.go",
		old:    "	return lock.ErrOutcomeUnknown\n",
		new:    "	return lock.ErrDeposed\n",
		breaks: "a request that may have been done is answered as if nothing had been done",
		tests:  inForward,
	},
	{
		name: "forward-again-whatever-was-done", file: "transport/forward/again.go",
		old:    "json.Unmarshal(body, &says) == nil && says.Code == api.CodeMoved\n",
		new:    "json.Unmarshal(body, &says) == nil && says.Code != \"\"\n",
		breaks: "a request that may have been done is sent to the next node",
		tests:  inForward,
	},
	{
		name: "hand-over-refuses", file: "transport/standby/standby.go",
		old:    "		if !s.cfg.Forward.Pass(w, r, until) {\n",
		new:    "		if !s.cfg.Forward.Pass(w, r, time.Time{}) {\n",
		breaks: "a request through another node is refused while the term is handed over",
		tests:  inLife,
	},
	{
		name: "forward-bounds-a-body-twice", file: "transport/exchange.go",
		old:    "	if x.hasBody && !forward.HasRead(x.r) {\n",
		new:    "	if x.hasBody && (true || !forward.HasRead(x.r)) {\n",
		breaks: "a wait that moved here ends after ten seconds without an answer",
		tests:  inLife,
	},
	{
		name: "forward-takes-the-body-away", file: "transport/forward/again.go",
		old:    "		sent.Body = repeat(body.all)\n",
		new:    "		sent.Body = body\n",
		breaks: "a request that moved here is answered without its body: a break forgets its fencing token",
		tests:  inLife,
	},
	{
		name: "forward-goes-on-forever", file: "transport/forward/forward.go",
		old:    "	if c, is := claimOf(f.cfg.Key, r); is {\n",
		new:    "	if c, is := claimOf(f.cfg.Key, r); is && c.term < 0 {\n",
		breaks: "two nodes forward a request to each other",
		tests:  inForward,
	},
	{
		name: "forward-believes-any-term", file: "transport/forward/sign.go",
		old:    "	if c.term != term {\n",
		new:    "	if false {\n",
		breaks: "a request or a word for an older term counts in this one",
		tests:  inForward,
	},
	{
		name: "forward-lets-clients-sign-words", file: "transport/forward/receiver.go",
		old:    "	if c.kind == kindWord {\n",
		new:    "	if c.kind == kindWord || MayBeWord(r) {\n",
		breaks: "a client undoes the grant of another by way of a node",
		tests:  inForward,
	},
	{
		name: "forward-takes-back-what-was-delivered", file: "transport/forward/grant.go",
		old:    "if p.ask == \"\" || p.out.whole {",
		new:    "if p.ask == \"\" {",
		breaks: "the lock of a client that closes its connection as soon as it has the grant is granted again",
		tests:  inForward,
	},
	{
		name: "forward-write-not-looked-at", file: "transport/forward/grant.go",
		old:    "	if !whole || p.out.err != nil && !errors.Is(p.out.err, http.ErrNotSupported) {\n",
		new:    "	if !whole {\n",
		breaks: "a client that did not get its grant holds the lock",
		tests:  inForward,
	},
	{
		name: "forward-undo-ends-with-the-node", file: "transport/forward/grant.go",
		old:    "context.WithTimeout(to.words, undoFor)",
		new:    "context.WithTimeout(to.ctx, undoFor)",
		breaks: "a grant that its client did not get is kept because the forwarding node stops",
		tests:  inForward,
	},
	{
		name: "forward-reaches-any-node", file: "transport/forward/grant.go",
		old:    "	return f.say(ctx, to, wordHere, \"\")\n",
		new:    "	_ = f.say(ctx, to, wordHere, \"\")\n	return nil\n",
		breaks: "a node is ready although its requests for the serving node go to another one",
		tests:  inForward,
	},
	{
		name: "forward-deliver-at-once", file: "transport/answer.go",
		old:    "	if x.through != nil {\n		return x.deliverThrough(contentType, now)\n	}\n",
		new:    "",
		breaks: "the serving node takes the write to another node for the delivery of a grant",
		tests:  []string{"-run=TestForwarded ./transport"},
	},
}
