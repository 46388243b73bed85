package main

// inCalls asks policies, by one judgement and by many.
var inCalls = []string{"-short -run=Judgement|Instance|GuestSlots|PricesOf|Set ./hooks ./hooks/internal/guest"}

// callMutants break what calls of policies share, and what the host takes for its work.
var callMutants = []mutant{
	{
		name: "judgement-never-gives-way", file: "hooks/guestslots.go",
		old:    "	if g.state.Load() < queued {\n",
		new:    "	if true {\n",
		breaks: "a request under thirty policies keeps all others waiting for thirty calls",
		tests:  inCalls,
	},
	{
		name: "slot-never-kept", file: "hooks/policy.go",
		old:    "	case j.spent >= slotFuel:\n",
		new:    "	default:\n",
		breaks: "requests change places at every policy as soon as one waits",
		tests:  inCalls,
	},
	{
		name: "queue-never-calms", file: "hooks/guestslots.go",
		old:    "	if len(g.checks)+len(g.observers) == 0 {\n",
		new:    "	if false {\n",
		breaks: "after the first wait every call takes the lock of the queue for ever",
		tests:  inCalls,
	},
	{
		name: "lost-slot-kept", file: "hooks/judgement.go",
		old:    "		j.slots = nil // another judgement has it\n",
		new:    "",
		breaks: "a client that leaves while it waits for a slot gives back one it has not",
		tests:  inCalls,
	},
	{
		name: "request-kept", file: "hooks/judgement.go",
		old:    "	*j = judgement{}\n",
		new:    "	j.Heard = nil\n",
		breaks: "the next request finds the document of the last one",
		tests:  inCalls,
	},
	{
		name: "call-kept", file: "hooks/internal/guest/instance.go",
		old:    "	*c = call{} // nothing of a request is kept\n",
		new:    "	c.request = nil\n",
		breaks: "the notes and caps of one request are those of the next",
		tests:  inCalls,
	},
	{
		name: "fuel-of-a-host-call-lost", file: "hooks/internal/guest/imports.go",
		old:    "		i.fuel.Set(uint64(g.left))\n",
		new:    "",
		breaks: "what the host does for a guest costs nothing",
		tests:  inCalls,
	},
	{
		name: "odd-text-for-nothing", file: "hooks/internal/guest/imports.go",
		old:    "	g.pay(int64(odd) * PriceOdd)\n",
		new:    "",
		breaks: "a guest has the host look up characters at the price of a copy",
		tests:  inCalls,
	},
	{
		name: "lines-for-nothing", file: "hooks/internal/guest/imports.go",
		old:    "	g.pay(PriceLine)\n",
		new:    "",
		breaks: "a line of the log costs as much as a getter",
		tests:  inCalls,
	},
	{
		name: "counting-for-nothing", file: "hooks/internal/guest/imports.go",
		old:    "		n, _ := strconv.ParseInt(value, 10, 64) // absent: 0\n",
		new:    "		n := int64(0)\n",
		breaks: "the text form of a count costs nothing, however many locks are counted",
		tests:  inCalls,
	},
}

var inBreaker = []string{"-short -run=Breaker|Shadow|Enforcing|FirstCall|Starts|StartBudget|LogLines|LastWords ./hooks"}

