package main

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
