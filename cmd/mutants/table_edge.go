package main

// watchdogMutants restart a server that gets on, or keep one that does not.
var watchdogMutants = []mutant{
	{
		name: "watchdog-of-a-slow-disk", file: "cmd/octostore/internal/server/stop.go",
		old:    "advanced := commits != m.commits",
		new:    "advanced := false",
		breaks: "systemd kills a server whose disk is slow, again and again",
		tests:  []string{"-run=WatchdogIsFedOnASlowDisk ./cmd/octostore/internal/server"},
	},
}

// parkMutants lose requests that wait without a goroutine, or answer them too early.
var parkMutants = []mutant{
	{
		name: "parked-not-resumed", file: "core/table/loop.go",
		old:    "	if p != nil {\n		go p.resume()",
		new:    "	if false {\n		go p.resume()",
		breaks: "a waiter in the lane learns of its grant when its wait is over",
		tests:  inTable,
	},
	{
		name: "parked-left-to-a-disk-that-hangs", file: "core/table/table.go",
		old:    "	t.parking.end()\n",
		new:    "",
		breaks: "a server that stops while the disk hangs does not answer its waiters",
		tests:  inTable,
	},
	{
		name: "parked-after-the-answer", file: "core/table/park.go",
		old:    "return c.parked.CompareAndSwap(nil, c.place)",
		new:    "return c.parked.Swap(c.place) != c.place",
		breaks: "a grant that comes just before its waiter is parked stays unanswered",
		tests:  inTable,
	},
	{
		name: "parked-woken-when-used-again", file: "core/table/park.go",
		old:    "	waking := k.ended\n",
		new:    "	waking := false\n",
		breaks: "a stop wakes the next user of a request that was answered just before",
		tests:  inTable,
	},
	{
		name: "parked-kept-by-its-context", file: "core/table/park.go",
		old:    "silenced, unwatched := p.alarm.Stop(), p.stop()",
		new:    "silenced, unwatched := p.alarm.Stop(), true",
		breaks: "a context keeps the requests that waited with it and whose wait is over",
		tests:  inTable,
	},
	{
		name: "parked-waits-anew", file: "core/table/acquire.go",
		old:    "		w.paused, w.c.waited = true, true\n",
		new:    "		w.paused = true\n",
		breaks: "a wait that has lasted for a moment begins anew",
		tests:  inTable,
	},
	{
		name: "resumed-before-the-return", file: "transport/internal/lane/answer.go",
		old:    "return w.came.Add(1) == 2",
		new:    "return w.came.Add(1) != 2",
		breaks: "two goroutines have a connection at a time",
		tests:  []string{"-run=Parked ./transport/internal/lane"},
	},
}

// deadlineMutants give an answer in the lane the time of another one.
var deadlineMutants = []mutant{
	{
		name: "deadline-of-the-first-answer", file: "transport/internal/lane/conn.go",
		old:    " && later < time.Second {",
		new:    " {",
		breaks: "a connection that is older than ten seconds cannot be written to",
		tests:  inDeadlines,
	},
	{
		name: "deadline-later-than-asked", file: "transport/internal/lane/conn.go",
		old:    " && 0 <= later && ",
		new:    " && ",
		breaks: "a client that does not read its answer holds a connection for as long as an earlier one was given",
		tests:  inDeadlines,
	},
	{
		name: "deadline-of-the-answer-before", file: "transport/internal/lane/answer.go",
		old:    "		if !w.limited {\n",
		new:    "		if false {\n",
		breaks: "an answer without a deadline is cut at that of the answer before it",
		tests:  inDeadlines,
	},
	{
		name: "deadline-handed-over", file: "transport/internal/lane/handover.go",
		old:    "	_ = c.setWriteTime(time.Time{})\n",
		new:    "",
		breaks: "a stream that follows an acquire on its connection is cut after ten seconds",
		tests:  inDeadlines,
	},
}

