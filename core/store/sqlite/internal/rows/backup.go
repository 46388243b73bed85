package rows

import (
	"encoding/binary"
	"time"
)

// LastBackup returns the time of the newest backup on record; zero: there is none.
func (d *DB) LastBackup() (time.Time, error) {
	b, err := d.Meta("last_backup")
	if err != nil || len(b) != 8 {
		return time.Time{}, err
	}
	return time.Unix(0, int64(binary.BigEndian.Uint64(b))), nil
}

// SetLastBackup puts the time of the newest backup on record.
func (d *DB) SetLastBackup(at time.Time) error {
	return d.setMeta("last_backup", binary.BigEndian.AppendUint64(nil, uint64(at.UnixNano())))
}
