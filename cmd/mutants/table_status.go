package main

// statusMutants break what operators see and do: the state of the server, drains, reloads, the
// newest records, metrics and alerts.
var statusMutants = []mutant{
	{
		name: "secret-in-settings", file: "cmd/octostore/internal/server/describe.go",
		old:    "if v.Secret && v.Text != v.Default || holdsSecret(v.Text) {",
		new:    "if v.Secret && v.Text != v.Default {",
		breaks: "a token or a password in a URL is shown among the settings",
		tests:  []string{"-run=ServerShowsSettings ./cmd/octostore/internal/server"},
	},
	{
		name: "drain-unrecorded", file: "core/drain.go",
		old:    "	if err != nil {\n		return Drained{}, fmt.Errorf(\"record the drain",
		new:    "	if err != nil && false {\n		return Drained{}, fmt.Errorf(\"record the drain",
		breaks: "a drain that cannot be recorded happens all the same",
		tests:  []string{"-run=Drain ./transport"},
	},
	{
		name: "drain-recorded-twice", file: "core/drain.go",
		old:    "	if s.table.Draining() {",
		new:    "	if false {",
		breaks: "each repeated drain is recorded as one of its own",
		tests:  []string{"-run=Drain ./transport"},
	},
	{
		name: "drain-ends-streams", file: "core/drain.go",
		old:    "s.table.RefuseAcquires()",
		new:    "s.table.Drain()",
		breaks: "a drain ends the streams of those that watch what the holders do",
		tests:  []string{"-run=Drain ./transport"},
	},
	{
		name: "last-from-all", file: "core/journal/newest.go",
		old:    "		if looked >= most {",
		new:    "		if false {",
		breaks: "a search for what is not there reads the whole audit log",
		tests:  []string{"-run=Newest ./core/journal"},
	},
	{
		name: "last-too-new", file: "core/journal/newest.go",
		old:    "				if l.Seq > end {",
		new:    "				if false {",
		breaks: "the newest records until a time are those after it",
		tests:  []string{"-run=Newest ./core/journal"},
	},
	{
		name: "reload-without-reason", file: "cmd/octostore/internal/server/policies.go",
		old:    "	return changes, p.record(changes, asked)",
		new:    "	return changes, p.record(changes, lock.Event{})",
		breaks: "nobody knows who had the policies reloaded, and why",
		tests:  []string{"-run=PolicyReloadIsRecorded ./cmd/octostore/internal/server"},
	},
	{
		name: "margin-of-the-new-end", file: "core/lock/holder.go",
		old:    "	margin := lease.left(m.now)\n",
		new:    "	margin := 1.0\n",
		breaks: "renewals that come almost too late look early",
		tests:  []string{"-run=Margin ./core/table"},
	},
}
