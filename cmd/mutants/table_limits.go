package main

// limitMutants let too much in, keep holders out, or show what should not be shown.
var limitMutants = []mutant{
	{
		name: "limit-keeps-holders-out", file: "transport/limits.go",
		old:    "		allowance = 2\n",
		new:    "		allowance = 1\n",
		breaks: "who has used up a limit cannot renew or release",
		tests:  []string{"-run=AnAccountMay ./transport"},
	},
	{
		name: "rate-one-more", file: "transport/limits.go",
		old:    "if wait := back - now - full; wait > 0 {",
		new:    "if wait := back - now - full - every; wait > 0 {",
		breaks: "a limit lets one more through than it says",
		tests:  []string{"-run=TakeKeepsTheRate ./transport"},
	},
	{
		name: "under-way-for-ever", file: "transport/limits.go",
		old:    "	t.underWay--\n",
		new:    "",
		breaks: "requests that were answered count as under way, until the account is locked out",
		tests:  []string{"-run=AnAccountMay ./transport"},
	},
	{
		name: "address-never-forgotten", file: "transport/limits.go",
		old:    "if t.underWay == 0 && t.back <= now {",
		new:    "if t.back < 0 {",
		breaks: "every address that was refused once takes memory for ever",
		tests:  []string{"-run=WhoIsIdleIsForgotten ./transport"},
	},
	{
		name: "good-token-limited-by-address", file: "transport/limits.go",
		old:    "if x.api.closed() && x.anonymous() && !isProbe(path) {",
		new:    "if x.api.closed() && !isProbe(path) {",
		breaks: "a stranger locks out those with a token who share his address",
		tests:  []string{"-run=RequestsOfNobody ./transport"},
	},
	{
		name: "locks-on-the-admin-listener", file: "transport/admin.go",
		old:    "	where := MainOnly\n",
		new:    "	where := Both\n",
		breaks: "who may reach the listener for administration can take locks",
		tests:  []string{"-run=AdminListener|AnsweredWhere ./transport"},
	},
	{
		name: "profiles-for-everybody", file: "transport/admin.go",
		old:    "\"profile the server\", auth.Admin); err != nil {",
		new:    "\"profile the server\", auth.Admin); false && err != nil {",
		breaks: "any token shows what is in memory",
		tests:  []string{"-run=WhoMaySeeProfiles ./transport"},
	},
	{
		name: "smuggled-behind-chunks", file: "transport/door.go",
		old:    "if len(x.r.TransferEncoding) > 0 {",
		new:    "if false {",
		breaks: "what a proxy takes for the body of one request is answered as another",
		tests:  []string{"-short -run=NothingIsSmuggled ./cmd/octostore/internal/stories"},
	},
	{
		name: "bad-certificate-shown", file: "cmd/octostore/tls.go",
		old:    "now.After(pair.Leaf.NotAfter)",
		new:    "now.IsZero()",
		breaks: "an expired certificate takes the place of a good one",
		tests:  []string{"-short -run=SIGHUPReadsTheCertificate ./cmd/octostore"},
	},
	{
		name: "doctor-leaves-files", file: "core/store/sqlite/examine.go",
		old:    "if _, running, err := Running(path); err != nil || running || host.SizeOf(path+\"-wal\") > 0 {",
		new:    "if true {",
		breaks: "looking at a database makes files beside it, of whoever looked",
		tests:  []string{"-run=ExaminingLeavesNothing ./core/store/sqlite"},
	},
}