// laneMutants lose connections, time or memory in the lane.
var laneMutants = []mutant{
	{
		name: "lane-keeps-buffers", file: "transport/internal/lane/input.go",
		old:    "if in.from += n; in.from == in.to {",
		new:    "if in.from += n; false {",
		breaks: "a request that waits holds a buffer",
		tests:  inLane,
	},
	{
		name: "lane-header-time", file: "transport/internal/lane/handover.go",
		old:    "case !h.headerBy.IsZero() && t.After(h.headerBy):",
		new:    "case false:",
		breaks: "a client that sends its header slowly has its time twice",
		tests:  inLane,
	},
	{
		name: "lane-hand-over-at-a-stop", file: "transport/internal/lane/handover.go",
		old:    "	if !c.srv.rest.give(to) {\n",
		new:    "	if c.gone = true; !c.srv.rest.give(to) {\n",
		breaks: "a connection that is handed over during a stop is never closed",
		tests:  inLane,
	},
	{
		name: "lane-fresh-at-a-stop", file: "transport/internal/lane/conn.go",
		old:    "(time.Since(c.opened) < freshTime || ",
		new:    "(false || ",
		breaks: "a stop closes a connection whose first request is on its way",
		tests:  inLane,
	},
	{
		name: "lane-context-at-a-stop", file: "transport/internal/lane/stop.go",
		old:    "		c.cut()\n",
		new:    "",
		breaks: "a request that waits outlasts its server",
		tests:  inLane,
	},
	{
		name: "lane-idle-time", file: "transport/internal/lane/conn.go",
		old:    "early < 0 || early > most/64 {",
		new:    "c.readBy.IsZero() || early < 0 {",
		breaks: "a busy connection is closed as if it were idle",
		tests:  inLane,
	},
}

var inLane = []string{"-timeout=60s ./transport/internal/lane"}

var inDeadlines = []string{"-run=WriteDeadline ./transport/internal/lane"}

// proxyMutants believe who must not be believed, or lose clients behind proxies.
var proxyMutants = []mutant{
	{
		name: "header-of-anybody", file: "transport/internal/proxy/proxy.go",
		old:    "if err != nil || !p.trusts(at.Addr()) {",
		new:    "if err != nil {",
		breaks: "a client evades limits with a header of its own, and writes an address into the audit log",
		tests:  []string{"-run=TrustedProxyIsNotBelieved ./transport"},
	},
	{
		name: "header-from-the-left", file: "transport/internal/proxy/proxy.go",
		old:    "if at = next; !p.trusts(at.Addr()) {",
		new:    "if at = next; false {",
		breaks: "what a client wrote before the proxy counts as its address",
		tests:  []string{"-run=ClientIn ./transport/internal/proxy"},
	},
	{
		name: "quote-of-the-client", file: "transport/internal/proxy/proxy.go",
		old:    "case c == ',' && !quoted:",
		new:    "case c == ',' && strings.Count(list[:i], `\"`)%2 == 0:",
		breaks: "an open quote of a client swallows the address that the proxy appended",
		tests:  []string{"-run=ClientInForwarded ./transport/internal/proxy"},
	},
	{
		name: "proxy-header-guessed", file: "transport/internal/proxy/header.go",
		old:    "return netip.AddrPort{}, errNoHeader",
		new:    "return netip.AddrPort{}, nil",
		breaks: "a connection without PROXY header is served, less its first bytes",
		tests:  []string{"-run=HeaderOfTheProxyProtocol|ListenerCloses ./transport/internal/proxy"},
	},
	{
		name: "silent-proxy-blocks", file: "transport/internal/proxy/listener.go",
		old:    "l.readers.Go(func() { l.read(tcp, at) })",
		new:    "l.read(tcp, at)",
		breaks: "a proxy that sends no header keeps all clients waiting",
		tests:  []string{"-run=ListenerGivesOut|ListenerBounds -timeout=20s ./transport/internal/proxy"},
	},
	{
		name: "proxy-headers-cut-by-restart", file: "transport/internal/proxy/listener.go",
		old:    "\tif errors.Is(err, net.ErrClosed) {\n\t\t\tl.finishReaders()",
		new:    "\tif false {\n\t\t\tl.finishReaders()",
		breaks: "a restart with a socket of systemd loses connections whose PROXY header is on its way",
		tests:  []string{"-run=ListenerGivesOut ./transport/internal/proxy"},
	},
	{
		name: "no-hang-up-through-a-proxy", file: "transport/internal/conn/set.go",
		old:    "		c = over.NetConn()\n	}\n	tcp",
		new:    "		c = over.NetConn()\n		break\n	}\n	tcp",
		breaks: "over TLS behind a PROXY header a waiter that has left gets the lock",
		tests:  []string{"-run=TrustedProxyHangsUp ./transport"},
	},
}

