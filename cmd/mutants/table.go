package main

import "slices"

// Arguments of the go test that is to notice. A second one runs if the first does not.
var (
	inLock        = []string{"./core/lock -rapid.shrinktime=1s", "./core/table"} // fast enough without -short, and sharper
	inTable       = []string{"./core/table"}
	inEtcd        = []string{"-run=TestEtcd(Store|Commit|Prune|Table|Tokens) ./core/store/etcd"}
	inCore        = []string{"-short ./core"}
	inJournal     = []string{"-short ./core/journal/..."}
	inAuth        = []string{"-short ./core/auth"}
	inLogin       = []string{"-short ./transport/login"}
	inPattern     = []string{"-short ./core/pattern"}
	inMemory      = []string{"-short ./core/store/memory"}
	inSQLite      = []string{"-short -skip=PowerCut ./core/store/sqlite", "-short -run=PowerCut ./core/store/sqlite"}
	inPowerCuts   = []string{"-short -run=PowerCut ./core/store/sqlite"}
	inWALFile     = []string{"-run=^TestWALFile ./core/store/sqlite ./core/store/sqlite/internal/conn"}
	inJournalWait = []string{"-run=Waiting ./core/journal"}
	inForward     = []string{"./transport/forward"}
	inTransport   = []string{"-short ./transport", "-short ./transport/internal/..."}
	inProblem     = []string{"-short ./transport/problem", "-short ./transport"}
	inPauses      = []string{"-run=HeldUpByAPause ./cmd/octostore/internal/faults"} // the process is stopped and goes on
	inCommand     = []string{"-short -run=Stopping|Draining|SIGTERM|UnknownOutcome|ReportsWhatEndedIt ./cmd/octostore/internal/server", "-short -run=SIGTERM ./cmd/octostore/internal/stories"}
)

// mutants returns all of them, from the lease outwards.
func mutants() []mutant {
	return slices.Concat(
		leaseMutants, queueMutants, calledMutants, batchMutants, keyMutants, loopMutants, storeMutants, edgeMutants, auditMutants, accessMutants, loginMutants, limitMutants, confirmMutants, nameMutants, fileMutants, machineMutants, strangerMutants, commandMutants, recipeMutants, exampleMutants, shareMutants, floodMutants, priorityMutants, journalMutants, toolMutants, breakerMutants, callMutants, meterMutants, keysMutants, compileMutants, tenMutants, stackMutants, pageMutants, docsMutants, panelMutants,
		terraformMutants, mcpMutants,
		liveMutants,
		archiveMutants,
		jobMutants,
		processMutants,
		verbMutants,
		clientMutants,
		runMutants,
		termMutants,
		moveMutants,
		forwardMutants,
		lifeMutants,
		ownerMutants,
		etcdMutants,
		watchdogMutants,
		proxyMutants,
		deployMutants,
		backupMutants,
		statusMutants,
		traceMutants,
		deadlineMutants,
		laneTwinMutants,
		laneMutants,
		parkMutants,
	)
}

