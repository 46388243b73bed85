package sqlite

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/sqlite/internal/conn"
	"github.com/octostore/octostore/core/store/sqlite/internal/host"
)

// Load returns the state the last commit left. How long a lease has yet to run it
// finds out from the clocks: within one boot the later of the wall clock's and the
// boot clock's answer counts, so that neither a restart nor a clock that was set ends
// a lease early; after another boot the lease runs its full time again: its ttl, or the
// time to confirm it while it is unconfirmed.
func (s *Store) Load(ctx context.Context) (lock.Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	snap, err := s.load(ctx)
	if err != nil {
		return lock.Snapshot{}, fmt.Errorf("load %s: %w", s.path, asDamage(err))
	}
	s.head, s.loaded = snap.Head.Seq, true
	s.w.BusyTimeout(beginTimeout) // the start is over
	return snap, nil
}

func (s *Store) load(ctx context.Context) (snap lock.Snapshot, err error) {
	if s.stopped() != nil {
		return snap, s.stopped()
	}
	// One reading of the clocks, before the rows: what passes meanwhile makes a lease
	// end later.
	now := s.cfg.clocks.Read()
	if err := s.adopt(now); err != nil {
		return snap, fmt.Errorf("adopt the leases of an earlier boot: %w", err)
	}
	if snap.Head, err = s.w.readHead(newestVersion()); err != nil {
		return snap, fmt.Errorf("read head: %w", err)
	}
	if snap.Secret, err = s.w.meta("secret"); err != nil {
		return snap, fmt.Errorf("read secret: %w", err)
	}
	if len(snap.Secret) != 32 {
		return snap, fmt.Errorf("the secret has %d bytes, not 32", len(snap.Secret))
	}
	if snap.Leases, err = s.w.readLeases(ctx, now); err != nil {
		return snap, fmt.Errorf("read leases: %w", err)
	}
	return snap, nil
}

// adopt makes the deadlines of all rows deadlines of this boot. Those of another
// boot are put a full run away, by the clocks of this one; were that not written
// down, a server that crashes again and again would start them afresh each time.
func (s *Store) adopt(now host.Instant) error {
	written, err := s.w.meta("boot_id")
	if err != nil {
		return err
	}
	present := s.cfg.clocks.Boot()
	if present != "" && present == string(written) {
		return nil
	}
	return s.withRoom(func() error {
		return s.w.Transaction(func() error { return s.w.moveLeases(present, now) })
	})
}

// moveLeases makes now the beginning of all leases' time.
func (d *database) moveLeases(bootID string, now host.Instant) error {
	const promised = "iif(confirm > 0, confirm, max(ttl, remaining))" // see remaining
	q, err := d.Prepare("UPDATE leases SET wall_end = ?1 + " + promised + ", boot_end = ?2 + " + promised)
	if err != nil {
		return err
	}
	defer q.Close()
	q.BindInt(1, now.Wall)
	q.BindInt(2, now.Boot)
	if err := q.Run(); err != nil {
		return err
	}
	return d.setMeta("boot_id", []byte(bootID))
}

// readHead takes the head from the newest segment: its last number, and the hash of
// its last line.
func (d *database) readHead(version int64) (lock.Head, error) {
	q, err := d.Prepare("SELECT " + segmentColumns(version) + " FROM segments ORDER BY first DESC LIMIT 1")
	if err != nil {
		return lock.Head{}, err
	}
	defer q.Close()
	more, err := q.Step()
	if err != nil || !more {
		return lock.Head{}, err
	}
	newest, err := readSegment(q, &d.sums, new([]byte))
	if err != nil {
		return lock.Head{}, err
	}
	lines := bytes.TrimSuffix(newest.Bytes, []byte("\n"))
	last := lines[bytes.LastIndexByte(lines, '\n')+1:]
	return lock.Head{Seq: newest.Last, Hash: sha256.Sum256(last)}, nil
}

// readLeases reads all rows, also of a file that has not been migrated yet, as one that
// is only looked at.
func (d *database) readLeases(ctx context.Context, now host.Instant) ([]lock.Loaded, error) {
	version, err := d.version()
	if err != nil {
		return nil, err
	}
	confirm := "confirm"
	if version < confirmVersion {
		confirm = "0"
	}
	q, err := d.Prepare(`SELECT name, token, account, holder, reason, metadata, ttl, granted,
		remaining, wall_end, boot_end, attempt, sum, ` + confirm + ` FROM leases`)
	if err != nil {
		return nil, err
	}
	defer q.Close()
	var leases []lock.Loaded
	for {
		more, err := q.Step()
		if err != nil || !more {
			return leases, err
		}
		l, err := readLease(q, now, &d.sums)
		if err != nil {
			return nil, err
		}
		if n := len(leases); n > 0 && l.Lease.Name <= leases[n-1].Lease.Name {
			return nil, damaged("the lease of %q follows that of %q", l.Lease.Name, leases[n-1].Lease.Name)
		}
		leases = append(leases, l)
		if len(leases)%1024 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
}

func readLease(q *conn.Stmt, now host.Instant, sums *sums) (lock.Loaded, error) {
	l := lock.Loaded{
		Lease: lock.Lease{
			Name:      lock.Name(q.Text(0)),
			Token:     lock.Token(q.Int(1)),
			Account:   q.Text(2),
			Holder:    q.Text(3),
			Reason:    q.Text(4),
			TTL:       time.Duration(q.Int(6)),
			GrantedAt: time.Unix(0, q.Int(7)).UTC(),

			ConfirmWithin: time.Duration(q.Int(13)),
		},
		Remaining: remaining(q, now),
	}
	metadata, attempt := q.Blob(5), q.Blob(11)
	if sums.lease(&l.Lease, metadata, q.Int(8), attempt) != q.Int(12) {
		return l, damaged("the lease of %q does not match its checksum", l.Lease.Name)
	}
	l.Attempt = decodeAttempt(attempt)
	if metadata != nil {
		if err := json.Unmarshal(metadata, &l.Lease.Metadata); err != nil {
			return l, fmt.Errorf("metadata of %s: %w", l.Lease.Name, err)
		}
	}
	return l, nil
}

// remaining is what is left of a lease of this boot: what the slower clock says, but
// never more than was promised. That can be more than the ttl, since a renewal with a
// shorter one does not shorten the lease, and is less while the lease is unconfirmed.
func remaining(q *conn.Stmt, now host.Instant) time.Duration {
	promised := max(q.Int(6), q.Int(8))
	if confirm := q.Int(13); confirm > 0 {
		promised = confirm
	}
	left := max(q.Int(9)-now.Wall, q.Int(10)-now.Boot)
	return time.Duration(min(left, promised))
}
