package rows

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/sqlite/internal/conn"
	"github.com/octostore/octostore/core/store/sqlite/internal/host"
)

// MoveLeases lets the time of all leases start now.
func (d *DB) MoveLeases(bootID string, now host.Instant) error {
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

// ReadLeases reads all rows, also of a file with an older schema that is only read.
func (d *DB) ReadLeases(ctx context.Context, now host.Instant) ([]lock.Loaded, error) {
	count, err := d.IntOf("SELECT count(*) FROM leases")
	if err != nil {
		return nil, err
	}
	leases := make([]lock.Loaded, 0, count) // there may be a million
	err = d.eachLease(ctx, now, func(l *lock.Loaded) { leases = append(leases, *l) })
	if err != nil {
		return nil, err
	}
	return leases, nil
}

// eachLease calls each with one row after the other. What it gets is valid during the call.
func (d *DB) eachLease(ctx context.Context, now host.Instant, each func(*lock.Loaded)) error {
	version, err := d.Version()
	if err != nil {
		return err
	}
	confirm := "confirm"
	if version < ConfirmVersion {
		confirm = "0"
	}
	q, err := d.Prepare(`SELECT name, token, account, holder, reason, metadata, ttl, granted,
		remaining, wall_end, boot_end, attempt, sum, ` + confirm + ` FROM leases`)
	if err != nil {
		return err
	}
	defer q.Close()
	known, before := texts{}, lock.Name("")
	for n := 1; ; n++ {
		more, err := q.Step()
		if err != nil || !more {
			return err
		}
		l, err := readLease(q, now, &d.checksums, known)
		if err != nil {
			return err
		}
		if l.Lease.Name <= before {
			return Damaged("the lease of %q follows that of %q", l.Lease.Name, before)
		}
		each(&l)
		before = l.Lease.Name
		if n%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// texts are what leases have in common: they are read once.
type texts map[string]string

// mostTexts bounds what is remembered of leases that have nothing in common.
const mostTexts = 1024

func (t texts) of(b []byte) string {
	if text, ok := t[string(b)]; ok {
		return text
	}
	if len(t) >= mostTexts {
		clear(t)
	}
	text := string(b)
	t[text] = text
	return text
}

func readLease(q *conn.Stmt, now host.Instant, sums *checksums, known texts) (lock.Loaded, error) {
	l := lock.Loaded{
		Lease: lock.Lease{
			Name:      lock.Name(q.Text(0)),
			Token:     lock.Token(q.Int(1)),
			Account:   q.TextOf(2, known.of),
			Holder:    q.TextOf(3, known.of),
			Reason:    q.TextOf(4, known.of),
			TTL:       time.Duration(q.Int(6)),
			GrantedAt: time.Unix(0, q.Int(7)).UTC(),

			ConfirmWithin: time.Duration(q.Int(13)),
		},
		Remaining: remaining(q, now),
	}
	metadata, attempt := q.Blob(5), q.Blob(11)
	if sums.lease(&l.Lease, metadata, q.Int(8), attempt) != q.Int(12) {
		return l, Damaged("the lease of %q does not match its checksum", l.Lease.Name)
	}
	l.Attempt = decodeAttempt(attempt)
	if metadata != nil {
		if err := json.Unmarshal(metadata, &l.Lease.Metadata); err != nil {
			return l, fmt.Errorf("metadata of %s: %w", l.Lease.Name, err)
		}
	}
	return l, nil
}

// remaining is the time left of a lease of this boot: the larger remainder of the two
// clocks, but never more than was promised. That can be more than the ttl, because a
// renewal with a shorter ttl does not shorten the lease. It is less while the lease is
// unconfirmed.
func remaining(q *conn.Stmt, now host.Instant) time.Duration {
	promised := max(q.Int(6), q.Int(8))
	if confirm := q.Int(13); confirm > 0 {
		promised = confirm
	}
	left := max(q.Int(9)-now.Wall, q.Int(10)-now.Boot)
	return time.Duration(min(left, promised))
}

// encodeMetadata returns nil for no metadata, else a JSON object.
func encodeMetadata(m map[string]string) ([]byte, error) {
	if len(m) == 0 {
		return nil, nil
	}
	return json.Marshal(m)
}

const attemptSize = 32 + 16

// appendAttempt appends nothing for the zero Attempt.
func appendAttempt(b []byte, a lock.Attempt) []byte {
	if a.IsZero() {
		return b
	}
	return append(append(b, a.Key[:]...), a.Params[:]...)
}

func decodeAttempt(b []byte) (a lock.Attempt) {
	copy(a.Params[:], b[copy(a.Key[:], b):])
	return a
}
