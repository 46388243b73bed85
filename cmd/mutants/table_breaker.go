package main

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
