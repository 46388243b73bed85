package rows

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"hash/crc32"

	"github.com/octostore/octostore/core/lock"
)

// Meta returns a value of the table meta, nil if there is none.
func (d *DB) Meta(key string) ([]byte, error) {
	q, err := d.Prepare("SELECT value FROM meta WHERE key = ?1")
	if err != nil {
		return nil, err
	}
	defer q.Close()
	q.Reserve(len(key))
	q.BindText(1, key)
	if more, err := q.Step(); err != nil || !more {
		return nil, err
	}
	return q.Blob(0), nil
}

// setMeta stores a value in the table meta.
func (d *DB) setMeta(key string, value []byte) error {
	q, err := d.Prepare("REPLACE INTO meta (key, value) VALUES (?1, ?2)")
	if err != nil {
		return err
	}
	defer q.Close()
	q.Reserve(len(key) + len(value))
	q.BindText(1, key)
	q.BindBlob(2, value)
	return q.Run()
}

// makeKey creates the key that signs the journal of this database.
func makeKey(d *DB) error {
	seed := make([]byte, ed25519.SeedSize)
	rand.Read(seed)
	return d.setMeta("signing_key", ed25519.NewKeyFromSeed(seed))
}

// SigningKey reads the key that signs the journal. Its second half is the public key, which
// shows a flipped bit.
func (d *DB) SigningKey() (ed25519.PrivateKey, error) {
	b, err := d.Meta("signing_key")
	if err != nil {
		return nil, err
	}
	if len(b) != ed25519.PrivateKeySize || !ed25519.NewKeyFromSeed(b[:ed25519.SeedSize]).Equal(ed25519.PrivateKey(b)) {
		return nil, Damaged("the signing key is not whole")
	}
	return b, nil
}

const cutSize = 8 + len(lock.Hash{}) + 4 // number, hash, checksum

// Cut returns the argument of the newest Prune.
func (d *DB) Cut() (cut lock.Head, err error) {
	b, err := d.Meta("cut")
	if err != nil || b == nil {
		return cut, err
	}
	if len(b) != cutSize || binary.BigEndian.Uint32(b[cutSize-4:]) != crc32.Checksum(b[:cutSize-4], castagnoli) {
		return cut, Damaged("the cut of the journal does not match its checksum")
	}
	cut.Seq = lock.Seq(binary.BigEndian.Uint64(b))
	copy(cut.Hash[:], b[8:])
	return cut, nil
}

func (d *DB) setCut(cut lock.Head) error {
	b := binary.BigEndian.AppendUint64(nil, uint64(cut.Seq))
	b = append(b, cut.Hash[:]...)
	return d.setMeta("cut", binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli)))
}

// ReadSecret reads the secret that the checksums of this database begin with. It comes
// before rows are read or written.
func (d *DB) ReadSecret() error {
	secret, err := d.Meta("secret")
	if err != nil {
		return err
	}
	if len(secret) != 32 {
		return Damaged("the secret has %d bytes, not 32", len(secret))
	}
	d.checksums = newChecksums(secret)
	return nil
}
