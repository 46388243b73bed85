package sqlite

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/sleep"
)

// makeKey makes the key that signs the journal of this database.
func makeKey(d *database) error {
	seed := make([]byte, ed25519.SeedSize)
	rand.Read(seed)
	return d.setMeta("signing_key", ed25519.NewKeyFromSeed(seed))
}

// Key returns the key that signs the journal.
func (s *Store) Key(context.Context) (ed25519.PrivateKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped() != nil {
		return nil, s.stopped()
	}
	key, err := s.w.signingKey()
	if err != nil {
		return nil, fmt.Errorf("read the signing key of %s: %w", s.path, asDamage(err))
	}
	return key, nil
}

// signingKey reads the key. Its second half is the public one, so that one flipped bit
// does not go unnoticed.
func (d *database) signingKey() (ed25519.PrivateKey, error) {
	b, err := d.meta("signing_key")
	if err != nil {
		return nil, err
	}
	if len(b) != ed25519.PrivateKeySize || !ed25519.NewKeyFromSeed(b[:ed25519.SeedSize]).Equal(ed25519.PrivateKey(b)) {
		return nil, damaged("the signing key is not whole")
	}
	return b, nil
}

// Cut returns what the newest Prune was given.
func (s *Store) Cut(context.Context) (lock.Head, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped() != nil {
		return lock.Head{}, s.stopped()
	}
	cut, err := s.w.cut()
	if err != nil {
		return cut, fmt.Errorf("read the cut of %s: %w", s.path, asDamage(err))
	}
	return cut, nil
}

const cutSize = 8 + len(lock.Hash{}) + 4 // number, hash, checksum

func (d *database) cut() (cut lock.Head, err error) {
	b, err := d.meta("cut")
	if err != nil || b == nil {
		return cut, err
	}
	if len(b) != cutSize || binary.BigEndian.Uint32(b[cutSize-4:]) != crc32.Checksum(b[:cutSize-4], castagnoli) {
		return cut, damaged("the cut of the journal does not match its checksum")
	}
	cut.Seq = lock.Seq(binary.BigEndian.Uint64(b))
	copy(cut.Hash[:], b[8:])
	return cut, nil
}

func (d *database) setCut(cut lock.Head) error {
	b := binary.BigEndian.AppendUint64(nil, uint64(cut.Seq))
	b = append(b, cut.Hash[:]...)
	return d.setMeta("cut", binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli)))
}

// Pruning takes turns with commits: a step is short, and the next one waits for at
// least as long as the step took, so that most of the time is left to them. What takes
// time is each segment and each of its pages, so both are bounded. A megabyte takes
// some two milliseconds.
const (
	pruneSegments = 64
	pruneBytes    = 1 << 20 // one larger segment comes alone
	pruneRest     = time.Millisecond
)

// Prune forgets the oldest segments; see [journal.Store].
func (s *Store) Prune(ctx context.Context, cut lock.Head) error {
	for {
		start := time.Now()
		more, err := s.pruneStep(cut)
		if err != nil {
			return fmt.Errorf("prune %s: %w", s.path, err)
		}
		if !more {
			return nil
		}
		if err := sleep.For(ctx, pruneRest+time.Since(start)); err != nil {
			return err
		}
	}
}

// pruneStep removes a few segments, in a transaction of its own, and reports whether
// there are more.
func (s *Store) pruneStep(cut lock.Head) (more bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.stopped() != nil:
		return false, s.stopped()
	case !s.loaded:
		return false, errors.New("prune before load")
	case cut.Seq >= s.head:
		return false, fmt.Errorf("the newest segment, up to %d, is not before %d", s.head, cut.Seq)
	}
	err = s.apart(func() error {
		more, err = s.w.prune(cut)
		return err
	})
	return more && err == nil, err
}

func (d *database) prune(cut lock.Head) (more bool, err error) {
	before, err := d.cut()
	if err != nil {
		return false, err
	}
	if before.Seq < cut.Seq {
		if err := d.setCut(cut); err != nil {
			return false, err
		}
	}
	last, more, err := d.oldest(cut.Seq)
	if err != nil {
		return false, err
	}
	return more, d.Exec(fmt.Sprintf("DELETE FROM segments WHERE first <= %d", last))
}

// oldest returns where the last of the oldest segments begins that one step removes, 0
// for none, and whether there are more up to cut. It does not read them.
func (d *database) oldest(cut lock.Seq) (last int64, more bool, err error) {
	q, err := d.Prepare("SELECT first, length(bytes) FROM segments WHERE first <= ?1 ORDER BY first LIMIT ?2")
	if err != nil {
		return 0, false, err
	}
	defer q.Close()
	q.BindInt(1, int64(cut))
	q.BindInt(2, pruneSegments+1)
	for n, bytes := 0, int64(0); ; n++ {
		more, err := q.Step()
		if err != nil || !more {
			return last, false, err
		}
		bytes += q.Int(1)
		if n == pruneSegments || n > 0 && bytes > pruneBytes {
			return last, true, nil
		}
		last = q.Int(0)
	}
}

// Used returns how many bytes of the database file hold something. What pruning
// removes is used again before the file grows.
func (s *Store) Used(context.Context) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped() != nil {
		return 0, s.stopped()
	}
	pages, err := s.w.IntOf("SELECT (SELECT page_count FROM pragma_page_count) - (SELECT freelist_count FROM pragma_freelist_count)")
	if err != nil {
		return 0, err
	}
	size, err := s.w.IntOf("PRAGMA page_size")
	return pages * size, err
}
