package main

// docsMutants break how ended tokens are deleted and listed, and what the documents are made of.
var docsMutants = []mutant{
	{
		name: "last-token-pruned", file: "core/store/sqlite/internal/rows/tokens.go",
		old:    " AND EXISTS (SELECT 1 FROM tokens WHERE id <> ?1)\"",
		new:    "\"",
		breaks: "a store forgets that there ever was a token, and the next start serves requests without one",
		tests:  []string{"-run=TestStore ./core/store/sqlite"},
	},
	{
		name: "pruned-before-its-time", file: "core/auth/prune.go",
		old:    "!end.IsZero() && end.Before(limit) && !s.listed[hash]",
		new:    "!end.IsZero() && limit.Before(now) && !s.listed[hash]",
		breaks: "a token that is to expire is deleted while it is good",
		tests:  []string{"-run=TestTokensPruned ./core/auth"},
	},
	{
		name: "pruned-though-listed", file: "core/auth/prune.go",
		old:    "		hashes[t.Hash] = true\n",
		new:    "		hashes[t.Hash] = false\n",
		breaks: "a revoked token that the tokens file lists is good again after its deletion",
		tests:  []string{"-run=TestTokensOfTheFile ./core/auth"},
	},
	{
		name: "pruned-lets-requests-go-on", file: "core/auth/prune.go",
		old:    "		e.life.end(ErrBadToken)\n",
		new:    "		_ = e\n",
		breaks: "a request goes on with a token that was deleted",
		tests:  []string{"-run=TestTokensPruned ./core/auth"},
	},
	{
		name: "token-page-skips", file: "core/auth/list.go",
		old:    "		next = cursorOf(entries[limit-1])\n",
		new:    "		next = cursorOf(entries[0])\n",
		breaks: "pages of tokens overlap",
		tests:  []string{"-run=TestTokenPages ./core/auth"},
	},
	{
		name: "reference-without-policy", file: "transport/internal/ui/reference.go",
		old:    "	SetHeaders(h)\n",
		new:    "",
		breaks: "the reference of the API has no Content-Security-Policy",
		tests:  []string{"-run=TestReference ./transport/internal/ui"},
	},
	{
		name: "reference-base-unescaped", file: "transport/internal/ui/reference.go",
		old:    "\"{{base}}\", html.EscapeString(base),",
		new:    "\"{{base}}\", base,",
		breaks: "the path of OCTOSTORE_PUBLIC_URL becomes markup in the reference",
		tests:  []string{"-run=TestReference ./transport/internal/ui"},
	},
	{
		name: "compare-peers-not-durable", file: "cmd/octostore/internal/bench/internal/peer/redis.go",
		old:    `"--appendfsync", "always"`,
		new:    `"--appendfsync", "everysec"`,
		breaks: "the comparison is with a Redis that loses locks in a power cut",
		tests:  inCompare,
	},
	{
		name: "compare-leaves-folders", file: "cmd/octostore/internal/bench/internal/peer/process.go",
		old:    "		<-p.done\n	}\n	os.RemoveAll(p.dir)\n",
		new:    "		<-p.done\n	}\n",
		breaks: "a comparison leaves the files of other programs behind",
		tests:  inCompare,
	},
	{
		name: "compare-mixes-rounds", file: "cmd/octostore/internal/bench/report.go",
		old:    "figure(s)/figure(others[i])",
		new:    "figure(s)/figure(others[0])",
		breaks: "a ratio compares different rounds",
		tests:  []string{"-run=TestShare ./cmd/octostore/internal/bench"},
	},
	{
		name: "compare-plot-unescaped", file: "cmd/octostore/internal/bench/plot.go",
		old:    "plotMargin, y+12, html.EscapeString(row.Name))",
		new:    "plotMargin, y+12, row.Name)",
		breaks: "the picture of a comparison is no document",
		tests:  inCompare,
	},
}