// leaseMutants break what a lease is: who may use it, when it ends, and its token.
var leaseMutants = []mutant{
	{
		name: "lease-id-unproven", file: "core/table/leaseid.go",
		old:    "if !hmac.Equal(given[:], want[:]) {",
		new:    "if false && !hmac.Equal(given[:], want[:]) {",
		breaks: "any lease id of the right length proves a hold",
		tests:  inTable,
	},
	{
		name: "lease-id-of-any-name", file: "core/table/leaseid.go",
		old:    ", uint64(token)), name...)",
		new:    ", uint64(token)), \"any\"...)",
		breaks: "the lease id of one lock works for another",
		tests:  inTable,
	},
	{
		name: "token-ignored", file: "core/lock/holder.go",
		old:    "e.held.token != c.Token || e.held.account",
		new:    "e.held.account",
		breaks: "a lease id of an earlier lease ends the present one",
		tests:  inLock,
	},
	{
		name: "account-ignored", file: "core/lock/holder.go",
		old:    " || e.held.account != c.Origin.Actor.Account {",
		new:    " {",
		breaks: "another account may renew and release",
		tests:  inLock,
	},
	{
		name: "account-ignored-on-repeat", file: "core/lock/holder.go",
		old:    "ccount == c.Origin.Actor.Account {",
		new:    "ccount != \"\" {",
		breaks: "another account is told that its release succeeded",
		tests:  inLock,
	},
	{
		name: "release-not-remembered", file: "core/lock/holder.go",
		old:    "	if ok && past.",
		new:    "	if false && ok && past.",
		breaks: "a release repeated after its lost answer fails",
		tests:  inLock,
	},
	{
		name: "expire-early", file: "core/lock/expiry.go",
		old:    "e.held.deadline().After(m.now) {",
		new:    "e.held.deadline().Add(-time.Second).After(m.now) {",
		breaks: "a request within the last second finds the lease ended",
		tests:  inLock,
	},
	{
		name: "expire-before-renewal", file: "core/lock/command.go",
		old:    "if len(commands) > 0 {\n		at =",
		new:    "if false {\n		at =",
		breaks: "a renewal that arrived in time but is decided late loses its lease",
		tests:  inLock,
	},
	{
		name: "wall-clock", file: "core/lock/machine.go",
		old:    "m.now = to\n",
		new:    "m.now = to.Round(0)\n",
		breaks: "deadlines lose their monotonic reading, so setting the clock ends leases",
		tests:  inLock,
	},
	{
		name: "renewal-shortens", file: "core/lock/holder.go",
		old:    "end.After(lease.ExpiresAt) {",
		new:    "!end.Equal(lease.ExpiresAt) {",
		breaks: "a renewal with a short ttl brings the end nearer",
		tests:  inLock,
	},
	{
		name: "break-ignores-token", file: "core/lock/holder.go",
		old:    "if c.Token != 0 && e.held",
		new:    "if false && e.held",
		breaks: "a break aimed at one lease ends the next",
		tests:  inLock,
	},
	{
		name: "token-reused", file: "core/lock/machine.go",
		old:    "max(s.Head.Seq+1, Seq(",
		new:    "max(s.Head.Seq, Seq(",
		breaks: "the first event after a restart has the number of the last before it",
		tests:  inLock,
	},
	{
		name: "no-jump-at-start", file: "core/lock/machine.go",
		old:    "Seq(max(now.Unix(), 0))<<20)",
		new:    "0)",
		breaks: "tokens repeat after an old copy of the file was restored",
		tests:  inLock,
	},
}

// queueMutants break the order of the queue, or lose a waiter.
var queueMutants = []mutant{
	{
		name: "no-hand-over-after-end", file: "core/lock/expiry.go",
		old:    "	over := m.endOnly(e, kind, by)\n	m.handOver(e)\n",
		new:    "	over := m.endOnly(e, kind, by)\n",
		breaks: "the first in line is not woken when the lease ends",
		tests:  inLock,
	},
	{
		name: "no-hand-over-after-departure", file: "core/lock/command.go",
		old:    "		m.handOver(e)\n	case m.hasDue",
		new:    "		_ = e\n	case m.hasDue",
		breaks: "when a called waiter leaves, the next one is not called",
		tests:  inLock,
	},
	{
		name: "departures-one-by-one", file: "core/lock/command.go",
		old:    "freed, e)\n",
		new:    "freed, e)\n			m.handOver(e)\n",
		breaks: "when several clients leave at once, one of them is granted the lock of another",
		tests:  inLock,
	},
	{
		name: "departures-last", file: "core/lock/command.go",
		old:    "return k.gone < len(k.left) }",
		new:    "return k.gone < len(k.left) && k.taken == len(k.commands) }",
		breaks: "a waiter that is known to have left is granted the lock",
		tests:  inLock,
	},
	{
		name: "ghost-waiter", file: "core/lock/leaving.go",
		old:    "	if w == nil {\n		return nil // answered already",
		new:    "	if w == nil || why == HungUp {\n		return nil // answered already",
		breaks: "a client that hangs up stays in the queue and is granted the lock",
		tests:  inLock,
	},
	{
		name: "departure-unheard", file: "core/table/acquire.go",
		old:    "	case <-w.gone:\n		w.gone = nil\n",
		new:    "	case <-w.gone:\n		w.gone = nil\n		return true\n",
		breaks: "the loop is not told that a caller has gone",
		tests:  inTable,
	},
	{
		name: "departure-does-not-wake", file: "core/table/inbox.go",
		old:    "	b.leaving = append(b.leaving, l)\n	b.mu.Unlock()\n	b.ring()\n",
		new:    "	b.leaving = append(b.leaving, l)\n	b.mu.Unlock()\n",
		breaks: "the loop sleeps on when a waiter leaves",
		tests:  inTable,
	},
	{
		name: "try-passes-the-queue", file: "core/lock/acquire.go",
		old:    "if e.held == nil && !e.listening() {",
		new:    "if e.held == nil {",
		breaks: "a new request gets a free lock ahead of its waiters",
		tests:  inLock,
	},
	{
		name: "last-come-first-served", file: "core/lock/queue.go",
		old:    "	for _, w := range q {\n		if w.state == listening {\n			return w\n",
		new:    "	for i := range q {\n		if w := q[len(q)-1-i]; w.state == listening {\n			return w\n",
		breaks: "the newest waiter is granted",
		tests:  inLock,
	},
	{
		name: "queue-without-bound", file: "core/lock/acquire.go",
		old:    "max(0, e.queue.len()+1-m.rules.MaxWaitersPerLock)",
		new:    "0",
		breaks: "one lock's queue takes the places of all",
		tests:  inLock,
	},
	{
		name: "places-kept-at-all-costs", file: "core/lock/acquire.go",
		old:    "need.here <= e.absent.count() && need.all <= m.absent.count()",
		new:    "need.here == 0 && need.all == 0",
		breaks: "places of cut connections lock out connected clients",
		tests:  inLock,
	},
	{
		name: "newest-absent-gives-way", file: "core/lock/waiter.go",
		old:    "a.Front().Value",
		new:    "a.Back().Value",
		breaks: "a new waiter takes the place of the client cut off last, not of the one cut off first",
		tests:  inLock,
	},
	{
		name: "one-more-than-the-quota", file: "core/lock/acquire.go",
		old:    "has.holds+has.waits >= m.rules.MaxPerAccount",
		new:    "has.holds+has.waits > m.rules.MaxPerAccount",
		breaks: "an account has one lock more than it may",
		tests:  inLock,
	},
	{
		name: "drain-forgets-waiters", file: "core/lock/leaving.go",
		old:    "	for _, e := range waiting {\n		m.dismiss(",
		new:    "	for _, e := range waiting[:0] {\n		m.dismiss(",
		breaks: "a server that stops leaves its waiters unanswered",
		tests:  inLock,
	},
	{
		name: "drain-grants-on", file: "core/lock/leaving.go",
		old:    "	m.draining = true\n",
		new:    "",
		breaks: "an acquire that crossed the drain is granted",
		tests:  inLock,
	},
}

