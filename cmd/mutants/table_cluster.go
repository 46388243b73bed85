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

// inLife is the life of a node that serves by turns with others.
var inLife = []string{"-run=TestLife ./cmd/octostore/internal/server"}

// lifeMutants break the life of a node.
var lifeMutants = []mutant{
	{
		name: "lost-term-goes-on", file: "cmd/octostore/internal/server/term.go",
		old:    "	case <-t.lost():\n		return errLost\n",
		new:    "",
		breaks: "a node whose term is over does not forward, and its waiters hear nothing",
		tests:  inLife,
	},
	{
		name: "lost-term-read", file: "cmd/octostore/internal/server/journal.go",
		old:    "		keeps.Owns = t.claim.Owns\n",
		new:    "",
		breaks: "a node answers from memory while another one may serve",
		tests:  inLife,
	},
	{
		name: "lost-term-behind-the-door", file: "cmd/octostore/internal/server/life.go",
		old:    "	s.door.Open(s.node.main, s.node.admin)\n",
		new:    "",
		breaks: "a node that has lost its term refuses requests instead of forwarding them",
		tests:  inLife,
	},
	{
		name: "opening-term-refuses", file: "cmd/octostore/internal/server/term.go",
		old:    "		s.node.turn()\n",
		new:    "",
		breaks: "requests that come while a term is opened are told that it has moved",
		tests:  inLife,
	},
	{
		name: "term-without-its-node", file: "cmd/octostore/internal/server/term.go",
		old:    "		t.at = \" on node \" + s.node.name\n",
		new:    "",
		breaks: "the audit log does not say which node served",
		tests:  inLife,
	},
}
