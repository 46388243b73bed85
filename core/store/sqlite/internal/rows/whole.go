package rows

import (
	"crypto/ed25519"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/sqlite/internal/host"
)

// SegmentBytes returns the bytes of all segments.
func (d *DB) SegmentBytes() (int64, error) {
	return d.IntOf("SELECT coalesce(sum(length(bytes)), 0) FROM segments")
}

// Adopt gives a new database the secret and the signing key of another store. It comes before
// any row, since checksums begin with the secret.
func (w *Writer) Adopt(secret []byte, key ed25519.PrivateKey, bootID string) error {
	return w.Transaction(func() error {
		for name, value := range map[string][]byte{"secret": secret, "signing_key": key, "boot_id": []byte(bootID)} {
			if err := w.setMeta(name, value); err != nil {
				return err
			}
		}
		return w.ReadSecret()
	})
}

// AddSegment adds a segment to the open transaction.
func (w *Writer) AddSegment(g *lock.Segment) error { return w.addSegment(g) }

// AddLease adds a lease that runs for its remaining time from now on to the open transaction.
func (w *Writer) AddLease(l *lock.Loaded, now host.Instant) error {
	held := l.Lease
	held.ExpiresAt = now.Time.Add(l.Remaining)
	return w.setRow(&lock.Row{Name: held.Name, Lease: &held, Attempt: l.Attempt}, now)
}

// SetCut stores the cut of the journal.
func (w *Writer) SetCut(cut lock.Head) error { return w.setCut(cut) }
