package main

// priorityMutants break the priority classes of a queue: the order in which waiters are
// served, the class an attempt keeps, how policies combine, and what is shown of it.
var priorityMutants = []mutant{
	{
		name: "priority-upside-down", file: "core/lock/queue.go",
		old:    "return int(Front - p)",
		new:    "return int(p - Back)",
		breaks: "the back is served before the front",
		tests:  inLock,
	},
	{
		name: "priority-front-behind-normal", file: "core/lock/acquire.go",
		old:    "class: c.Acquire.Priority, listener: c",
		new:    "class: min(c.Acquire.Priority, Normal), listener: c",
		breaks: "a waiter of the front stands behind the normal ones",
		tests:  inLock,
	},
	{
		name: "priority-try-passes-the-back", file: "core/lock/waiter.go",
		old:    "return e.queue.len() > e.absent.count()",
		new:    "return e.queue.len() > e.absent.count() && !(e.called != nil && e.called.class == Back)",
		breaks: "a newcomer has a free lock before a called waiter of the back",
		tests:  inLock,
	},
	{
		name: "priority-of-the-repeat", file: "core/lock/acquire.go",
		old:    "	w.listener, w.request = c, c.Acquire\n",
		new:    "	m.waitStarts[w.class.class()].Delete(w.order)\n	e.queue.remove(w)\n	w.class = c.Acquire.Priority\n	e.queue.insert(w)\n	m.waitStarts[w.class.class()].Set(w.order, w.since)\n	w.listener, w.request = c, c.Acquire\n",
		breaks: "asking again with a key moves an attempt to another class",
		tests:  inLock,
	},
	{
		name: "priority-recorded-of-the-repeat", file: "core/lock/handover.go",
		old:    "return queueTime{m.now.Sub(w.since), w.class}",
		new:    "return queueTime{m.now.Sub(w.since), w.request.Priority}",
		breaks: "the record names the class that policies last asked for, not the one it waited in",
		tests:  inLock,
	},
	{
		name: "priority-wrong-class-granted", file: "core/lock/queue.go",
		old:    "	for _, line := range q {\n		if w := line.first(); w != nil {",
		new:    "	for _, line := range slices.Backward(q[:]) {\n		if w := line.first(); w != nil {",
		breaks: "a free lock goes to the last class",
		tests:  inLock,
	},
	{
		name: "priority-claim-by-arrival", file: "core/lock/handover.go",
		old:    "if e.called != nil && w.before(e.called) {",
		new:    "if e.called != nil && w.order < e.called.order {",
		breaks: "the late claim of a waiter at the front counts for nothing, and it may be called for ever",
		tests:  inLock,
	},
	{
		name: "priority-place-within-the-class", file: "core/lock/queue.go",
		old:    "return ahead + q[",
		new:    "return q[",
		breaks: "a refused waiter is told a place as if no other class was served before",
		tests:  inLock,
	},
	{
		name: "priority-page-skips-in-each-class", file: "core/lock/queue.go",
		old:    "from := min(max(skip-ahead, 0), len(line))",
		new:    "from := min(skip, len(line))",
		breaks: "a later page of a queue leaves waiters out",
		tests:  inLock,
	},
	{
		name: "priority-starves-for-ever", file: "core/lock/waiter.go",
		old:    "	m.waitStarts[w.class.class()].Delete(w.order)\n",
		new:    "",
		breaks: "the longest wait is that of a waiter that has been granted the lock",
		tests:  inLock,
	},
	{
		name: "priority-of-policies-unheard", file: "core/guard.go",
		old:    "		a.Priority = v.Priority\n",
		new:    "		_ = v.Priority\n",
		breaks: "what policies say of a waiter's priority is recorded and nothing more",
		tests:  inCore,
	},
	{
		name: "priority-foremost-wins", file: "hooks/set.go",
		old:    "o.Priority < v.Priority",
		new:    "o.Priority > v.Priority",
		breaks: "of two policies the one that says front wins",
		tests:  inPriority,
	},
	{
		name: "priority-of-the-silent", file: "hooks/set.go",
		old:    "if o.SetsPriority && (!v.SetPriority ||",
		new:    "if (!v.SetPriority ||",
		breaks: "a policy that says nothing makes a request normal",
		tests:  inPriority,
	},
	{
		name: "priority-last-word-counts", file: "hooks/internal/guest/imports.go",
		old:    "if g.changes() && (!o.SetsPriority || p < o.Priority) {",
		new:    "if g.changes() {",
		breaks: "a policy that says back and then front makes front",
		tests:  inPriority,
	},
	{
		name: "priority-of-any-number", file: "hooks/internal/guest/imports.go",
		old:    "if n < abi.PriorityBack || n > abi.PriorityFront {",
		new:    "if false {",
		breaks: "a policy that mistakes a number of milliseconds for a priority makes a class there is not",
		tests:  inPriority,
	},
	{
		name: "priority-at-the-turn", file: "hooks/internal/guest/imports.go",
		old:    "q.Hook == core.HookAcquire && q.Phase == core.PhaseRequest\n}",
		new:    "q.Hook == core.HookAcquire\n}",
		breaks: "a priority said at the turn is taken for one that counts",
		tests:  inPriority,
	},
	{
		name: "priority-not-on-record", file: "core/journal/record/seal.go",
		old:    "if e.Priority != lock.Normal {",
		new:    "if false {",
		breaks: "the audit log does not say that a waiter was put ahead of others",
		tests:  inJournal,
	},
	{
		name: "priority-not-shown", file: "transport/internal/wire/lock.go",
		old:    "if w.Priority != lock.Normal {",
		new:    "if false {",
		breaks: "a reader of the queue cannot see why it is not in order of arrival",
		tests:  inPriorityShown,
	},
}

// The tests these mutants need, and no others.
var (
	inPriority      = []string{"-short -run=Priority ./hooks"}
	inPriorityShown = []string{"-short -run=Priority ./transport"}
)
