package main

// termMutants break the end of a term: another process may own the table from then on.
var termMutants = []mutant{
	{
		name: "term-not-asked-after-the-commit", file: "core/table/loop.go",
		old:    "		err = t.lost()\n",
		new:    "",
		breaks: "a client is told of a commit that the next owner may have changed since",
		tests:  inTable,
	},
	{
		name: "term-not-asked-before-the-batch", file: "core/table/loop.go",
		old:    "	if !t.Owns() {\n",
		new:    "	if t.deposed.Load() {\n",
		breaks: "a table decides although another process may own it",
		tests:  inTable,
	},
	{
		name: "term-lost-taken-for-a-stop", file: "core/table/depose.go",
		old:    "	if t.moving.Load() {\n",
		new:    "	if t.refusing.Load() {\n",
		breaks: "waiters of a table that has moved are told that the server stops",
		tests:  inTable,
	},
	{
		name: "term-outcome-taken-for-moved", file: "core/table/depose.go",
		old:    "	if len(t.m.Events()) > 0 {\n",
		new:    "	if false {\n",
		breaks: "a change that is durable is answered as if nothing had been done",
		tests:  inTable,
	},
	{
		name: "term-waits-for-its-last-commit", file: "core/table/depose.go",
		old:    "		t.stopBegin()\n",
		new:    "",
		breaks: "the end of a term waits for a commit that may hang",
		tests:  inTable,
	},
}

var inArchive = []string{"-short ./core/journal/archive"}

// archiveMutants lose or forge records on their way into the archive and out of it.
var archiveMutants = []mutant{
	{
		name: "prune-before-the-archive", file: "core/journal/keep.go",
		old:    "if a := k.cfg.Journal.Archive(); a != nil {",
		new:    "if a := k.cfg.Journal.Archive(); a != nil && false {",
		breaks: "records are pruned that the archive does not have",
		tests:  inJournal,
	},
	{
		name: "archive-believed", file: "core/journal/archive/archive.go",
		old:    "if err := a.check(ctx, r.from, r.upTo); err != nil {",
		new:    "if err := a.check(ctx, r.upTo, r.upTo); err != nil {",
		breaks: "records are pruned although the folder with their files is gone",
		tests:  inArchive,
	},
	{
		name: "archive-folder-not-synced", file: "core/journal/archive/write.go",
		old:    "	return w.f, a.syncDir()",
		new:    "	return w.f, nil",
		breaks: "a power cut takes the name of a file whose records were pruned",
		tests:  inArchive,
	},
	{
		name: "archive-of-damage", file: "core/journal/archive/write.go",
		old:    "if !ended || !ok || !hasPrev || prev != want || l.Seq <= w.last.Seq {",
		new:    "if !ended || !ok || !hasPrev || prev != want && false || l.Seq <= w.last.Seq {",
		breaks: "records that the store has damaged are archived, and pruned",
		tests:  inArchive,
	},
	{
		name: "archive-read-unverified", file: "core/journal/archive/read.go",
		old:    "if err := a.verify(ctx, in, f); err != nil {",
		new:    "if err := a.verify(ctx, in, f); err != nil && false {",
		breaks: "the server signs exports of a file that was changed",
		tests:  inArchive,
	},
	{
		name: "archive-of-another-history", file: "core/journal/archive/folder.go",
		old:    "return errors.Join(err, other)",
		new:    "return err",
		breaks: "a restored database goes on in the archive of what was lost",
		tests:  inArchive,
	},
	{
		name: "archive-clash-gives-up", file: "core/journal/archive/write.go",
		old:    "if now, _ := a.list.Load().reach(j.Pruned()); now.Seq > at.Seq {",
		new:    "if now, _ := a.list.Load().reach(j.Pruned()); now.Seq < at.Seq {",
		breaks: "a server does not go on behind a file that another one wrote",
		tests:  inArchive,
	},
}

// forwardMutants break the way of a request through a node that does not serve.
var forwardMutants = []mutant{
	{
		name: "forward-grant-without-asking", file: "transport/forward/passage.go",
		old:    "	return p.askFor(ask)\n",
		new:    "	p.ask = ask\n	go func() { _ = p.askFor(ask) }()\n	return nil\n",
		breaks: "a grant is delivered before the serving node knows that a broken connection says nothing any more",
		tests:  inForward,
	},
	{
		name: "forward-broken-connection-says-nothing", file: "transport/forward/receiver.go",
		old:    "	case <-ctx.Done():\n		a.refuse(lock.ErrGone)\n",
		new:    "	case <-ctx.Done():\n",
		breaks: "a grant stays with a node that has died before it asked for it",
		tests:  inForward,
	},
	{
		name: "forward-repeats-a-request", file: "transport/forward/passage.go",
		old:    "		delete(h, api.HeaderKey)\n		h[strings.ToLower(api.HeaderKey)] = key",
		new:    "		h[api.HeaderKey] = key",
		breaks: "the transport sends a request with an idempotency key again",
		tests:  inForward,
	},
	{
		name: "forward-hides-what-is-unknown", file: "transport/forward/passage.go",
		old:    "	return lock.ErrOutcomeUnknown\n",
		new:    "	return lock.ErrDeposed\n",
		breaks: "a request that may have been done is answered as if nothing had been done",
		tests:  inForward,
	},
	{
		name: "forward-goes-on-forever", file: "transport/forward/forward.go",
		old:    "	if _, is := claimOf(f.cfg.Key, r); is {\n",
		new:    "	if false {\n",
		breaks: "two nodes forward a request to each other",
		tests:  inForward,
	},
	{
		name: "forward-believes-any-term", file: "transport/forward/sign.go",
		old:    "	if c.term != term {\n",
		new:    "	if false {\n",
		breaks: "a request or a word for an older term counts in this one",
		tests:  inForward,
	},
	{
		name: "forward-lets-clients-sign-words", file: "transport/forward/receiver.go",
		old:    "	if c.kind == kindWord {\n",
		new:    "	if c.kind == kindWord || MayBeWord(r) {\n",
		breaks: "a client undoes the grant of another by way of a node",
		tests:  inForward,
	},
	{
		name: "forward-write-not-looked-at", file: "transport/forward/grant.go",
		old:    "	if !whole || p.out.err != nil && !errors.Is(p.out.err, http.ErrNotSupported) {\n",
		new:    "	if !whole {\n",
		breaks: "a client that did not get its grant holds the lock",
		tests:  inForward,
	},
	{
		name: "forward-deliver-at-once", file: "transport/answer.go",
		old:    "	if x.through != nil {\n		return x.deliverThrough(contentType, now)\n	}\n",
		new:    "",
		breaks: "the serving node takes the write to another node for the delivery of a grant",
		tests:  inTransport,
	},
}
