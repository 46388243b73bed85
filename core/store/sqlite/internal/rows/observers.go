package rows

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/lock"
)

// ReadObserverCursors returns the cursors of all observers, ordered by name.
func (d *DB) ReadObserverCursors() ([]journal.ObserverCursor, error) {
	q, err := d.Prepare("SELECT name, after, parked, sum FROM observers ORDER BY name")
	if err != nil {
		return nil, err
	}
	defer q.Close()
	var all []journal.ObserverCursor
	for {
		more, err := q.Step()
		if err != nil || !more {
			return all, err
		}
		p := journal.ObserverCursor{Observer: q.Text(0), After: lock.Seq(q.Int(1)), Parked: uint64(q.Int(2))}
		if d.checksums.observer(p) != q.Int(3) {
			return nil, Damaged("the cursor of observer %q does not match its checksum", p.Observer)
		}
		all = append(all, p)
	}
}

// SetObserverCursors stores the cursors of some observers and forgets others.
func (d *DB) SetObserverCursors(set []journal.ObserverCursor, forget []string) error {
	drop, err := d.Prepare("DELETE FROM observers WHERE name = ?1")
	if err != nil {
		return err
	}
	defer drop.Close()
	for _, name := range forget {
		drop.Reserve(len(name))
		drop.BindText(1, name)
		if err := drop.Run(); err != nil {
			return err
		}
	}
	put, err := d.Prepare("REPLACE INTO observers (name, after, parked, sum) VALUES (?1, ?2, ?3, ?4)")
	if err != nil {
		return err
	}
	defer put.Close()
	for _, p := range set {
		put.Reserve(len(p.Observer))
		put.BindText(1, p.Observer)
		put.BindInt(2, int64(p.After))
		put.BindInt(3, int64(p.Parked))
		put.BindInt(4, d.checksums.observer(p))
		if err := put.Run(); err != nil {
			return err
		}
	}
	return nil
}

// observer returns the checksum of a row of observers.
func (s *checksums) observer(p journal.ObserverCursor) int64 {
	b := appendText(s.buf[:0], p.Observer)
	b = binary.BigEndian.AppendUint64(b, uint64(p.After))
	b = binary.BigEndian.AppendUint64(b, p.Parked)
	s.buf = b
	return int64(crc32.Update(s.seed, castagnoli, b))
}