// breakerMutants break what keeps policies that fail from costing much.
var breakerMutants = []mutant{
	{
		name: "breaker-never-opens", file: "hooks/breaker.go",
		old:    "	if b.failures++; b.failures < failuresToOpen {",
		new:    "	if b.failures++; true {",
		breaks: "a policy that always fails is called for every request",
		tests:  inBreaker,
	},
	{
		name: "breaker-never-closes", file: "hooks/breaker.go",
		old:    "	b.failures, b.open, b.last = 0, false, nil\n",
		new:    "	b.failures, b.last = 0, nil\n",
		breaks: "a policy that answers again is not called",
		tests:  inBreaker,
	},
	{
		name: "probes-in-crowds", file: "hooks/breaker.go",
		old:    "	case b.probing || now.Before(b.until):\n		b.refused++",
		new:    "	case now.Before(b.until):\n		b.refused++",
		breaks: "all requests probe a policy that fails at the same time",
		tests:  inBreaker,
	},
	{
		name: "breaker-pause-stays", file: "hooks/breaker.go",
		old:    "		b.pause = min(2*b.pause, longestPause)\n",
		new:    "",
		breaks: "a policy that always fails is called ten times a second for ever",
		tests:  inBreaker,
	},
	{
		name: "shadow-pays-for-starts", file: "hooks/instances.go",
		old:    "	case p.strict(j):\n",
		new:    "	case false:\n",
		breaks: "a request makes an instance of a policy in shadow mode",
		tests:  inBreaker,
	},
	{
		name: "configure-has-its-own-budget", file: "hooks/internal/guest/instance.go",
		old:    "	result, failed := i.call(f, c, i.Left())\n",
		new:    "	result, failed := i.call(f, c, LoadFuel)\n",
		breaks: "a start costs a request more than its budget",
		tests:  inBreaker,
	},
	{
		name: "first-call-as-any", file: "hooks/instances.go",
		old:    "	return p.Fuel + manifest.FirstCallFuel\n",
		new:    "	return p.Fuel\n",
		breaks: "what a language sets up at its first call is not paid for",
		tests:  inBreaker,
	},
	{
		name: "starts-unpaced", file: "hooks/instances.go",
		old:    "	case p.startBudget.wait(time.Now()) > 0:\n",
		new:    "	case false:\n",
		breaks: "a policy that fails on one request in two keeps the processors busy with starts",
		tests:  inBreaker,
	},
	{
		name: "dropped-lines-unsaid", file: "hooks/internal/guest/loglines.go",
		old:    "	l.unsaid++\n",
		new:    "",
		breaks: "lines of a policy's log vanish and the log does not say so",
		tests:  inBreaker,
	},
	{
		name: "last-words-forgotten", file: "hooks/internal/guest/stderr.go",
		old:    "	said := lastWords(c.stderr)\n",
		new:    "	said := \"\"\n",
		breaks: "a panic of a policy is told as unreachable",
		tests:  inBreaker,
	},
	{
		name: "crowds-pass-the-breaker", file: "hooks/policy.go",
		old:    "	if waited && !probe {\n",
		new:    "	if waited && false {\n",
		breaks: "all requests that wait for a place when a breaker opens call its policy",
		tests:  inBreaker,
	},
}

var (
	inWatch      = []string{"-run=CompileIsWatched ./cmd/octostore/internal/compiler"}
	inCompiler   = []string{"-run=Compile ./cmd/octostore/internal/compiler"}
	inCodeFolder = []string{"-short -run=CodeFolder|CompileLimit|Reload|Parallel ./hooks ./hooks/internal/compile"}
	inEngine     = []string{"-short -run=Interpreter|EngineIs ./hooks"}
)

// compileMutants break how policies are compiled, and where their machine code is kept.
var compileMutants = []mutant{
	{
		name: "compile-without-deadline", file: "cmd/octostore/internal/compiler/compiler.go",
		old:    "end(timeError(limits.Elapsed))",
		new:    "",
		breaks: "a module that never compiles keeps a start or a reload for ever",
		tests:  inCompiler,
	},
	{
		name: "compile-time-unwatched", file: "cmd/octostore/internal/compiler/compiler.go",
		old:    "case used > limits.Processor:",
		new:    "case used < 0:",
		breaks: "a module takes the processor for minutes",
		tests:  inWatch,
	},
	{
		name: "compile-memory-unwatched", file: "cmd/octostore/internal/compiler/compiler.go",
		old:    "case memory > limits.Memory:",
		new:    "case memory < 0:",
		breaks: "a module of some kB takes the memory of the machine",
		tests:  inWatch,
	},
	{
		name: "compile-orphan", file: "cmd/octostore/internal/compiler/child.go",
		old:    "		os.Exit(1) // the parent process has ended\n",
		new:    "",
		breaks: "a compilation goes on when the server is gone",
		tests:  inCompiler,
	},
	{
		name: "compile-in-the-server", file: "hooks/internal/compile/codefolder.go",
		old:    "	if c.compile == nil {\n",
		new:    "	if true {\n",
		breaks: "the server compiles in its own process, without limits",
		tests:  inCodeFolder,
	},
	{
		name: "code-unchecked", file: "hooks/internal/compile/codefolder.go",
		old:    "if now.Bytes != r.Bytes || now.SHA256 != r.SHA256 {",
		new:    "if now.Bytes != r.Bytes {",
		breaks: "code is run that is not what was compiled",
		tests:  inCodeFolder,
	},
	{
		name: "code-of-others", file: "hooks/internal/compile/codefolder.go",
		old:    "case writableByOthers(info):",
		new:    "case false:",
		breaks: "code is run that another user has put there",
		tests:  inCodeFolder,
	},
	{
		name: "code-of-another-processor", file: "hooks/internal/compile/codefolder.go",
		old:    "filepath.ToSlash(c.machine))",
		new:    "\"\")",
		breaks: "code is taken for checked that was compiled for another processor",
		tests:  inCodeFolder,
	},
	{
		name: "code-of-another-limit", file: "hooks/engine.go",
		old:    "	key := moduleKey{digest, meterConfig(described.MemoryMiB)}\n",
		new:    "	key := moduleKey{digest, meterConfig(16)}\n",
		breaks: "a policy has the memory of another entry of the same module",
		tests:  inCodeFolder,
	},
	{
		name: "module-kept-for-ever", file: "hooks/modules.go",
		old:    "		delete(ms.all, key)\n",
		new:    "",
		breaks: "a module that was closed is used again after a reload",
		tests:  inCodeFolder,
	},
	{
		name: "executable-memory-unasked", file: "hooks/internal/compile/setup.go",
		old:    "return append(all, setup{engine: Interpreted})",
		new:    "return all",
		breaks: "a server does not start where the compiler cannot be used",
		tests:  inEngine,
	},
}

