package main

var (
	inWords    = []string{"-run=Commands|Help|Hostile ./cmd/octostore", "-run=Doctor ./cmd/octostore/internal/server", "-run=CSV|Doctor ./cmd/octostore/internal/stories"}
	inScripts  = []string{"-run=TestScripts/(token|audit) ./cmd/octostore/internal/scripts"}
	inTerminal = []string{"./cmd/octostore/internal/terminal"}
	inLeases   = []string{"./cmd/octostore/internal/audittool"}
	inTimes    = []string{"./core/timetext"}
)

// commandMutants break what the command promises to scripts and to terminals.
var commandMutants = []mutant{
	{
		name: "unknown-word-succeeds", file: "cmd/octostore/strict.go",
		old:    "	if cmd.HasSubCommands() {",
		new:    "	if false && cmd.HasSubCommands() {",
		breaks: "a mistyped audit verify prints help and reports success",
		tests:  inWords,
	},
	{
		name: "usage-exits-one", file: "cmd/octostore/strict.go",
		old:    "		return exitcode.Usage\n",
		new:    "		return exitcode.Failed\n",
		breaks: "a script cannot tell a wrong flag from a failure",
		tests:  inWords,
	},
	{
		name: "terminal-obeys-direction", file: "cmd/octostore/internal/terminal/terminal.go",
		old:    "return unicode.IsControl(r) || unicode.Is(unicode.Cf, r)",
		new:    "return unicode.IsControl(r)",
		breaks: "a server turns the reading direction of what is shown",
		tests:  inTerminal,
	},
	{
		name: "error-not-cleaned", file: "cmd/octostore/main.go",
		old:    "root.SetErr(terminal.NewWriter(errs))",
		new:    "root.SetErr(errs)",
		breaks: "errors print what a server sent as it is",
		tests:  inWords,
	},
	{
		name: "broken-off-export-succeeds", file: "cmd/octostore/internal/audittool/export.go",
		old:    "	if json.Unmarshal(last, &end) != nil || !end.End {",
		new:    "	if false && (json.Unmarshal(last, &end) != nil || !end.End) {",
		breaks: "an incomplete export in CSV looks complete",
		tests:  inWords,
	},
	{
		name: "doctor-blind-to-strangers", file: "cmd/octostore/internal/doctor/checks.go",
		old:    "	if exposed != \"\" && tokens == 0 {",
		new:    "	if false && exposed != \"\" && tokens == 0 {",
		breaks: "the doctor passes an address of strangers without tokens, which serve refuses",
		tests:  inWords,
	},
	{
		name: "database-made-unasked", file: "cmd/octostore/token.go",
		old:    "	case !errors.Is(missing, errNoDatabase) || !mayMake:",
		new:    "	case !errors.Is(missing, errNoDatabase):",
		breaks: "token create in the wrong folder makes a database there",
		tests:  inScripts,
	},
	{
		name: "lease-held-at-its-end", file: "cmd/octostore/internal/audittool/leases.go",
		old:    "!l.EndedAt.After(since):",
		new:    "l.EndedAt.Before(since):",
		breaks: "at the instant of a hand-over two are shown to hold the lock",
		tests:  inLeases,
	},
	{
		name: "day-of-one-hour", file: "core/timetext/timetext.go",
		old:    "const day = 24 * time.Hour",
		new:    "const day = time.Hour",
		breaks: "1d is an hour",
		tests:  inTimes,
	},
}
