package main

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
		old:    "		e.Loaded = s.policies.PolicySet() //",
		new:    "		//",
		breaks: "once the start is pruned the record does not say which policies ruled before a stop",
		tests:  inSets,
	},
	{
		name: "ruling-set-pruned", file: "cmd/octostore/internal/server/journal.go",
		old:    "keep.BeforePrune = s.policies.keepOnRecord",
		new:    "keep.BeforePrune = nil",
		breaks: "the record of which policies rule is pruned while they do",
		tests:  inSets,
	},
	{
		name: "unrecorded-set-forgotten", file: "cmd/octostore/internal/server/policies.go",
		old:    "		set, why := p.unrecorded[0], cause",
		new:    "		set, why := rules, cause",
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
