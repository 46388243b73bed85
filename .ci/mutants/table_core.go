package main

// batchMutants break what happens to a batch: told too early, or taken back in part.
var batchMutants = []mutant{
	{
		name: "tell-before-commit", file: "core/lock/table.go",
		old:    "	err := t.persist()\n	switch {",
		new:    "	t.deliver(nil)\n	t.m.batch.answers = nil\n	err := t.persist()\n	switch {",
		breaks: "callers hear of changes the disk does not know",
		tests:  inLock,
	},
	{
		name: "publish-before-commit", file: "core/lock/table.go",
		old:    "	err := t.persist()\n	switch {",
		new:    "	t.publish()\n	err := t.persist()\n	switch {",
		breaks: "readers see changes the disk does not know",
		tests:  inLock,
	},
	{
		name: "tell-before-publish", file: "core/lock/table.go",
		old:    "	t.publish()\n	if err == nil {\n		t.cfg.Published()\n	}\n	t.deliver(err)\n",
		new:    "	t.deliver(err)\n	t.publish()\n	if err == nil {\n		t.cfg.Published()\n	}\n",
		breaks: "who was just granted a lock may read that it is free",
		tests:  inLock,
	},
	{
		name: "told-although-ended", file: "core/lock/batch.go",
		old:    "	if l == nil {\n		return a.reply",
		new:    "	if l == nil || true {\n		return a.reply",
		breaks: "a lease that a later command of its batch ended is handed out",
		tests:  inLock,
	},
	{
		name: "unknown-taken-for-refused", file: "core/lock/table.go",
		old:    "		t.failed.Store(&err)\n",
		new:    "		t.m.takeBack()\n",
		breaks: "after a commit nobody knows the outcome of, the table goes on as if it had not happened",
		tests:  inLock,
	},
	{
		name: "restored-waiters-forgotten", file: "core/lock/batch.go",
		old:    "	for _, w := range m.batch.granted {\n		m.restore(w)\n	}\n",
		new:    "",
		breaks: "a waiter whose grant was refused for lack of space is lost",
		tests:  inLock,
	},
	{
		name: "counts-not-taken-back", file: "core/lock/batch.go",
		old:    "		m.replace(e, e.before)\n",
		new:    "		e.held = e.before\n",
		breaks: "a refused batch leaves wrong counts and deadlines",
		tests:  inLock,
	},
	{
		name: "poll-restored-as-ghost", file: "core/lock/batch.go",
		old:    "	if !w.req.waits() {",
		new:    "	if false {",
		breaks: "a poll whose grant was refused for lack of space stays in the queue",
		tests:  inLock,
	},
	{
		name: "refused-attempt-over", file: "core/lock/batch.go",
		old:    "	m.over.takeBack(m.batch.overs)\n",
		new:    "",
		breaks: "an attempt that was granted and ended in a batch the disk refused cannot be made again",
		tests:  inLock,
	},
	{
		name: "refused-undo-forgotten", file: "core/lock/batch.go",
		old:    "		m.undoLater(e)\n",
		new:    "		_ = e\n",
		breaks: "an undelivered grant whose undo found no space stays",
		tests:  inLock,
	},
	{
		name: "undo-a-delivered-grant", file: "core/lock/leases.go",
		old:    " || h.asks != c.ask {",
		new:    " {",
		breaks: "a lost answer takes back a lease that a later answer delivered",
		tests:  inLock,
	},
	{
		name: "given-up-grant-kept", file: "core/lock/table.go",
		old:    "if c.do == doAcquire && r.lease != nil {",
		new:    "if false {",
		breaks: "a grant to a caller who has given up is not undone",
		tests:  inLock,
	},
}

// keyMutants break idempotency keys.
var keyMutants = []mutant{
	{
		name: "key-forgotten-on-restart", file: "core/lock/machine.go",
		old:    "if !l.Attempt.IsZero() {",
		new:    "if false {",
		breaks: "a repeated acquire is a stranger to its own lease after a restart",
		tests:  inLock,
	},
	{
		name: "key-not-stored", file: "core/lock/batch.go",
		old:    "			row.Attempt = *e.held.attempt\n",
		new:    "",
		breaks: "the key of a lease does not reach the disk",
		tests:  inLock,
	},
	{
		name: "key-of-any-account", file: "core/lock/acquire.go",
		old:    " && h.lease.Account == c.acquire.Actor.Account\n",
		new:    "\n",
		breaks: "another account with the same key is given the lease",
		tests:  inLock,
	},
	{
		name: "key-for-anything", file: "core/lock/acquire.go",
		old:    "if e.held.attempt.Params != c.acquire.Attempt.Params {",
		new:    "if false {",
		breaks: "a key used with other parameters is answered with the old lease",
		tests:  inLock,
	},
	{
		name: "attempt-over-forgotten", file: "core/lock/leases.go",
		old:    "	if h.attempt != nil {\n		m.over.add(",
		new:    "	if false {\n		m.over.add(",
		breaks: "a delayed repeat of an attempt that ended takes the lock again",
		tests:  inLock,
	},
	{
		name: "superseded-not-told", file: "core/lock/acquire.go",
		old:    "		m.refuse(w.req, ErrSuperseded)\n",
		new:    "",
		breaks: "the older of two requests of one attempt is never answered",
		tests:  inLock,
	},
	{
		name: "poll-granted-and-waiting", file: "core/lock/acquire.go",
		old:    "		m.grantWaiter(w, c.acquire.Notes) // the policies have looked at this very request\n		return\n",
		new:    "		m.grantWaiter(w, c.acquire.Notes) // the policies have looked at this very request\n",
		breaks: "a keyed poll that finds the lock free, and itself first, crashes the loop",
		tests:  inLock,
	},
}

