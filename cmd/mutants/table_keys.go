package main

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