// traceMutants lose spans, or let traces harm requests.
var traceMutants = []mutant{
	{
		name: "trace-commit-unlinked", file: "core/table/trace.go",
		old:    "to.trace != nil && r.Turn == nil {",
		new:    "to.trace != nil && r.Turn != nil {",
		breaks: "no request is linked with the commit that made it durable",
		tests:  []string{"-run=TracerFollows ./core/table"},
	},
	{
		name: "trace-variables-printed", file: "cmd/octostore/internal/tracing/tracing.go",
		old:    "	logLibrary(sparse) // before",
		new:    "	// before",
		breaks: "the library prints the value of a malformed variable, such as a password",
		tests:  []string{"-run=TraceVariables ./cmd/octostore/internal/tracing"},
	},
	{
		name: "trace-links-limited", file: "cmd/octostore/internal/tracing/tracing.go",
		old:    "limits.LinkCountLimit = -1",
		new:    "_ = limits.LinkCountLimit",
		breaks: "a commit of many requests is linked with the last 128 only",
		tests:  []string{"-run=TraceOfACommit ./cmd/octostore/internal/tracing"},
	},
	{
		name: "trace-parent-ignored", file: "cmd/octostore/internal/tracing/tracing.go",
		old:    "ctx := fromHeaders.Extract(r.Context(), propagation.HeaderCarrier(r.Header))",
		new:    "ctx := r.Context()",
		breaks: "a request is not part of the trace of its client",
		tests:  []string{"-run=TraceOfARequest|TraceIsSampled ./cmd/octostore/internal/tracing"},
	},
	{
		name: "trace-refusals-are-errors", file: "cmd/octostore/internal/tracing/tracing.go",
		old:    "of.Status >= http.StatusInternalServerError {",
		new:    "of.Status >= http.StatusBadRequest {",
		breaks: "a held lock is an error of the server",
		tests:  []string{"-run=TraceOfARefusal ./cmd/octostore/internal/tracing"},
	},
	{
		name: "trace-drops-in-silence", file: "cmd/octostore/internal/tracing/queue.go",
		old:    "over > 0 {",
		new:    "over > 1<<40 {",
		breaks: "spans that a collector did not take are dropped without a word",
		tests:  []string{"-run=TraceOfAHanging ./cmd/octostore/internal/tracing"},
	},
	{
		name: "trace-without-being-asked", file: "cmd/octostore/internal/tracing/exporter.go",
		old:    "case \"\", exporterNone:",
		new:    "case exporterNone:",
		breaks: "a server without variables for traces warns about an exporter",
		tests:  []string{"-run=TraceVariables ./cmd/octostore/internal/tracing"},
	},
}