// calledMutants break the turn of a waiter whose policies are asked again.
var calledMutants = []mutant{
	{
		name: "join-does-not-look", file: "core/lock/acquire.go",
		old:    "if m.canHave(w) { // all before it",
		new:    "if false { // all before it",
		breaks: "a request that joins a free lock whose waiters are all late waits although no waiter is called",
		tests:  inLock,
	},
	{
		name: "late-claim-lost", file: "core/lock/handover.go",
		old:    "if w == nil || w.state != called && w.state != late {",
		new:    "if w == nil || w.state != called {",
		breaks: "two waiters with slow policies are called in turns for ever",
		tests:  inLock,
	},
	{
		name: "call-never-passed-on", file: "core/lock/waiter.go",
		old:    "	m.schedule.set(&w.due, m.now.Add(callPatience))\n",
		new:    "",
		breaks: "a waiter whose policies hang keeps all behind it waiting",
		tests:  inLock,
	},
	{
		name: "claim-of-a-held-lock", file: "core/lock/handover.go",
		old:    "return e.held == nil && e.called == nil",
		new:    "return e.called == nil",
		breaks: "a late claim is granted while another client holds the lock",
		tests:  inLock,
	},
	{
		name: "veto-ignored", file: "core/guard.go",
		old:    "s.table.Get(a.Name)))\n	if err != nil {",
		new:    "s.table.Get(a.Name)))\n	if false {",
		breaks: "the lock is given although a policy said no",
		tests:  inCore,
	},
	{
		name: "break-needs-no-right", file: "core/service.go",
		old:    "if err := may(p, \"break\", auth.Break, r.Name); err != nil {",
		new:    "if err := may(p, \"break\", auth.Break, r.Name); false && err != nil {",
		breaks: "any account may break any lease",
		tests:  inCore,
	},
	{
		name: "not-judged-at-its-turn", file: "core/guard.go",
		old:    "atTurn.Verdicts...)\n		if err != nil {",
		new:    "atTurn.Verdicts...)\n		if false {",
		breaks: "a waiter has the lock although the policies have changed their mind",
		tests:  inCore,
	},
	{
		name: "denial-unrecorded", file: "core/guard.go",
		old:    "	if _, err := s.table.Append(ctx, e); err != nil {",
		new:    "	if err := error(nil); err != nil {",
		breaks: "a refusal by a policy is missing in the journal",
		tests:  inCore,
	},
	{
		name: "cap-raises", file: "core/guard.go",
		old:    "a.TTL = min(a.TTL, max(v.TTL, lock.MinTTL))",
		new:    "a.TTL = max(v.TTL, lock.MinTTL)",
		breaks: "a policy lengthens a lease beyond what was asked",
		tests:  inCore,
	},
}