var (
	inCompare = []string{"-run=TestCompare ./cmd/octostore/internal/bench"}
	inCopies  = []string{"-short -run=^Test(Copy|Restore|Backup) ./core/store/sqlite"}
	inBackup  = []string{"-short ./cmd/octostore/internal/backuptool"}
	inWatched = []string{"-short ./cmd/octostore/internal/filewatch"}
)

// backupMutants lose a database while it is copied or restored, or do not notice that a file
// has changed.
var backupMutants = []mutant{
	{
		name: "log-read-before-it-is-written", file: "core/store/sqlite/internal/conn/walfile.go",
		old:    "func walRead(tls *libc.TLS, file, data uintptr, n int32, offset int64) int32 {\n	w := walFileOf(file)\n	if rc := w.flush(tls);",
		new:    "func walRead(tls *libc.TLS, file, data uintptr, n int32, offset int64) int32 {\n	w := walFileOf(file)\n	if rc := int32(0);",
		breaks: "a large transaction reads pages of the log that are still in memory",
		tests:  inWALFile,
	},
	{
		name: "log-written-out-of-place", file: "core/store/sqlite/internal/conn/walfile.go",
		old:    "(offset != w.offset+int64(w.used) || ",
		new:    "(false || ",
		breaks: "a page that is written again lands behind the others",
		tests:  inWALFile,
	},
	{
		name: "commit-stays-in-memory", file: "core/store/sqlite/internal/conn/walfile.go",
		old:    "w.last = n == frameHeader &&",
		new:    "w.last = false && n == frameHeader &&",
		breaks: "other connections look for a commit in the file before it is there",
		tests:  inWALFile,
	},
	{
		name: "log-written-after-a-rollback", file: "core/store/sqlite/internal/conn/walfile.go",
		old:    ".used, w.(*walFile).last = 0, false",
		new:    ".last = false",
		breaks: "pages of a transaction that was rolled back overwrite the commit of another process",
		tests:  inWALFile,
	},
	{
		name: "log-sync-failure-ignored", file: "core/store/sqlite/internal/conn/syncdata_linux.go",
		old:    "return sqlite3.SQLITE_IOERR_FSYNC, true",
		new:    "return sqlite3.SQLITE_OK, true",
		breaks: "a commit whose sync failed is acknowledged",
		tests:  inWALFile,
	},
	{
		name: "log-without-its-name", file: "core/store/sqlite/internal/conn/walfile.go",
		old:    "	if w.named {\n",
		new:    "	if w.named || true {\n",
		breaks: "a power cut takes a new log, whose name was never made durable",
		tests:  inWALFile,
	},
	{
		name: "reader-sleeps-on", file: "core/journal/waiting.go",
		old:    "	if uint64(head) <= w.first.Load() {",
		new:    "	if uint64(head) <= w.first.Load()+1 {",
		breaks: "a reader that waits for the next event is woken one event late",
		tests:  inJournalWait,
	},
	{
		name: "nearer-reader-not-noted", file: "core/journal/waiting.go",
		old:    "uint64(after) >= first || ",
		new:    "first != math.MaxUint64 || ",
		breaks: "a stream stands still until the event that the keeper waits for",
		tests:  inJournalWait,
	},
	{
		name: "all-readers-woken-by-each-commit", file: "core/journal/waiting.go",
		old:    "	w.first.Store(math.MaxUint64) // who goes on waiting says so again\n",
		new:    "",
		breaks: "each commit wakes readers that wait for thousands of events",
		tests:  inJournalWait,
	},
	{
		name: "copy-fills-the-disk", file: "core/store/sqlite/copy.go",
		old:    "known && free < need+spareBefore {",
		new:    "known && free < need {",
		breaks: "a backup takes the space that commits need",
		tests:  inCopies,
	},
	{
		name: "copy-stays-in-the-folder", file: "core/store/sqlite/copy.go",
		old:    "	removeDraft(s.path)\n	if err != nil {",
		new:    "	if err != nil {",
		breaks: "a copy of the database stays beside it",
		tests:  inCopies,
	},
	{
		name: "crashed-copy-stays", file: "core/store/sqlite/sqlite.go",
		old:    "	removeDraft(s.path)\n",
		new:    "",
		breaks: "what a crash leaves of a backup takes its space for ever",
		tests:  inCopies,
	},
	{
		name: "restore-deletes-the-old", file: "core/store/sqlite/restore.go",
		old:    "	if r.swap(kept, r.path) == nil {",
		new:    "	if os.Rename(kept, r.path) == nil {",
		breaks: "a restore deletes the database that was there",
		tests:  inCopies,
	},
	{
		name: "restore-drops-the-log", file: "core/store/sqlite/restore.go",
		old:    "		err = d.Checkpoint(conn.Truncate)",
		new:    "		err = os.Truncate(r.path+\"-wal\", 0)",
		breaks: "the database that a restore keeps lacks its newest commits",
		tests:  inCopies,
	},
	{
		name: "restore-loses-newer", file: "cmd/octostore/internal/backuptool/restore.go",
		old:    "	if next.Head.Seq >= present.Head.Seq && next.Key.Equal(present.Key) {",
		new:    "	if next.Key.Equal(present.Key) {",
		breaks: "a restore loses newer records without a word",
		tests:  inBackup,
	},
	{
		name: "backup-takes-the-space-of-a-server", file: "core/store/sqlite/backup.go",
		old:    "running && free < size+spareBefore && ",
		new:    "running && free < size && ",
		breaks: "a backup on the disk of a server leaves it no space for commits",
		tests:  inCopies,
	},
	{
		name: "empty-file-revokes", file: "cmd/octostore/internal/server/watched.go",
		old:    "err != nil || info.Size() > 0 {",
		new:    "err != nil || info.Size() >= 0 {",
		breaks: "a tokens file that a full disk left empty revokes all tokens",
		tests:  []string{"-short -run=^TestWatched ./cmd/octostore/internal/server"},
	},
	{
		name: "restore-of-a-fork", file: "cmd/octostore/internal/backuptool/restore.go",
		old:    "		if has || err != nil || cfg.DiscardNewer {",
		new:    "		if has = true; has {",
		breaks: "a copy on which another server ran replaces records that it lacks",
		tests:  inBackup,
	},
	{
		name: "restore-locked-by-root", file: "core/store/sqlite/restore.go",
		old:    "errors.Join(host.CopyOwner(like, name), r.lock.CopyOwner(like))",
		new:    "host.CopyOwner(like, name)",
		breaks: "a server cannot open the lock file that a restore by root has made",
		tests:  inCopies,
	},
	{
		name: "restore-ignores-the-clock", file: "cmd/octostore/internal/backuptool/restore.go",
		old:    "	if behind > most {",
		new:    "	if behind > most {\n		return nil\n	}\n	if false {",
		breaks: "after a restore with a wrong clock fencing tokens are given out twice",
		tests:  inBackup,
	},
	{
		name: "part-of-a-backup-delivered", file: "transport/backup.go",
		old:    "	if err := x.sendPieces(s, b.Content); err != nil {\n		return err\n	}",
		new:    "	_ = x.sendPieces(s, b.Content)",
		breaks: "a backup that was cut off counts as the newest one",
		tests:  []string{"-short -run=^TestBackup ./transport"},
	},
	{
		name: "backup-for-everybody", file: "transport/backup.go",
		old:    `core.MayAll(x.principal, "back up the database", auth.Admin)`,
		new:    `core.MayAll(x.principal, "back up the database", auth.Audit)`,
		breaks: "an account that may read the audit log gets the keys of the database",
		tests:  []string{"-short -run=^TestBackup ./transport"},
	},
	{
		name: "half-written-file-loaded", file: "cmd/octostore/internal/filewatch/filewatch.go",
		old:    "	if !same(now, g.pending) {\n		g.pending = now\n		return false\n	}\n	return true",
		new:    "	g.pending = now\n	return true",
		breaks: "a tokens file is read while it is written, and tokens in its other half stop working",
		tests:  inWatched,
	},
	{
		name: "swapped-link-unnoticed", file: "cmd/octostore/internal/filewatch/filewatch.go",
		old:    "os.SameFile(s.info, o.info) && ",
		new:    "",
		breaks: "a file that was replaced by one of the same size and time is not noticed",
		tests:  inWatched,
	},
}

