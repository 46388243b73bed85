package sqlite

import (
	"context"
	"crypto/ed25519"
	"fmt"

	sqlite3 "modernc.org/sqlite/lib"

	"github.com/octostore/octostore/core/lock"
)

// Inspection is what a database says at one moment.
type Inspection struct {
	Head   lock.Head
	Cut    lock.Head         // see [journal.Store]
	Leases []lock.Loaded     // their Remaining has no meaning
	Key    ed25519.PublicKey // that signatures of its journal can be verified with; nil: it has none yet
	Tokens int               // API tokens, revoked and expired ones too
}

// Inspect reads a database, whether a server runs on it or not, without changing
// anything, also one that an older program left. If each is not nil it is given all segments after the given event, in
// order, each good until it returns. All is of one moment. Errors: [ErrNewer], [ErrForeign], [ErrDamaged], and those
// of the file system and of each.
func Inspect(ctx context.Context, path string, after lock.Seq, each func(lock.Segment) error) (Inspection, error) {
	in, err := inspect(ctx, path, after, each)
	if err != nil {
		return Inspection{}, fmt.Errorf("read database %s: %w", path, asDamage(err))
	}
	return in, nil
}

func inspect(ctx context.Context, path string, after lock.Seq, each func(lock.Segment) error) (in Inspection, err error) {
	if path, err = resolve(path); err != nil {
		return in, err
	}
	if err := checkLog(path); err != nil {
		return in, err
	}
	c, err := openConn(path, sqlite3.SQLITE_OPEN_READONLY)
	if err != nil {
		return in, err
	}
	defer c.close()
	return c.inspect(ctx, func(w *writer, _ Inspection) error {
		if each == nil {
			return nil
		}
		return w.eachSegment(ctx, after, each)
	})
}

// inspect reads what the database says, and lets more be done in the same moment.
func (c *conn) inspect(ctx context.Context, more func(*writer, Inspection) error) (in Inspection, err error) {
	c.busyTimeout(int(busyTimeout.Milliseconds()))
	if err := checkBackupSource(c); err != nil {
		return in, err
	}
	if err := c.exec("BEGIN"); err != nil {
		return in, err
	}
	defer c.exec("COMMIT")
	w := &writer{conn: c}
	if err := w.readSums(); err != nil {
		return in, err
	}
	version, err := w.version()
	if err != nil {
		return in, err
	}
	if in.Head, err = w.readHead(version); err != nil {
		return in, err
	}
	if in.Cut, err = c.cut(); err != nil {
		return in, err
	}
	if in.Leases, err = w.readLeases(ctx, instant{}); err != nil {
		return in, err
	}
	if err := w.inspectAccess(ctx, version, &in); err != nil {
		return in, err
	}
	return in, more(w, in)
}

// inspectAccess reads what came with later versions of the schema.
func (w *writer) inspectAccess(ctx context.Context, version int64, in *Inspection) error {
	if version >= tokensVersion {
		tokens, err := w.readTokens(ctx)
		if err != nil {
			return err
		}
		in.Tokens = len(tokens)
	}
	if version >= keyVersion {
		key, err := w.signingKey()
		if err != nil {
			return err
		}
		in.Key = key.Public().(ed25519.PublicKey)
	}
	return nil
}

func (w *writer) eachSegment(ctx context.Context, after lock.Seq, each func(lock.Segment) error) error {
	version, err := w.version()
	if err != nil {
		return err
	}
	q, err := w.prepare(segmentsAfter(version))
	if err != nil {
		return err
	}
	defer q.close()
	q.bindInt(1, int64(after))
	var buf []byte
	for {
		more, err := q.step()
		if err != nil || !more {
			return err
		}
		buf = buf[:0]
		g, err := readSegment(q, &w.sums, &buf)
		if err != nil {
			return err
		}
		if g.Last <= after {
			continue
		}
		if err := each(g); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}
