package doctor

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/text"
	"github.com/octostore/octostore/core/journal/archive"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/sqlite"
)

// archive checks the folder in which the audit log is archived: that it is there, that all of
// its files are whole and of this log, and that it has what was pruned. A nil key is one that
// is not known; a head of 0, too.
func (d *doctor) archive(ctx context.Context, key ed25519.PublicKey, cut lock.Head, head lock.Seq) {
	dir := string(d.cfg.AuditArchive)
	if dir == "" {
		return
	}
	e, err := archive.Examine(ctx, dir, key)
	free, known := sqlite.FreeSpace(dir)
	switch {
	case err != nil:
		d.say(wrong, "archive", "%v; nothing of the audit log is pruned meanwhile", err)
	case head > 0 && e.Last > head:
		d.say(
			wrong,
			"archive",
			"%s has records up to %d, and the log of this database ends at %d: move the files of the archive to another folder if the database was replaced by a backup",
			dir,
			e.Last,
			head,
		)
	case known && free < leastSpace:
		d.say(wrong, "archive", "%s: %d MiB free; when it is full, nothing of the audit log is pruned", dir, free>>20)
	case e.Last < cut.Seq:
		d.say(
			doubt,
			"archive",
			"%s has records up to %d, and the log was pruned up to %d: what is between them is in another folder, or was pruned before there was an archive",
			dir,
			e.Last,
			cut.Seq,
		)
	case e.Files == 0:
		d.say(fine, "archive", "%s has no files yet", dir)
	case e.Gaps > 0:
		places := text.Count(int64(e.Gaps), "place")
		d.say(doubt, "archive", "%s lacks records in %s; those after %d can be read with the log", dir, places, e.Begins)
	default:
		begin := ""
		if e.Begins > 0 {
			begin = fmt.Sprintf(" after %d", e.Begins)
		}
		d.say(
			fine,
			"archive",
			"%s: %s, %d MiB, with all records%s up to %d of %s",
			dir,
			text.Count(int64(e.Files), "file"),
			e.Bytes>>20,
			begin,
			e.Last,
			e.Newest.UTC().Format(time.RFC3339),
		)
	}
}
