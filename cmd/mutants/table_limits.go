package main

// limitMutants let too much in, keep holders out, or show what should not be shown.
var limitMutants = []mutant{
	{
		name: "limit-keeps-holders-out", file: "transport/internal/limit/limit.go",
		old:    "		allowance = 2\n",
		new:    "		allowance = 1\n",
		breaks: "who has used up a limit cannot renew or release",
		tests:  []string{"-run=LimitOfRequests ./transport"},
	},
	{
		name: "rate-one-more", file: "transport/internal/limit/bucket.go",
		old:    "if wait := full - now - burst; wait > 0 {",
		new:    "if wait := full - now - burst - interval; wait > 0 {",
		breaks: "a limit lets one more through than it says",
		tests:  []string{"-run=BucketKeepsTheRate ./transport/internal/limit"},
	},
	{
		name: "under-way-for-ever", file: "transport/internal/limit/limit.go",
		old:    "	b.inFlight--\n",
		new:    "",
		breaks: "requests that were answered count as under way, until the account is locked out",
		tests:  []string{"-run=LimitOfRequests ./transport"},
	},
	{
		name: "address-never-forgotten", file: "transport/internal/limit/bucket.go",
		old:    "if b.inFlight == 0 && b.full <= now {",
		new:    "if b.full < 0 {",
		breaks: "every address that was refused once takes memory for ever",
		tests:  []string{"-run=BucketsOfIdleAddresses ./transport/internal/limit"},
	},
	{
		name: "good-token-limited-by-address", file: "transport/admission.go",
		old:    "if x.api.requiresTokens() && x.withoutCredentials() && !isProbe(path) {",
		new:    "if x.api.requiresTokens() && !isProbe(path) {",
		breaks: "a stranger locks out those with a token who share his address",
		tests:  []string{"-run=LimitOfRequestsPerAddress ./transport"},
	},
	{
		name: "locks-on-the-admin-listener", file: "transport/listeners.go",
		old:    "	where := MainOnly\n",
		new:    "	where := Both\n",
		breaks: "who may reach the listener for administration can take locks",
		tests:  []string{"-run=AdminListener|ListenersAnswer ./transport"},
	},
	{
		name: "profiles-for-everybody", file: "transport/listeners.go",
		old:    "\"profile the server\", auth.Admin); err != nil {",
		new:    "\"profile the server\", auth.Admin); false && err != nil {",
		breaks: "any token shows what is in memory",
		tests:  []string{"-run=ProfilesAreForAdministrators ./transport"},
	},
	{
		name: "smuggled-behind-chunks", file: "transport/admission.go",
		old:    "if len(x.r.TransferEncoding) > 0 {",
		new:    "if false {",
		breaks: "what a proxy takes for the body of one request is answered as another",
		tests:  []string{"-short -run=RequestSmuggling ./cmd/octostore/internal/stories"},
	},
	{
		name: "bad-certificate-shown", file: "cmd/octostore/internal/preflight/certificate.go",
		old:    "now.After(pair.Leaf.NotAfter)",
		new:    "now.IsZero()",
		breaks: "an expired certificate takes the place of a good one",
		tests:  []string{"-short -run=SIGHUPReadsTheCertificate ./cmd/octostore/internal/server"},
	},
	{
		name: "doctor-leaves-files", file: "core/store/sqlite/inspect.go",
		old:    "if _, running, err := Running(path); err != nil || running || host.SizeOf(path+\"-wal\") > 0 {",
		new:    "if true {",
		breaks: "looking at a database makes files beside it, of whoever looked",
		tests:  []string{"-run=ExamineLeavesNothing ./core/store/sqlite"},
	},
}
