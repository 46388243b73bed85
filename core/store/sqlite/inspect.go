package sqlite

import (
	"context"
	"crypto/ed25519"
	"fmt"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/sqlite/internal/conn"
	"github.com/octostore/octostore/core/store/sqlite/internal/host"
	"github.com/octostore/octostore/core/store/sqlite/internal/rows"
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
		return Inspection{}, fmt.Errorf("read database %s: %w", path, rows.AsDamage(err))
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
	d, err := rows.Open(path, conn.ReadOnly)
	if err != nil {
		return in, err
	}
	defer d.Close()
	return inspectWith(ctx, d, func(Inspection) error {
		if each == nil {
			return nil
		}
		return d.EachSegment(ctx, after, each)
	})
}

// inspectWith reads what the database says, and lets more be done in the same moment.
func inspectWith(ctx context.Context, d *rows.DB, more func(Inspection) error) (in Inspection, err error) {
	d.BusyTimeout(rows.BusyTimeout)
	if err := rows.CheckOurs(d); err != nil {
		return in, err
	}
	if err := d.Exec("BEGIN"); err != nil {
		return in, err
	}
	defer d.Exec("COMMIT")
	if err := d.ReadSums(); err != nil {
		return in, err
	}
	version, err := d.Version()
	if err != nil {
		return in, err
	}
	if in.Head, err = d.ReadHead(version); err != nil {
		return in, err
	}
	if in.Cut, err = d.Cut(); err != nil {
		return in, err
	}
	if in.Leases, err = d.ReadLeases(ctx, host.Instant{}); err != nil {
		return in, err
	}
	if in.Tokens, in.Key, err = d.Access(ctx, version); err != nil {
		return in, err
	}
	return in, more(in)
}
