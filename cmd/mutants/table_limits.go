package main

// limitMutants let too much in, keep holders out, or show what should not be shown.
var limitMutants = []mutant{
	{
		name: "limit-keeps-holders-out", file: "transport/internal/limit/limit.go",
		old:    "		allowance = 2\n",
		new:    "		allowance = 1\n",
		breaks: "a client at its rate limit cannot renew or release",
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
		old:    "case !x.api.requiresTokens() || !x.withoutCredentials() || isProbe(path):",
		new:    "case !x.api.requiresTokens() || isProbe(path):",
		breaks: "a client without a token locks out clients with tokens at the same address",
		tests:  []string{"-run=LimitOfRequestsPerAddress ./transport"},
	},
	{
		name: "locks-on-the-admin-listener", file: "transport/transport.go",
		old:    "lockPrefix); is && on == mainListener {",
		new:    "lockPrefix); is {",
		breaks: "clients of the admin listener can take locks",
		tests:  []string{"-run=AdminListener|ListenersAnswer ./transport"},
	},
	{
		name: "answer-counts-from-the-arrival", file: "transport/handler.go",
		old:    "Now: time.Now()}",
		new:    "Now: x.started}",
		breaks: "a client that waited takes its lease for longer than it is",
		tests:  []string{"-run=SafeEnd ./transport"},
	},
	{
		name: "values-of-headers-run-on", file: "transport/answer.go",
		old:    "values[:1:1]",
		new:    "values",
		breaks: "an answer has its length as a second request id",
		tests:  []string{"-run=WireIsAsRecorded ./transport"},
	},
	{
		name: "profiles-for-everybody", file: "transport/listeners.go",
		old:    "\"profile the server\", auth.Admin); err != nil {",
		new:    "\"profile the server\", auth.Admin); false && err != nil {",
		breaks: "any token gives access to memory profiles",
		tests:  []string{"-run=ProfilesAreForAdministrators ./transport"},
	},
	{
		name: "smuggled-behind-chunks", file: "transport/admission.go",
		old:    "if len(x.r.TransferEncoding) > 0 {",
		new:    "if false {",
		breaks: "request smuggling: the body of a request is answered as a request of its own",
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
		breaks: "reading a database creates files beside it that belong to the reader",
		tests:  []string{"-run=ExamineLeavesNothing ./core/store/sqlite"},
	},
}

// floodMutants let a flood of connections from one address keep others out.
var floodMutants = []mutant{
	{
		name: "flood-has-the-grace", file: "transport/internal/conn/set.go",
		old:    "of.Len() > above && (most == nil",
		new:    "false && (most == nil",
		breaks: "silent connections that come fast keep all other addresses out",
		tests:  []string{"-run=ConnectionsOfAFlood ./transport"},
	},
	{
		name: "flood-cut-in-vain", file: "transport/internal/conn/set.go",
		old:    "	if !last && surplus <= len(c.open)-c.Max {",
		new:    "	if false {",
		breaks: "connections on which a renewal is about to come are cut although that makes no place",
		tests:  []string{"-run=ConnectionsAreNotEvictedInVain ./transport/internal/conn"},
	},
	{
		name: "flood-share-unchecked", file: "transport/internal/conn/set.go",
		old:    "c.largest(max(own, c.share()), last)",
		new:    "c.largest(own, last)",
		breaks: "the silent connections that a network has within its share are cut at once, too",
		tests:  []string{"-run=ConnectionsAreNotEvictedInVain ./transport/internal/conn"},
	},
}

// shareMutants break what one client behind a proxy must not take from the others, and
// what the log and the listeners tell.
var shareMutants = []mutant{
	{
		name: "login-share-for-junk", file: "transport/login/web.go",
		old:    "	ticket, err := g.ticket(r, c.State, now)\n",
		new:    "	ticket, err := g.ticket(r, c.State, now)\n	if err := allowed(mayAsk); err != nil {\n		return Token{}, err\n	}\n",
		breaks: "invalid callbacks keep all users behind a proxy from logging in",
		tests:  []string{"-run=LoginsAreNotUsedUp ./transport"},
	},
	{
		name: "login-share-unasked", file: "transport/login/web.go",
		old:    "if err = allowed(mayAsk); err == nil {",
		new:    "if true {",
		breaks: "one address has GitHub asked about codes as fast as it answers",
		tests:  []string{"-run=LoginsOfOneAddressInBrowsers ./transport"},
	},
	{
		name: "device-share-unasked", file: "transport/login/device.go",
		old:    "if err := allowed(mayAsk); err != nil {",
		new:    "if false {\n		err := errors.New(\"\")",
		breaks: "one address has GitHub asked for codes as fast as it answers",
		tests:  []string{"-run=LoginsOfOneAddressAreLimited ./transport"},
	},
}

