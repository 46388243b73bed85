package main

// auditMutants break the record: what is signed, kept, exported and watched.
var auditMutants = []mutant{
	{
		name: "prune-unrecorded", file: "core/journal/keep.go",
		old:    "		if _, err := k.cfg.Recorder.Append(ctx, lock.Event{Kind: lock.Pruned, Cause: cause, Cut: cut}); err != nil {\n			return",
		new:    "		if _, err := k.cfg.Recorder.Append(ctx, lock.Event{Kind: lock.Stopped, Cause: cause}); err != nil {\n			return",
		breaks: "what was pruned is not on record",
		tests:  inJournal,
	},
	{
		name: "prune-on-a-full-disk", file: "core/journal/keep.go",
		old:    "Cut: cut}); err != nil {",
		new:    "Cut: cut}); err != nil && false {",
		breaks: "what was pruned could not be recorded",
		tests:  inJournal,
	},
	{
		name: "prune-the-young", file: "core/journal/keep.go",
		old:    "	if age := now.Sub(s.Time); age > -time.Minute && age < r.Keep {",
		new:    "	if age := now.Sub(s.Time); age > -time.Minute && age < r.Keep/2 {",
		breaks: "the records of live leases are pruned",
		tests:  inJournal,
	},
	{
		name: "pruned-read-as-nothing", file: "core/journal/journal.go",
		old:    "if oldest := j.Oldest(); after < oldest {",
		new:    "if oldest := j.Oldest(); after < oldest && false {",
		breaks: "who comes back too late is not told that something is missing",
		tests:  inJournal,
	},
	{
		name: "checkpoint-unsigned", file: "core/journal/seal.go",
		old:    "if e.Kind == lock.Checkpoint && key != nil {",
		new:    "if e.Kind == lock.Checkpoint && key == nil {",
		breaks: "checkpoints are not signed",
		tests:  inJournal,
	},
	{
		name: "checkpoint-of-any-key", file: "core/journal/chain.go",
		old:    "		if !isSigned(l.Bytes, v.verdict.Key) {",
		new:    "		if !isSigned(l.Bytes, v.verdict.Key) && false {",
		breaks: "anybody's signature vouches",
		tests:  inJournal,
	},
	{
		name: "cut-tail-verifies", file: "core/journal/verify.go",
		old:    "			return c.cutShort(err)",
		new:    "			return nil",
		breaks: "an export whose tail was cut off verifies",
		tests:  inJournal,
	},
	{
		name: "closing-unsigned-verifies", file: "core/journal/chain.go",
		old:    "	case !isSigned(line, v.verdict.Key):",
		new:    "	case false && !isSigned(line, v.verdict.Key):",
		breaks: "a closing line that somebody made verifies",
		tests:  inJournal,
	},
	{
		name: "export-repeats", file: "core/journal/reader.go",
		old:    "	if page[0].First <= r.after {",
		new:    "	if page[0].First < r.after {",
		breaks: "an export that goes on within a batch gives a record twice",
		tests:  inJournal,
	},
	{
		name: "limit-off-by-one", file: "core/journal/export.go",
		old:    "e.q.Limit-e.count {\n		n = int(e.q.Limit - e.count)",
		new:    "e.q.Limit-e.count {\n		n = int(e.q.Limit-e.count) - 1",
		breaks: "an export with a limit has a record less",
		tests:  inJournal,
	},
	{
		name: "watch-skips-the-gap", file: "transport/watch.go",
		old:    "		return w.gap(pruned.Oldest)",
		new:    "		w.reader = w.x.api.journal.From(pruned.Oldest)\n		return nil",
		breaks: "who watches is not told of a gap",
		tests:  inTransport,
	},
	{
		name: "cut-forgotten", file: "core/store/sqlite/audit.go",
		old:    "	if before.Seq < cut.Seq {",
		new:    "	if before.Seq > cut.Seq {",
		breaks: "after a restart nobody knows that something was pruned",
		tests:  inSQLite,
	},
}
