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
