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
	{
		name: "term-answers-from-memory", file: "transport/answer.go",
		old:    "	case x.api.service.Owns() || x.route.timeless",
		new:    "	case true || x.route.timeless",
		breaks: "what is read in memory is answered although another node may have changed it",
		tests:  []string{"-run=Moved ./transport"},
	},
	{
		name: "term-change-answered-as-moved", file: "transport/answer.go",
		old:    "	return lock.ErrOutcomeUnknown\n}\n\n// reply",
		new:    "	return lock.ErrDeposed\n}\n\n// reply",
		breaks: "a change is durable, and its client is told that nothing was done",
		tests:  []string{"-run=Moved ./transport"},
	},
	{
		name: "term-streams-on", file: "transport/answer.go",
		old:    "func (x *exchange) Write(b []byte) (int, error) {\n	if err := x.stands(http.StatusOK); err != nil {",
		new:    "func (x *exchange) Write(b []byte) (int, error) {\n	if err := x.stands(http.StatusOK); err != nil && false {",
		breaks: "a stream goes on to show a lock table that another node may have changed",
		tests:  []string{"-run=Moved ./transport"},
	},
	{
		name: "term-over-restarts-the-node", file: "transport/pages.go",
		old:    "	return err != nil && (a.cluster == nil || !errors.Is(err, lock.ErrDeposed))",
		new:    "	return err != nil && (a.cluster == nil || !errors.Is(err, lock.ErrDeposed) || true)",
		breaks: "the liveness probe has a node restarted that has only lost its term",
		tests:  []string{"-run=Moved ./transport"},
	},
	{
		name: "hand-over-off-the-record", file: "transport/cluster.go",
		old:    "	if err != nil {\n		return err\n	}\n	defer a.cluster.HandOver()",
		new:    "	_ = err\n	defer a.cluster.HandOver()",
		breaks: "the lock table is handed over although that could not be recorded",
		tests:  []string{"-run=Cluster ./transport"},
	},
	{
		name: "release-gives-up-before-the-take", file: "transport/client/lease.go",
		old:    "			ctx = longest\n",
		new:    "			_ = longest\n",
		breaks: "a release that meets the loss of a server gives up before another one serves",
		tests:  []string{"-run=Moved ./transport/client"},
	},
}