// statusMutants break what operators see and do: the state of the server, drains, reloads, the
// newest records, metrics and alerts.
var statusMutants = []mutant{
	{
		name: "secret-in-settings", file: "cmd/octostore/internal/server/describe.go",
		old:    "if v.Secret && v.Text != v.Default || holdsSecret(v.Text) {",
		new:    "if v.Secret && v.Text != v.Default {",
		breaks: "a token or a password in a URL is shown among the settings",
		tests:  []string{"-run=ServerShowsSettings ./cmd/octostore/internal/server"},
	},
	{
		name: "drain-unrecorded", file: "core/drain.go",
		old:    "	if err != nil {\n		return Drained{}, fmt.Errorf(\"record the drain",
		new:    "	if err != nil && false {\n		return Drained{}, fmt.Errorf(\"record the drain",
		breaks: "a drain that cannot be recorded happens all the same",
		tests:  []string{"-run=Drain ./transport"},
	},
	{
		name: "drain-recorded-twice", file: "core/drain.go",
		old:    "	if s.table.Draining() {",
		new:    "	if false {",
		breaks: "each repeated drain is recorded as one of its own",
		tests:  []string{"-run=Drain ./transport"},
	},
	{
		name: "drain-ends-streams", file: "core/drain.go",
		old:    "s.table.RefuseAcquires()",
		new:    "s.table.Drain()",
		breaks: "a drain ends the streams of those that watch what the holders do",
		tests:  []string{"-run=Drain ./transport"},
	},
	{
		name: "last-from-all", file: "core/journal/newest.go",
		old:    "		if looked >= most {",
		new:    "		if false {",
		breaks: "a search for what is not there reads the whole audit log",
		tests:  []string{"-run=Newest ./core/journal"},
	},
	{
		name: "last-too-new", file: "core/journal/newest.go",
		old:    "				if l.Seq > end {",
		new:    "				if false {",
		breaks: "the newest records until a time are those after it",
		tests:  []string{"-run=Newest ./core/journal"},
	},
	{
		name: "last-pruned-meanwhile", file: "core/journal/export.go",
		old:    "is && e.q.Newest > 0 {",
		new:    "is && e.q.Newest > 1<<20 {",
		breaks: "pruning makes a request for the newest records fail",
		tests:  []string{"-run=NewestRecords ./core/journal"},
	},
	{
		name: "state-pruned-meanwhile", file: "core/journal/state.go",
		old:    "	for since, is := errors.AsType[*PrunedError](err); is;",
		new:    "	for since, is := errors.AsType[*PrunedError](err); is && false;",
		breaks: "pruning makes a request for the state of the server fail",
		tests:  []string{"-run=StateOfAJournal ./core/journal"},
	},
	{
		name: "reload-without-reason", file: "cmd/octostore/internal/server/policies.go",
		old:    "	return changes, p.record(changes, asked)",
		new:    "	return changes, p.record(changes, lock.Event{})",
		breaks: "nobody knows who had the policies reloaded, and why",
		tests:  []string{"-run=PolicyReloadIsRecorded ./cmd/octostore/internal/server"},
	},
	{
		name: "margin-of-the-new-end", file: "core/lock/holder.go",
		old:    "	margin := lease.left(m.now)\n",
		new:    "	margin := 1.0\n",
		breaks: "renewals that come almost too late look early",
		tests:  []string{"-run=Margin ./core/table"},
	},
}

// laneTwinMutants have the lane differ from net/http.
var laneTwinMutants = []mutant{
	{
		name: "lane-flush-without-an-error", file: "transport/internal/lane/answer.go",
		old:    "		w.endHead(false)\n	}\n	return w.send()\n",
		new:    "		w.endHead(false)\n	}\n	_ = w.send()\n	return nil\n",
		breaks: "a grant that could not be written is held by nobody",
		tests:  []string{"-run=GrantIsUndoneIfItIsNotRead ./transport"},
	},
	{
		name: "lane-without-write-deadlines", file: "transport/internal/lane/answer.go",
		old:    "	return w.c.setWriteTime(t)\n",
		new:    "	return http.ErrNotSupported\n",
		breaks: "a client that does not read its answer holds its connection and its lock",
		tests:  []string{"-run=GrantIsUndoneIfItIsNotRead ./transport"},
	},
	{
		name: "lane-without-read-deadlines", file: "transport/internal/lane/answer.go",
		old:    "error { return w.c.setReadTime(t) }",
		new:    "error { return http.ErrNotSupported }",
		breaks: "a handler cannot bound the time for a body",
		tests:  []string{"-run=LaneLiftsDeadlines ./transport/internal/lane"},
	},
	{
		name: "lane-counts-for-ever", file: "transport/internal/lane/lane.go",
		old:    "	case is && (state == http.StateClosed || state == http.StateHijacked):\n",
		new:    "	case is && state == http.StateHijacked:\n",
		breaks: "connections that were handed over are counted after their end, until no others are served",
		tests:  []string{"-run=LaneCountsConnectionsOnce ./transport"},
	},
	{
		name: "lane-promises-to-go-on", file: "transport/internal/lane/plain.go",
		old:    "		return !isName(name, \"expect\")\n",
		new:    "		return true\n",
		breaks: "a client that waits for 100 Continue has none",
		tests:  inTwins,
	},
	{
		name: "lane-loses-the-next-request", file: "transport/internal/lane/input.go",
		old:    "	if in.from += n; in.from == in.to {\n",
		new:    "	if in.from += n; true {\n",
		breaks: "a pipelined request is lost",
		tests:  inTwins,
	},
	{
		name: "lane-loses-what-it-read", file: "transport/internal/lane/handover.go",
		old:    "		to.unread = append([]byte(nil), c.in.bytes()...)\n",
		new:    "",
		breaks: "net/http gets a connection without the beginning of its request",
		tests:  inTwins,
	},
}

var inTwins = []string{"-run=LaneAnswersAsNetHTTP$ -timeout=60s ./transport"}