// deployMutants break what the server tells systemd and container runtimes about itself, and how
// it passes its sockets on.
var deployMutants = []mutant{
	{
		name: "watchdog-fed-whatever-happens", file: "cmd/octostore/internal/server/stop.go",
		old:    "	_, _, err := t.table.Queue(context.Background(), \"\", 0, 0)\n",
		new:    "	_, err := t.table.Get(\"a\"), error(nil)\n",
		breaks: "the watchdog is fed while a commit hangs, since reads are answered from memory",
		tests:  []string{"-run=WatchdogIsNotFed ./cmd/octostore/internal/server"},
	},
	{
		name: "watchdog-fed-after-a-failure", file: "cmd/octostore/internal/systemd/watchdog.go",
		old:    "		case err == nil && well:",
		new:    "		case well:",
		breaks: "the watchdog is fed although the check has failed",
		tests:  []string{"-run=Watchdog ./cmd/octostore/internal/systemd"},
	},
	{
		name: "sockets-given-back-late", file: "cmd/octostore/internal/server/stop.go",
		old:    "	s.sockets.Close()\n	s.accepting.Wait()",
		new:    "	s.accepting.Wait()",
		breaks: "a stop accepts connections to a socket of systemd that it does not answer",
		tests:  []string{"-run=SocketActivationRefusesNo -timeout=120s ./cmd/octostore/internal/deploy"},
	},
	{
		name: "sockets-of-other-names", file: "cmd/octostore/internal/systemd/sockets.go",
		old:    "	case *to != nil:",
		new:    "	case false:",
		breaks: "of two sockets with one name the first is forgotten, and its clients are never served",
		tests:  []string{"-run=SocketActivationRefusesWhat ./cmd/octostore/internal/deploy"},
	},
	{
		name: "reload-without-an-end", file: "cmd/octostore/internal/server/hangup.go",
		old:    "	defer func() { s.unit.Ready(s.status()) }()\n",
		new:    "",
		breaks: "systemd waits for the end of a reload for ever",
		tests:  []string{"-run=ServiceTellsSystemd ./cmd/octostore/internal/deploy"},
	},
	{
		name: "healthcheck-of-another-answer", file: "transport/client/client.go",
		old:    "	if h := healthOf(body); h.Status != api.OK {",
		new:    "	if h := healthOf(body); h.Status == api.Failing {",
		breaks: "a page of another program at the port counts as a healthy server",
		tests:  []string{"-run=HealthIsThatOfAnOctoStore ./transport/client"},
	},
	{
		name: "nodes-reached-when-ready", file: "deploy/kubernetes/cluster/services.yaml",
		old:    "  publishNotReadyAddresses: true\n",
		new:    "",
		breaks: "no node of a cluster in Kubernetes is ready before it reaches the one that serves, and none reaches it before that is ready",
		tests:  []string{"-run=ManifestsOfACluster ./cmd/octostore/internal/recipes"},
	},
	{
		name: "outage-explains-everything", file: "core/lock/locktest/check.go",
		old:    "			if op.began <= o.to && o.from-unrecorded <= op.until {\n",
		new:    "			if o.to > 0 {\n",
		breaks: "the check of a history takes a lease that came back for one that lasts, before and after an outage",
		tests:  []string{"-run=Outage ./core/lock/locktest"},
	},
}