// etcdMutants break what a store in etcd says of its writes.
var etcdMutants = []mutant{
	{
		name: "etcd-term-not-compared", file: "core/store/etcd/commit.go",
		old:    "	guard := append(r.guard(), clientv3",
		new:    "	guard := append(r.guard()[:0], clientv3",
		breaks: "a node whose term is over commits as long as the next one has not",
		tests:  inEtcd,
	},
	{
		name: "etcd-head-not-compared", file: "core/store/etcd/commit.go",
		old:    `	guard := append(r.guard(), clientv3.Compare(clientv3.ModRevision(r.keys.head()), "=", r.headRev))` + "\n",
		new:    "	guard := r.guard()\n",
		breaks: "a copy of a commit that comes late takes back those after it",
		tests:  inEtcd,
	},
	{
		name: "etcd-outcome-by-head", file: "core/store/etcd/commit.go",
		old:    "	case valueOf(found.Kvs) == c.value:\n",
		new:    "	case valueOf(head.Kvs) == r.sums.headValue(&c.next):\n",
		breaks: "a commit that is durable is called surely lost once the next node has committed",
		tests:  inEtcd,
	},
	{
		name: "etcd-full-is-refused", file: "core/store/etcd/commit.go",
		old:    "			if rev, known, err := r.resolveFull(ctx, c); known {\n",
		new:    "			if rev, known, err := int64(0), true, error(lock.ErrFull); known {\n",
		breaks: "a commit that etcd applied while it passed its quota is called refused",
		tests:  inEtcd,
	},
	{
		name: "etcd-full-while-a-copy-is-on-its-way", file: "core/store/etcd/commit.go",
		old:    "	return 0, !c.unanswered, lock.ErrFull\n",
		new:    "	return 0, true, lock.ErrFull\n",
		breaks: "a commit that is called refused for want of space is applied by a copy that comes late",
		tests:  inEtcd,
	},
	{
		name: "etcd-absent-is-lost-for-ever", file: "core/store/etcd/commit.go",
		old:    "	case r.clock()-c.since > definiteFor:",
		new:    "	case false:",
		breaks: "a node that was paused for long finds its last batch pruned and calls it surely lost",
		tests:  inEtcd,
	},
	{
		name: "etcd-age-of-the-newest-copy", file: "core/store/etcd/commit.go",
		old:    "	c.since = r.clock()\n	var p pauses\n	for {\n",
		new:    "	var p pauses\n	for {\n		c.since = r.clock()\n",
		breaks: "a batch that is sent again after a long pause counts as a new one, and its pruned segment as never written",
		tests:  inEtcd,
	},
	{
		name: "etcd-only-the-ttl-again", file: "core/store/etcd/values.go",
		old:    "	return max(l.TTL, left)\n",
		new:    "	return l.TTL\n",
		breaks: "a lease renewed for less ends before its time when another node takes over",
		tests:  inEtcd,
	},
	{
		name: "etcd-late-token", file: "core/store/etcd/beside.go",
		old:    `	guard := append(r.guard(), clientv3.Compare(clientv3.ModRevision(r.keys.beside()), "=", r.aside.rev))` + "\n",
		new:    "	guard := r.guard()\n",
		breaks: "an older write of a token that comes late brings a revoked one back",
		tests:  inEtcd,
	},
	{
		name: "etcd-token-surely-lost", file: "core/store/etcd/beside.go",
		old:    "	case doubted:\n",
		new:    "	case false:\n",
		breaks: "a token that was written is called surely not written once the next node has written another",
		tests:  inEtcd,
	},
	{
		name: "etcd-full-token-surely-lost", file: "core/store/etcd/beside.go",
		old:    "			doubted = true\n			r.space",
		new:    "			r.space",
		breaks: "a token that etcd wrote while it passed its quota is called surely not written",
		tests:  inEtcd,
	},
	{
		name: "etcd-token-waits-for-space", file: "core/store/etcd/beside.go",
		old:    "				return r.resolveFullBeside(answer.Txn(), mark, unanswered)\n",
		new:    "				if !unanswered || !r.untouchedBeside(answer.Txn()) {\n					return r.resolveFullBeside(answer.Txn(), mark, unanswered)\n				}\n",
		breaks: "one write without an answer keeps all changes of tokens waiting while etcd is full",
		tests:  inEtcd,
	},
	{
		name: "etcd-token-not-made-again", file: "core/store/etcd/beside.go",
		old:    "	for {\n		if err := r.learnMark(ctx); err != nil {\n			return err\n		}\n		ops, err := makeOps(ctx)\n",
		new:    "	ops, err := makeOps(ctx)\n	for {\n		if err := r.learnMark(ctx); err != nil {\n			return err\n		}\n",
		breaks: "two tokens are pruned, each because the other is there, and a server without tokens serves everybody",
		tests:  inEtcd,
	},
	{
		name: "etcd-prunes-what-may-be-asked-for", file: "core/store/etcd/past.go",
		old:    "	case p.waited < oldTermsStay:\n",
		new:    "	case false:\n",
		breaks: "a node that lost the term finds its last batch pruned and calls it surely lost",
		tests:  inEtcd,
	},
	{
		name: "etcd-node-makes-half-a-table", file: "core/store/etcd/cluster.go",
		old:    "	for _, part := range []string{c.keys.table(), c.keys.tokens()} {\n",
		new:    "	for _, part := range []string(nil) {\n",
		breaks: "a node that is started while a table is copied to etcd spoils the copy",
		tests:  []string{"-run=TestImport ./core/store/etcd"},
	},
	{
		name: "etcd-terms-begin-the-hour-anew", file: "core/store/etcd/past.go",
		old:    "			if *before, err = r.sums.past(found.Kvs[0].Value); err != nil {\n",
		new:    "			if _, err = r.sums.past(found.Kvs[0].Value); err != nil {\n",
		breaks: "while nodes are restarted more than once an hour, nothing of earlier terms is deleted, and etcd fills up",
		tests:  inEtcd,
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
		name: "hand-over-of-any-term", file: "core/store/etcd/term.go",
		old:    "clientv3.OpTxn(s.guard(), []",
		new:    "clientv3.OpTxn(s.guard()[:0], []",
		breaks: "a hand-over that arrives late ends the term of the next node, which answers on",
		tests:  []string{"-run=TestHandOver ./core/store/etcd"},
	},
	{
		name: "hand-over-is-trusted", file: "core/store/etcd/term.go",
		old:    "	s.lease.End(errHandedOver)\n	_, err :=",
		new:    "	defer s.lease.End(errHandedOver)\n	_, err :=",
		breaks: "a node answers from memory while another has taken the term that it hands over",
		tests:  []string{"-run=TestHandOver ./core/store/etcd"},
	},
	{
		name: "namesake-joins", file: "core/store/etcd/nodes.go",
		old:    "	if found.Get().Count > 0 {\n",
		new:    "	if found.Get().Count > 1 {\n",
		breaks: "a namesake is refused without the URL of the other node",
		tests:  []string{"-run=TestJoinRefuses ./core/store/etcd"},
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
		old:    "	s.door.Open(main, s.node.admin)\n",
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
		name: "forwarding-without-a-limit", file: "cmd/octostore/internal/server/cluster.go",
		old:    "		Admit: s.door.Admit, Admitted: s.door.Admitted,",
		new:    "		Admitted: s.door.Admitted,",
		breaks: "a node that forwards keeps no limit of connections",
		tests:  inLife,
	},
	{
		name: "handed-over-and-gone", file: "cmd/octostore/internal/server/stop.go",
		old:    "	case t == nil && s.node != nil && s.node.servedLately():\n",
		new:    "	case t == nil && s.node != nil && false:\n",
		breaks: "a node that is stopped just after a hand-over loses requests that other nodes have sent it",
		tests:  inLife,
	},
	{
		name: "term-without-its-node", file: "cmd/octostore/internal/server/term.go",
		old:    "		t.at = \" on node \" + s.node.name\n",
		new:    "",
		breaks: "the audit log does not say which node served",
		tests:  inLife,
	},
	{
		name: "archive-of-another-owner", file: "core/journal/archive/folder.go",
		old:    "	if errors.Is(err, ErrOtherLog) && !a.cfg.Owns() {\n",
		new:    "	if false {\n",
		breaks: "a node that has lost its term calls the files of the next one those of another log, and says to move them",
		tests:  []string{"-run=TestArchive ./core/store/etcd"},
	},
}