// inKeys are the keys of policies, natively and with WASI.
var inKeys = []string{"-short -run=TestKeys|TestWASI|TestZones|TestManifestReads ./hooks ./hooks/internal/guest"}

// keysMutants break what policies may look at, and what they are told.
var keysMutants = []mutant{
	{
		name: "reads-everything", file: "hooks/internal/guest/fields.go",
		old:    "	if !g.program.MayLookAt(of) {",
		new:    "	if false {",
		breaks: "a policy looks at locks that its manifest does not name",
		tests:  inKeys,
	},
	{
		name: "look-changes-within-a-request", file: "hooks/internal/guest/fields.go",
		old:    "		if string(l.views[i].Name) == name && name != \"\" {",
		new:    "		if false {",
		breaks: "a policy has the state of one lease and the account of another",
		tests:  inKeys,
	},
	{
		name: "count-for-nothing", file: "hooks/internal/guest/fields.go",
		old:    "	g.pay(int64(looked) * PriceCounted)\n",
		new:    "	_ = looked\n",
		breaks: "counting ten thousand locks costs a guest nothing",
		tests:  inKeys,
	},
	{
		name: "count-without-end", file: "core/table/views_count.go",
		old:    "!done && looked < most; {",
		new:    "!done; {",
		breaks: "a policy has all locks counted",
		tests:  []string{"-short -run=TestViewsCount ./core/table -timeout=30s"},
	},
	{
		name: "zone-of-the-machine", file: "hooks/internal/guest/zones.go",
		old:    ` || name == "Local"`,
		new:    ``,
		breaks: "a policy answers by where the server stands",
		tests:  inKeys,
	},
	{
		name: "wasi-succeeds", file: "hooks/internal/guest/wasi_rest.go",
		old:    "{ s[0] = wasiNoFile }",
		new:    "{ s[0] = wasiSuccess }",
		breaks: "a guest believes that it has opened a file",
		tests:  inKeys,
	},
	{
		name: "reads-not-told-on-reload", file: "hooks/policyset.go",
		old:    `settings.Module, settings.SHA256 = "", p.digest`,
		new:    `settings.Module, settings.SHA256, settings.Reads = "", p.digest, nil`,
		breaks: "a reload that lets a policy look further says that nothing has changed",
		tests:  inKeys,
	},
	{
		name: "groups-lost-on-rotation", file: "core/auth/change.go",
		old:    "Scopes: old.Scopes, Groups: old.Groups}",
		new:    "Scopes: old.Scopes}",
		breaks: "an account loses its groups with its old token",
		tests:  inAuth,
	},
	{
		name: "groups-unchecked", file: "core/store/sqlite/internal/rows/tokens.go",
		old:    `	if t.Groups != "" { // rows`,
		new:    `	if false { // rows`,
		breaks: "a token that was made a member of something by hand passes",
		tests:  []string{"-short -run=TestGroups ./core/store/sqlite"},
	},
	{
		name: "groups-of-another", file: "core/questions.go",
		old:    "	if account == p.Account {\n		asks.Groups",
		new:    "	if true {\n		asks.Groups",
		breaks: "an account that is supposed to ask has the groups of the one that supposes",
		tests:  []string{"-short -run=TestQuestions ./core"},
	},
	{
		name: "freeze-ends-early", file: "plugins/freeze/zone.go",
		old:    "first, last = wall-max(before, after), wall-min(before, after)",
		new:    "first, last = wall-max(before, after), wall-max(before, after)",
		breaks: "a freeze ends an hour early on the day the clocks go back",
		tests:  []string{"./plugins/freeze"},
	},
}

