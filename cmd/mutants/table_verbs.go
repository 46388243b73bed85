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
