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

// ownerMutants break who has the term of a table in etcd, and until when.
var ownerMutants = []mutant{
	{
		name: "lease-trusted-for-ever", file: "core/store/etcd/internal/lease/lease.go",
		old:    "	if int64(Now()) < l.until.Load() {\n",
		new:    "	if int64(Now()) < l.until.Load() || true {\n",
		breaks: "a node that is cut off from etcd answers on while another serves",
		tests:  []string{"-run=TestTermIsLostBefore|TestLeaseThatWasNot ./core/store/etcd"},
	},
	{
		name: "lease-trusted-too-long", file: "core/store/etcd/internal/lease/lease.go",
		old:    "			l.extend(sent + ttl - Margin)\n",
		new:    "			l.extend(Now() + 5*ttl - Margin)\n",
		breaks: "a lease is trusted longer than etcd has granted",
		tests:  []string{"-run=TestTermIsLostBefore|TestLeaseThatWasNot ./core/store/etcd"},
	},
	{
		name: "lease-comes-back", file: "core/store/etcd/internal/lease/lease.go",
		old:    "	if l.over.Load() {\n",
		new:    "	if l.over.Load() && false {\n",
		breaks: "a node that has handed over its term answers on",
		tests:  []string{"-run=TestTakeAfterAHandOver ./core/store/etcd"},
	},
	{
		name: "term-ends-unseen", file: "core/store/etcd/view.go",
		old:    "	if s := v.serving; s != nil && v.at",
		new:    "	if s := v.serving; s != nil && false && v.at",
		breaks: "a node whose key was deleted or changed serves on until it commits",
		tests:  []string{"-run=TestTermIsLostWith ./core/store/etcd"},
	},
	{
		name: "take-of-another-counts", file: "core/store/etcd/take.go",
		old:    "	if len(found) == 0 || found[0].Lease != int64(l.ID()) {\n",
		new:    "	if len(found) == 0 {\n",
		breaks: "a term that another node was faster to take counts as this node's own",
		tests:  []string{"-run=TestTakeOfANamesake ./core/store/etcd"},
	},
	{
		name: "take-given-up-comes-back", file: "core/store/etcd/take.go",
		old:    "		c.revokeSoon(l) // a put that arrives later is refused, or deleted with the lease\n",
		new:    "		_ = l // a put that arrives later is applied\n",
		breaks: "a take that was given up is applied later, and the term stays with a node that does not serve",
		tests:  []string{"-run=TestTakeThatArrivesLate ./core/store/etcd"},
	},
	{
		name: "stray-term-stays", file: "core/store/etcd/view.go",
		old:    "stray && v.Process == c.process {",
		new:    "stray && v.Process == c.process && false {",
		breaks: "a term that a node has without serving stays for as long as its lease",
		tests:  []string{"-run=TestTakeThatIsNotServed ./core/store/etcd"},
	},
	{
		name: "namesake-joins", file: "core/store/etcd/nodes.go",
		old:    "	if found.Get().Count > 0 {\n",
		new:    "	if found.Get().Count > 1 {\n",
		breaks: "a namesake is refused without the URL of the other node",
		tests:  []string{"-run=TestJoinRefuses ./core/store/etcd"},
	},
}