// strangerMutants give strangers, and clients that have left, what belongs to others.
var strangerMutants = []mutant{
	{
		name: "departure-unwatched", file: "transport/internal/conn/hangup.go",
		old:    "	h.poller.add(w.conn, w.id)\n",
		new:    "",
		breaks: "a waiter that has sent something behind its request and left keeps its place",
		tests:  []string{"-run=HangUpOfStreams ./transport"},
	},
	{
		name: "departure-unseen-at-grant", file: "transport/leases.go",
		old:    " || x.hasLeft() {",
		new:    " {",
		breaks: "a client that left while its grant went to the disk has the lock for its ttl",
		tests:  []string{"-run=HangUpWhileTheDiskIsSlow ./transport"},
	},
	{
		name: "departure-behind-a-flood", file: "transport/internal/conn/hangup.go",
		old:    "if left || fills(w.conn, h.peeked) {",
		new:    "if left {",
		breaks: "a waiter that has sent more than the system keeps is never noticed to have left",
		tests:  []string{"-run=HangUpBehindAFlood ./transport"},
	},
	{
		name: "pipelined-counts-as-gone", file: "transport/internal/conn/hangup.go",
		old:    "	mostBehind = 32 << 10\n",
		new:    "	mostBehind = 8\n",
		breaks: "a client that pipelines loses its place",
		tests:  []string{"-run=PipelinedRequestsAreAnswered ./transport"},
	},
	{
		name: "silent-connections-stay", file: "transport/internal/conn/set.go",
		old:    "	first := of.Front()\n	if first == nil {",
		new:    "	first := of.Front()\n	if true {",
		breaks: "connections that say nothing keep holders out",
		tests:  []string{"-run=ConnectionsThatArePending ./transport"},
	},
	{
		name: "waiters-connections-cut", file: "transport/exchange.go",
		old:    "	if !rt.public {\n		x.markAdmitted() // without tokens too\n	}\n",
		new:    "",
		breaks: "a flood cuts the connections of waiters",
		tests:  []string{"-run=ConnectionsOfClientsStay ./transport"},
	},
	{
		name: "strangers-cut-others", file: "transport/internal/conn/set.go",
		old:    "own = of.Len(); own >= c.share() {",
		new:    "own = of.Len(); own < 0 {",
		breaks: "one address that floods cuts the connections of others",
		tests:  []string{"-run=ConnectionsOfOneNetwork ./transport/internal/conn"},
	},
	{
		name: "strangers-settled", file: "transport/exchange.go",
		old:    "	if !rt.public {\n		x.markAdmitted()",
		new:    "	if true {\n		x.markAdmitted()",
		breaks: "a client without a token keeps a connection for ever with requests that need none",
		tests:  []string{"-run=ConnectionsThatAreNotAdmitted ./transport"},
	},
	{
		name: "junk-codes-remembered", file: "transport/login/login.go",
		old:    "	if !accepted {\n",
		new:    "	if false {\n",
		breaks: "invalid codes fill the table of logins, and no user can log in",
		tests:  []string{"-short ./transport/login"},
	},
	{
		name: "device-share-unkept", file: "transport/login/device.go",
		old:    " && ds.of[network] < mostOfOne",
		new:    "",
		breaks: "one address takes all logins by a code",
		tests:  []string{"-short ./transport/login"},
	},
	{
		name: "github-asked-by-one", file: "transport/internal/limit/limit.go",
		old:    "int64(GitHubInterval), int64(GitHubBurst*GitHubInterval))",
		new:    "0, int64(GitHubBurst*GitHubInterval))",
		breaks: "one address has GitHub asked as fast as it answers",
		tests:  []string{"-run=LoginsOfOneAddress ./transport"},
	},
	{
		name: "full-disk-not-ready", file: "transport/pages.go",
		old:    "case a.service.Full() && grants:",
		new:    "case a.service.Full() && (grants || true):",
		breaks: "an orchestrator takes a server with a full disk away from holders that have to release",
		tests:  []string{"-run=ErrorsOfTheStore ./transport"},
	},
	{
		name: "refusals-fill-the-log", file: "core/sparselog/sparselog.go",
		old:    "		k.times++\n		k.last = this\n		return false\n",
		new:    "		return true\n",
		breaks: "every request on a full disk writes a line",
		tests:  []string{"-short ./core/sparselog"},
	},
	{
		name: "linger-after-head", file: "transport/answer.go",
		old:    "if x.r.Method != http.MethodHead {",
		new:    "if true {",
		breaks: "a later answer on the connection is cut",
		tests:  []string{"-run=HEADOfAStream ./transport"},
	},
	{
		name: "histogram-sum-overflows", file: "core/table/stats.go",
		old:    "math.Float64frombits(h.sum.Load()) + v)",
		new:    "float64(int64((math.Float64frombits(h.sum.Load())+v)*1e9)) / 1e9)",
		breaks: "the sum of hold times becomes negative",
		tests:  []string{"-run=HistogramSums ./core/table"},
	},
}

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
		old:    "	for _, line := range q.lines {\n		if w := line.first(); w != nil {",
		new:    "	for _, line := range slices.Backward(q.lines[:]) {\n		if w := line.first(); w != nil {",
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
		old:    "return ahead + q.lines[",
		new:    "return q.lines[",
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
		name: "queue-shown-as-before", file: "core/lock/request.go",
		old:    " && w.KeptUntil.Equal(other.KeptUntil)",
		new:    "",
		breaks: "a status shows that the client of a waiter is present after it has left",
		tests:  []string{"-run=TestQueueShows ./core/lock"},
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
		breaks: "the priority that policies give a waiter is recorded but has no effect",
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
