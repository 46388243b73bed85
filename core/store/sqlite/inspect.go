package sqlite

import (
	"context"
	"crypto/ed25519"
	"fmt"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/sqlite/internal/conn"
	"github.com/octostore/octostore/core/store/sqlite/internal/host"
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
	if path, err = host.Resolve(path); err != nil {
		return in, err
	}
	if err := checkLog(path); err != nil {
		return in, err
	}
	d, err := openDatabase(path, conn.ReadOnly)
	if err != nil {
		return in, err
	}
	defer d.Close()
	return d.inspect(ctx, func(Inspection) error {
		if each == nil {
			return nil
		}
		return d.eachSegment(ctx, after, each)
	})
}

// inspect reads what the database says, and lets more be done in the same moment.
func (d *database) inspect(ctx context.Context, more func(Inspection) error) (in Inspection, err error) {
	d.BusyTimeout(busyTimeout)
	if err := checkBackupSource(d); err != nil {
		return in, err
	}
	if err := d.Exec("BEGIN"); err != nil {
		return in, err
	}
	defer d.Exec("COMMIT")
	if err := d.readSums(); err != nil {
		return in, err
	}
	version, err := d.version()
	if err != nil {
		return in, err
	}
	if in.Head, err = d.readHead(version); err != nil {
		return in, err
	}
	if in.Cut, err = d.cut(); err != nil {
		return in, err
	}
	if in.Leases, err = d.readLeases(ctx, host.Instant{}); err != nil {
		return in, err
	}
	if err := d.inspectAccess(ctx, version, &in); err != nil {
		return in, err
	}
	return in, more(in)
}

// inspectAccess reads what came with later versions of the schema.
func (d *database) inspectAccess(ctx context.Context, version int64, in *Inspection) error {
	if version >= tokensVersion {
		tokens, err := d.readTokens(ctx)
		if err != nil {
			return err
		}
		in.Tokens = len(tokens)
	}
	if version >= keyVersion {
		key, err := d.signingKey()
		if err != nil {
			return err
		}
		in.Key = key.Public().(ed25519.PublicKey)
	}
	return nil
}

func (d *database) eachSegment(ctx context.Context, after lock.Seq, each func(lock.Segment) error) error {
	version, err := d.version()
	if err != nil {
		return err
	}
	q, err := d.Prepare(segmentsAfter(version))
	if err != nil {
		return err
	}
	defer q.Close()
	q.BindInt(1, int64(after))
	var buf []byte
	for {
		more, err := q.Step()
		if err != nil || !more {
			return err
		}
		buf = buf[:0]
		g, err := readSegment(q, &d.sums, &buf)
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
