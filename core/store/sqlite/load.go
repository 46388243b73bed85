package sqlite

import (
	"context"
	"crypto/ed25519"
	"fmt"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/sqlite/internal/host"
	"github.com/octostore/octostore/core/store/sqlite/internal/rows"
)

// Load returns the state of the last commit. The clocks tell how long each lease has left.
// Within one boot the larger remainder of the wall clock and the boot clock counts, so
// neither a restart nor a change of the clock ends a lease early. After another boot a
// lease runs its full time again: its ttl, or its time to confirm if it is unconfirmed.
func (s *Store) Load(ctx context.Context) (lock.Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	snap, err := s.load(ctx)
	if err != nil {
		return lock.Snapshot{}, fmt.Errorf("load %s: %w", s.path, rows.AsDamage(err))
	}
	s.head, s.hash, s.loaded = snap.Head.Seq, snap.Head.Hash, true
	s.w.BusyTimeout(beginTimeout) // the start is over
	return snap, nil
}

func (s *Store) load(ctx context.Context) (snap lock.Snapshot, err error) {
	if s.stopReason() != nil {
		return snap, s.stopReason()
	}
	// One reading of the clocks, before the rows: time that passes meanwhile makes a lease
	// end later.
	now := s.cfg.clocks.Read()
	if err := s.adopt(now); err != nil {
		return snap, fmt.Errorf("adopt the leases of an earlier boot: %w", err)
	}
	if snap.Head, err = s.w.ReadHead(rows.NewestVersion()); err != nil {
		return snap, fmt.Errorf("read head: %w", err)
	}
	if snap.Secret, err = s.w.Meta("secret"); err != nil {
		return snap, fmt.Errorf("read secret: %w", err)
	}
	if len(snap.Secret) != 32 {
		return snap, fmt.Errorf("the secret has %d bytes, not 32", len(snap.Secret))
	}
	if snap.Leases, err = s.w.ReadLeases(ctx, now); err != nil {
		return snap, fmt.Errorf("read leases: %w", err)
	}
	return snap, nil
}

// adopt turns the deadlines of all rows into deadlines of this boot. Those of another boot
// start a full run by the clocks of this one. They are written down, or a server that
// crashes again and again would restart them each time.
func (s *Store) adopt(now host.Instant) error {
	written, err := s.w.Meta("boot_id")
	if err != nil {
		return err
	}
	present := s.cfg.clocks.Boot()
	if present != "" && present == string(written) {
		return nil
	}
	return s.retryWithoutReserve(func() error {
		return s.w.Transaction(func() error { return s.w.MoveLeases(present, now) })
	})
}

// Key returns the key that signs the journal.
func (s *Store) Key(context.Context) (ed25519.PrivateKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopReason() != nil {
		return nil, s.stopReason()
	}
	key, err := s.w.SigningKey()
	if err != nil {
		return nil, fmt.Errorf("read the signing key of %s: %w", s.path, rows.AsDamage(err))
	}
	return key, nil
}
