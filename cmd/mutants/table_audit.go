package main

// auditMutants break the record: what is signed, kept, exported and watched.
var auditMutants = []mutant{
	{
		name: "cut-export-complete", file: "core/journal/record/export.go",
		old:    "		if (IsClosing(line) || IsOpening(line)) && json.Valid(line) {\n",
		new:    "		if IsClosing(line) || IsOpening(line) {\n",
		breaks: "an export that was cut inside its closing line counts as complete",
		tests:  inJournal,
	},
	{
		name: "prune-unrecorded", file: "core/journal/keep.go",
		old:    "		if _, err := k.cfg.Recorder.Append(ctx, lock.Event{Kind: lock.Pruned, Cause: cause, Cut: cut}); err != nil {\n			return",
		new:    "		if _, err := k.cfg.Recorder.Append(ctx, lock.Event{Kind: lock.Stopped, Cause: cause}); err != nil {\n			return",
		breaks: "a prune is not recorded",
		tests:  inJournal,
	},
	{
		name: "prune-on-a-full-disk", file: "core/journal/keep.go",
		old:    "Cut: cut}); err != nil {",
		new:    "Cut: cut}); err != nil && false {",
		breaks: "records are pruned although the prune could not be recorded",
		tests:  inJournal,
	},
	{
		name: "prune-the-young", file: "core/journal/keep.go",
		old:    "	if age := now.Sub(s.Time); age > -time.Minute && age < r.Keep {",
		new:    "	if age := now.Sub(s.Time); age > -time.Minute && age < r.Keep/2 {",
		breaks: "the records of live leases are pruned",
		tests:  inJournal,
	},
	{
		name: "pruned-read-as-nothing", file: "core/journal/journal.go",
		old:    "if err == nil && len(found) == 0 {",
		new:    "if err == nil && len(found) == 0 && false {",
		breaks: "a reader with a pruned cursor is not told about the gap",
		tests:  inJournal,
	},
	{
		name: "checkpoint-unsigned", file: "core/journal/record/seal.go",
		old:    "if e.Kind == lock.Checkpoint && key != nil {",
		new:    "if e.Kind == lock.Checkpoint && key == nil {",
		breaks: "checkpoints are not signed",
		tests:  inJournal,
	},
	{
		name: "checkpoint-of-any-key", file: "core/journal/verify/chain.go",
		old:    "		if !record.IsSigned(l.Bytes, v.result.Key) {",
		new:    "		if !record.IsSigned(l.Bytes, v.result.Key) && false {",
		breaks: "a signature with any key is accepted",
		tests:  inJournal,
	},
	{
		name: "cut-tail-verifies", file: "core/journal/verify/verify.go",
		old:    "			return c.truncated(err)",
		new:    "			return nil",
		breaks: "an export whose tail was cut off verifies",
		tests:  inJournal,
	},
	{
		name: "closing-unsigned-verifies", file: "core/journal/verify/chain.go",
		old:    "	case !record.IsSigned(line, v.result.Key):",
		new:    "	case false && !record.IsSigned(line, v.result.Key):",
		breaks: "a forged closing line verifies",
		tests:  inJournal,
	},
	{
		name: "export-repeats", file: "core/journal/reader.go",
		old:    "	if page[0].First <= r.after {",
		new:    "	if page[0].First < r.after {",
		breaks: "an export that goes on within a batch gives a record twice",
		tests:  inJournal,
	},
	{
		name: "limit-off-by-one", file: "core/journal/export.go",
		old:    "e.q.Limit-e.count {\n		n = int(e.q.Limit - e.count)",
		new:    "e.q.Limit-e.count {\n		n = int(e.q.Limit-e.count) - 1",
		breaks: "an export with a limit has a record less",
		tests:  inJournal,
	},
	{
		name: "watch-skips-the-gap", file: "transport/watch.go",
		old:    "		return w.gap(pruned.Oldest)",
		new:    "		w.reader = w.x.api.journal.From(pruned.Oldest)\n		return nil",
		breaks: "a watch is not told of a gap",
		tests:  inTransport,
	},
	{
		name: "page-of-any-size", file: "core/journal/ring.go",
		old:    "bytes+len(s.Bytes) > PageBytes) {",
		new:    "bytes < 0) {",
		breaks: "a client that does not read holds as much memory as large records take",
		tests:  inJournal,
	},
	{
		name: "turn-kept", file: "transport/internal/wire/stream.go",
		old:    "		s.Rest()\n		defer s.Work()\n	}\n	s.arm()\n	if _, err := s.to.Write(b); err != nil {",
		new:    "	}\n	s.arm()\n	if _, err := s.to.Write(b); err != nil {",
		breaks: "one client that does not read holds up all watches",
		tests:  inTransport,
	},
	{
		name: "hang-up-logged", file: "transport/internal/wire/stream.go",
		old:    "func gone(err error) error { return fmt.Errorf(\"%w: %w\", lock.ErrGone, err) }",
		new:    "func gone(err error) error { return fmt.Errorf(\"%v: %w\", lock.ErrGone, err) }",
		breaks: "every client that hangs up is an error in the log",
		tests:  inTransport,
	},
	{
		name: "seats-for-all", file: "transport/internal/limit/streams.go",
		old:    "	if s.inUse >= s.Max ||",
		new:    "	if false ||",
		breaks: "any number of clients may watch and export",
		tests:  inTransport,
	},
	{
		name: "cursor-of-another-history", file: "core/journal/reader.go",
		old:    "		return l.Seq == cursor, nil",
		new:    "		return l.Seq >= cursor, nil",
		breaks: "a reader that continues after a restored backup is not told",
		tests:  inJournal,
	},
	{
		name: "clock-believed", file: "core/journal/keep.go",
		old:    "	if k.clock.Doubted(now) {",
		new:    "	if k.clock.Doubted(now) && false {",
		breaks: "a clock that is wrong at a start prunes everything",
		tests:  inJournal,
	},
	{
		name: "cut-forgotten", file: "core/store/sqlite/internal/rows/segments.go",
		old:    "	if before.Seq < cut.Seq {",
		new:    "	if before.Seq > cut.Seq {",
		breaks: "a restart forgets that records were pruned",
		tests:  inSQLite,
	},
}