// loopMutants break the loop around the machine.
var loopMutants = []mutant{
	{
		name: "full-door-open", file: "core/lock/table.go",
		old:    "		t.full.Store(true)\n",
		new:    "",
		breaks: "on a full disk new acquires use up the space releases need",
		tests:  inLock,
	},
	{
		name: "full-door-shut", file: "core/lock/ask.go",
		old:    "if now.UnixNano() >= probe && ",
		new:    "if now.UnixNano() < 0 && ",
		breaks: "after a full disk nobody finds out that there is space again",
		tests:  inLock,
	},
	{
		name: "commit-awaited-for-ever", file: "core/lock/ask.go",
		old:    "	c.timer.Reset(patience)\n	var r reply",
		new:    "	c.timer.Reset(time.Hour)\n	var r reply",
		breaks: "a disk that hangs takes every caller with it",
		tests:  inLock,
	},
	{
		name: "reader-past-the-head", file: "core/journal/journal.go",
		old:    "if s.First > head {",
		new:    "if s.First > head && false {",
		breaks: "a reader of the journal sees what is not published yet",
		tests:  inJournal,
	},
	{
		name: "chain-within-a-batch", file: "core/journal/seal.go",
		old:    "Hash: sha256.Sum256(buf[start:])}",
		new:    "Hash: sha256.Sum256(buf[min(start, 0):])}",
		breaks: "the chain has wrong hashes within a batch",
		tests:  inJournal,
	},
	{
		name: "chain-between-batches", file: "core/journal/journal.go",
		old:    "	j.head = b.Next\n",
		new:    "	j.head.Seq = b.Next.Seq\n",
		breaks: "a batch is chained to an older one than the last",
		tests:  inJournal,
	},
	{
		name: "refused-batch-chained", file: "core/journal/journal.go",
		old:    "	if err := j.store.Commit(ctx, b); err != nil {\n",
		new:    "	if err := j.store.Commit(ctx, b); err != nil {\n		j.head.Hash = b.Next.Hash\n",
		breaks: "the chain goes on from a batch that was refused",
		tests:  inJournal,
	},
}

// storeMutants break what a store promises.
var storeMutants = []mutant{
	{
		name: "memory-accepts-any-head", file: "core/store/memory/memory.go",
		old:    "if b.Prev.Seq != s.head.Seq {",
		new:    "if false {",
		breaks: "a table that is no longer the owner goes on writing to memory",
		tests:  inMemory,
	},
	{
		name: "file-accepts-any-head", file: "core/store/sqlite/writer.go",
		old:    "if head != want {",
		new:    "if false && head != want {",
		breaks: "a file changed behind the server's back is written to",
		tests:  inSQLite,
	},
	{
		name: "synchronous-normal", file: "core/store/sqlite/writer.go",
		old:    "PRAGMA synchronous = FULL",
		new:    "PRAGMA synchronous = NORMAL",
		breaks: "a power cut loses what was acknowledged",
		tests:  inSQLite,
	},
	{
		name: "remaining-by-wall-clock", file: "core/store/sqlite/load.go",
		old:    "left := max(q.int(9)-now.wall, q.int(10)-now.boot)",
		new:    "left := q.int(9) - now.wall",
		breaks: "setting the clock while the server is down ends leases early",
		tests:  inSQLite,
	},
	{
		name: "deadlines-of-another-boot", file: "core/store/sqlite/load.go",
		old:    `if present != "" && present == string(written) {`,
		new:    `if present != "" || present == string(written) {`,
		breaks: "after a boot leases run by clocks that mean nothing any more",
		tests:  inSQLite,
	},
	{
		name: "remaining-without-bound", file: "core/store/sqlite/load.go",
		old:    "time.Duration(min(left, promised))",
		new:    "time.Duration(max(left, min(left, promised)))",
		breaks: "a clock set back makes leases last for as long as it was set back",
		tests:  inSQLite,
	},
	{
		name: "attempt-not-written", file: "core/store/sqlite/writer.go",
		old:    "	if r.Attempt.IsZero() {",
		new:    "	if true {",
		breaks: "the file does not have the key of a lease",
		tests:  inSQLite,
	},
	{
		name: "writes-after-a-failure", file: "core/store/sqlite/commit.go",
		old:    "	s.dead = err\n	return",
		new:    "	return",
		breaks: "a store goes on after a failure that left its outcome unknown",
		tests:  inSQLite,
	},
	{
		name: "no-ballast", file: "core/store/sqlite/room.go",
		old:    "	s.dropSpare(cause)\n	if err := s.w.checkpoint(",
		new:    "	if err := s.w.checkpoint(",
		breaks: "on a full disk nothing can be released",
		tests:  inSQLite,
	},
	{
		name: "two-servers-one-file", file: "core/store/sqlite/sidelock.go",
		old:    "	if !free {",
		new:    "	if !free && false {",
		breaks: "two servers open one file",
		tests:  inSQLite,
	},
}
