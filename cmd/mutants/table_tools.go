package main

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
		name: "fail-on-compares-nothing", file: "cmd/octostore/policy_replay.go",
		old:    "if len(conditions) > 0 && report.Decisions == 0 {",
		new:    "if false {",
		breaks: "a check of a replay that compared nothing passes",
		tests:  []string{"-run=TestScripts/policy_replay ./cmd/octostore/internal/scripts"},
	},
}