var inSets = []string{"-run=PolicySet ./cmd/octostore/internal/server"}

// journalMutants break what the record says of the policies that judged.
var journalMutants = []mutant{
	{
		name: "silent-verdicts-recorded", file: "hooks/set.go",
		old:    "p.record(q, &o); speaks {",
		new:    "p.record(q, &o); speaks || true {",
		breaks: "the record of a grant grows with the number of policies",
		tests:  append([]string{"-short -run=Verdicts ./hooks"}, inSets...),
	},
	{
		name: "caps-unrecorded", file: "hooks/set.go",
		old:    "	if 0 < o.TTL && o.TTL < q.Asked.TTL {",
		new:    "	if false {",
		breaks: "a policy shortens a lease and that is not on record",
		tests:  []string{"-short -run=Verdicts ./hooks"},
	},
	{
		name: "note-without-verdict", file: "hooks/set.go",
		old:    ` || v.Priority != "" || len(o.Notes) > 0`,
		new:    ` || v.Priority != ""`,
		breaks: "the record does not say which module left a note, and in which mode",
		tests:  []string{"-short -run=Verdicts ./hooks"},
	},
	{
		name: "set-unnamed", file: "hooks/set.go",
		old:    "		v.PolicySet = s.described.ID\n",
		new:    "",
		breaks: "a record does not say which policies let the request pass",
		tests:  []string{"-short -run=Verdicts ./hooks"},
	},
	{
		name: "set-id-by-modules-only", file: "hooks/policyset.go",
		old:    "settings.Module, settings.SHA256 = \"\", p.digest",
		new:    "settings = Policy{Name: p.Name, SHA256: p.digest}",
		breaks: "two sets of policies with other settings have the same id",
		tests:  []string{"-short -run=PolicySet ./hooks"},
	},
	{
		name: "set-at-its-turn-unnamed", file: "core/guard.go",
		old:    "said.SetAtGrant, said.Notes = atTurn.PolicySet, atTurn.Notes",
		new:    "said.PolicySet, said.Notes = atTurn.PolicySet, atTurn.Notes",
		breaks: "the record takes the policies of the turn for those of the request",
		tests:  inCore,
	},
	{
		name: "replaced-set-undescribed", file: "cmd/octostore/internal/server/policies.go",
		old:    "		e.Replaced = p.recorded\n",
		new:    "",
		breaks: "once the start is pruned the record does not say which policies ruled before a reload",
		tests:  inSets,
	},
	{
		name: "stopped-set-undescribed", file: "cmd/octostore/internal/server/journal.go",
		old:    "		e.Loaded = t.policies.PolicySet() //",
		new:    "		//",
		breaks: "once the start is pruned the record does not say which policies ruled before a stop",
		tests:  inSets,
	},
	{
		name: "ruling-set-pruned", file: "cmd/octostore/internal/server/journal.go",
		old:    "keep.BeforePrune = t.policies.keepOnRecord",
		new:    "keep.BeforePrune = nil",
		breaks: "the record of which policies rule is pruned while they do",
		tests:  inSets,
	},
	{
		name: "unrecorded-set-forgotten", file: "cmd/octostore/internal/server/policies.go",
		old:    "		set, why := p.unrecorded[0], asked",
		new:    "		set, why := rules, asked",
		breaks: "a set that could not be recorded when it was loaded is never described",
		tests:  inSets,
	},
	{
		name: "silence-unknown-to-replay", file: "cmd/octostore/internal/policytool/replay.go",
		old:    "asked || !known {",
		new:    "!known {",
		breaks: "a replay takes a policy that allowed at the turn for one that was not asked",
		tests:  []string{"-run=Replay ./cmd/octostore/internal/policytool"},
	},
}

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
		old:    "	case !errors.As(err, &begun):\n		return exitcode.Usage\n",
		new:    "	case !errors.As(err, &begun):\n		return exitcode.Failed\n",
		breaks: "a script cannot tell a wrong flag from a failure",
		tests:  inWords,
	},
	{
		name: "terminal-obeys-direction", file: "cmd/octostore/internal/terminal/terminal.go",
		old:    "return unicode.IsControl(r) || unicode.Is(unicode.Cf, r)",
		new:    "return unicode.IsControl(r)",
		breaks: "text from a server changes the writing direction of a terminal",
		tests:  inTerminal,
	},
	{
		name: "error-not-cleaned", file: "cmd/octostore/main.go",
		old:    "root.SetErr(terminal.NewWriter(errs))",
		new:    "root.SetErr(errs)",
		breaks: "errors print control characters from a server",
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

// toolMutants let mistakes of authors and operators of policies pass unseen.
var toolMutants = []mutant{
	{
		name: "config-nobody-reads", file: "hooks/internal/guest/instance.go",
		old:    "if f == nil && !p.MayReadConfig && !givesNothing(p.Config) {",
		new:    "if false {",
		breaks: "a configuration that the module cannot read is taken, and does not count",
		tests:  []string{"-run=ConfigOfAModuleWithoutConfigure ./hooks"},
	},
	{
		name: "guest-takes-any-config", file: "plugins/guest/internal/host/host.go",
		old:    "	if n > len(given) {",
		new:    "	if false {",
		breaks: "a Go policy without Configure takes a configuration, which does not count",
		tests:  []string{"-run=ConfigureThatIsMissing ./plugins/guest"},
	},
	{
		name: "json-member-twice", file: "core/jsontext/jsontext.go",
		old:    "if _, twice := members[name]; twice {",
		new:    "if false {",
		breaks: "a member that comes twice replaces the first, so that a policy in plain sight is not loaded",
		tests:  []string{"-run=ObjectHasEveryMemberOnce ./core/jsontext", "-run=Manifest ./hooks/internal/manifest"},
	},
	{
		name: "off-policies-hidden", file: "hooks/hooks.go",
		old:    "return withOff(all, s.off, func(p manifest.Policy) Status { return Status{Policy: p} })",
		new:    "return all",
		breaks: "a policy that is off is missing in the list",
		tests:  []string{"-run=PolicyThatIsOff ./hooks"},
	},
	{
		name: "explain-at-now", file: "hooks/explain.go",
		old:    "guest.NewRequest(q, at)",
		new:    "guest.NewRequest(q, time.Now())",
		breaks: "policies are not told the time that is asked about",
		tests:  []string{"-run=ExplainAsksAtTheTime ./hooks"},
	},
	{
		name: "explain-renewals-of-others", file: "core/questions.go",
		old:    "mayAskFor(p, holds)",
		new:    "mayAskFor(p, p.Account)",
		breaks: "an explanation tells how many locks another account holds",
		tests:  []string{"-run=AskedAboutRenewalsAndBreaks ./transport"},
	},
	{
		name: "expectation-of-nothing", file: "cmd/octostore/internal/policytool/fixture/fixture.go",
		old:    "	if len(given) == 0 {",
		new:    "if false {",
		breaks: "a fixture that expects nothing passes whatever the policy does",
		tests:  []string{"-run=MistakesInFixtures ./cmd/octostore/internal/policytool/fixture"},
	},
	{
		name: "readable-beside-number", file: "cmd/octostore/internal/policytool/fixture/members.go",
		old:    "if _, both := given[name+inMilliseconds]; both {",
		new:    "if false {",
		breaks: "of a duration and its number of milliseconds one is dropped",
		tests:  []string{"-run=MistakesInFixtures ./cmd/octostore/internal/policytool/fixture"},
	},
	{
		name: "selection-of-nothing", file: "cmd/octostore/internal/policytool/fixture/selection.go",
		old:    "if len(selected) == 0 {",
		new:    "if false {",
		breaks: "a test whose pattern has a typo passes without a case",
		tests:  []string{"-run=SelectionIsByTheNames ./cmd/octostore/internal/policytool/fixture"},
	},
	{
		name: "fail-on-compares-nothing", file: "cmd/octostore/policy_server.go",
		old:    "if len(conditions) > 0 && report.Decisions == 0 {",
		new:    "if false {",
		breaks: "a check of a replay that compared nothing passes",
		tests:  []string{"-run=TestScripts/policy_replay ./cmd/octostore/internal/scripts"},
	},
}

const recipe = "sdk-examples/locks/with-lock.sh"

// inRecipe returns the argument for some tests of with-lock.sh.
func inRecipe(tests string) []string {
	return []string{"-short -run=TestWithLock(" + tests + ") ./cmd/octostore/internal/recipes"}
}

// recipeMutants break the recipe for shells.
var recipeMutants = []mutant{
	{
		name: "recipe-any-page", file: recipe,
		old:    `        LC_ALL=C grep -qx '[A-Za-z0-9_-]\{32\} [1-9][0-9]\{0,15\}' "$dir/body" &&` + "\n",
		new:    "",
		breaks: "any line of two words with status 200 is a grant",
		tests:  inRecipe("TakesNothingElse"),
	},
	{
		name: "recipe-unconfirmed", file: recipe,
		old:    "wait_for_lock\nconfirm_lease\n",
		new:    "wait_for_lock\nspan=$confirm until=$((asked + span))\n",
		breaks: "the command starts on a lease that was not renewed",
		tests:  inRecipe("StartsNothing"),
	},
	{
		name: "recipe-many-attempts", file: recipe,
		old:    "        left=$((end - clock))\n",
		new:    "        left=$((end - clock)); new_key\n",
		breaks: "each request is an attempt of its own, and loses the place",
		tests:  inRecipe("WaitsForItsTurn"),
	},
	{
		name: "recipe-leaves-ghosts", file: recipe,
		old:    `|| granted || { acquire 3 0 && granted; }`,
		new:    `|| granted`,
		breaks: "a cancelled waiter stays in the queue behind a proxy",
		tests:  inRecipe("LeavesNoGhost"),
	},
	{
		name: "recipe-stale-success", file: recipe,
		old:    "    0 | 143) status=$lost ;;",
		new:    "    143) status=$lost ;;",
		breaks: "a command that lost its lease is a success",
		tests:  inRecipe("EndsACommand|KeepsTheStatus"),
	},
}
