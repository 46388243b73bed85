package main

// inTerraform are the tests of Terraform's lock protocol.
var inTerraform = []string{"-run=Terraform ./transport"}

// terraformMutants break Terraform's lock protocol, and the release by key that it needs.
var terraformMutants = []mutant{
	{
		name: "released-by-any-key", file: "core/lock/holder.go",
		old:    "		if e.held != nil && e.held.is(c) {\n			return",
		new:    "		if e.held != nil {\n			return",
		breaks: "an account releases its lease with the key of another attempt",
		tests:  inLock,
	},
	{
		name: "release-by-key-not-remembered", file: "core/lock/expiry.go",
		old:    "key: h.attempt.Key}, h.token)",
		new:    "key: h.attempt.Key}, 0)",
		breaks: "an UNLOCK repeated after its lost answer fails",
		tests:  inLock,
	},
	{
		name: "force-unlock-of-any-id", file: "transport/terraform.go",
		old:    "			if lockInfoOfLease(l).ID != info.ID {",
		new:    "			if false {",
		breaks: "a force-unlock ends the lease of another run than the one that it names",
		tests:  inTerraform,
	},
	{
		name: "repeated-force-unlock", file: "transport/terraform.go",
		old:    "	if held := time.Since(l.GrantedAt); held >= 0 && held < newLease {",
		new:    "	if false {",
		breaks: "a force-unlock that Terraform repeats ends the lease of the next waiter",
		tests:  inTerraform,
	},
	{
		name: "terraform-lease-shortened", file: "transport/terraform.go",
		old:    "	if x.params.Has(param.TTL) && grant.Lease.TTL < req.TTL {",
		new:    "	if false {",
		breaks: "Terraform works on after the end of a lease that a policy made shorter",
		tests:  inTerraform,
	},
	{
		name: "terraform-refusal-keeps-lease", file: "transport/terraform.go",
		old:    "		x.api.service.Undo(grant)\n",
		new:    "",
		breaks: "on a full disk, the lease that a policy made too short for Terraform is held until its end",
		tests:  inTerraform,
	},
	{
		name: "key-shows-delivery", file: "core/lock/holder.go",
		old:    "	if c.Acquire == nil {",
		new:    "	if true {",
		breaks: "a lease that no client got is held until its end, if its release by key was refused",
		tests:  []string{"-run=TestUndoKnows ./core/table"},
	},
	{
		name: "terraform-default-ttl", file: "transport/terraform.go",
		old:    "	req.TTL = cmp.Or(req.TTL, x.api.service.MaxTTL()) // Terraform never renews\n",
		new:    "",
		breaks: "the lease of Terraform ends after a minute, unless its address says otherwise",
		tests:  inTerraform,
	},
	{
		name: "lock-info-without-bound", file: "transport/internal/param/terraform.go",
		old:    "	if len(text) <= most {",
		new:    "	if true {",
		breaks: "a long text in the lock info keeps Terraform from its state",
		tests:  inTerraform,
	},
}