// meterMutants let a guest of a policy have more time or memory than it is given.
var meterMutants = []mutant{
	{
		name: "meter-callers-unchecked", file: "hooks/meter/code.go",
		old:    "f = newBody(start, entry, locals, t)",
		new:    "f = newBody(start, maxUnchecked, locals, t)",
		breaks: "a guest that recursed works 10,000 units on the way back from every call",
		tests:  []string{"-run=FuelIsNotOverdrawn ./hooks/meter"},
	},
	{
		name: "meter-compiler-unbounded", file: "hooks/meter/module.go",
		old:    "	w.load.check(len(body))\n",
		new:    "",
		breaks: "a small module keeps the compiler busy for minutes",
		tests:  []string{"-run=WorkOfTheCompiler ./hooks/meter"},
	},
	{
		name: "meter-host-memory-free", file: "hooks/meter/account.go",
		old:    "		if bytes <= limit {",
		new:    "		if true {",
		breaks: "a small module takes a GiB of the host for each instance",
		tests:  []string{"-run=MemoryOfTheHost ./hooks/meter"},
	},
	{
		name: "meter-remainder-overflows", file: "hooks/meter/remainder.go",
		old:    "if op == opI32RemS || op == opI64RemS {",
		new:    "if false {",
		breaks: "the least integer modulo -1 traps where remainders are rewritten",
		tests:  []string{"-run=Remainders ./hooks/meter"},
	},
}

// stackMutants let a guest of a policy have more of the native stack than there is for it.
var stackMutants = []mutant{
	{
		name: "meter-stack-not-taken", file: "hooks/meter/depth.go",
		old:    "	e.out = appendInt(append(e.out, 0x42), -direction*e.frame)       // i64.const\n",
		new:    "	e.out = appendInt(append(e.out, 0x42), 0*direction*e.frame)       // i64.const\n",
		breaks: "a policy that recurses keeps a stack of 100 MB with each instance",
		tests:  []string{"-run=StackOfEndlessRecursion ./hooks/meter"},
	},
	{
		name: "meter-stack-not-put-back", file: "hooks/meter/code.go",
		old:    "point{at: at, stack: calls}, point{at: after, stack: returned})\n",
		new:    "point{at: at, stack: calls})\n",
		breaks: "a policy fails for good when its calls have used up the stack together",
		tests:  []string{"-run=StackIsWholeAgain ./hooks/meter"},
	},
}

// tenMutants break the policies that people ask for.
var tenMutants = []mutant{
	{
		name: "approves-itself", file: "plugins/approval/main.go",
		old:    "	case by == account:\n",
		new:    "	case false:\n",
		breaks: "an account approves its own acquires",
		tests:  []string{"./plugins/approval"},
	},
	{
		name: "incident-of-another", file: "plugins/incident/main.go",
		old:    "		return account == by && q.Holder() == holder\n",
		new:    "		return q.Holder() == holder\n",
		breaks: "an account passes a freeze by naming the holder of the incident lock",
		tests:  []string{"./plugins/incident"},
	},
	{
		name: "total-of-one-renewal", file: "plugins/maxttl/main.go",
		old:    "	left := granted.Add(r.total).Sub(q.Now())\n",
		new:    "	left := r.total\n",
		breaks: "a lock is held for ever by renewing it",
		tests:  []string{"./plugins/maxttl"},
	},
	{
		name: "expression-of-a-beginning", file: "plugins/guest/expr/table.go",
		old:    "b.ends(b.reach(from[:0], b.sets[state], at|syntax.EmptyEndText))",
		new:    "true",
		breaks: "a text that only begins like a ticket passes",
		tests:  []string{"./plugins/guest/expr"},
	},
}
