package table

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash"
	"sync"

	"github.com/octostore/octostore/core/lock"
)

// leaseIDs makes and checks lease ids: unpadded base64url over the token (8 bytes,
// big endian) and the first 16 bytes of HMAC-SHA256(secret, token name). Nothing is
// stored per lease, and without the secret none can be guessed.
type leaseIDs struct{ macs sync.Pool }

const (
	leaseIDMac = 16
	leaseIDRaw = 8 + leaseIDMac
	leaseIDLen = leaseIDRaw / 3 * 4
)

func newLeaseIDs(secret []byte) *leaseIDs {
	ids := &leaseIDs{}
	ids.macs.New = func() any { return &leaseMAC{hash: hmac.New(sha256.New, secret)} }
	return ids
}

// leaseMAC is reused, with the memory that its hash reads from and writes to.
type leaseMAC struct {
	hash hash.Hash
	text []byte
}

func (ids *leaseIDs) raw(name lock.Name, token lock.Token) [leaseIDRaw]byte {
	mac := ids.macs.Get().(*leaseMAC)
	defer ids.macs.Put(mac)
	mac.text = append(binary.BigEndian.AppendUint64(mac.text[:0], uint64(token)), name...)
	mac.hash.Reset()
	mac.hash.Write(mac.text)
	mac.text = mac.hash.Sum(mac.text[:0])
	var raw [leaseIDRaw]byte
	binary.BigEndian.PutUint64(raw[:8], uint64(token))
	copy(raw[8:], mac.text)
	return raw
}

// id returns the lease id for a grant.
func (ids *leaseIDs) id(name lock.Name, token lock.Token) string {
	raw := ids.raw(name, token)
	return base64.RawURLEncoding.EncodeToString(raw[:])
}

// token returns the fencing token that id proves, or [lock.ErrNotHeld]. The lease may be
// over.
func (ids *leaseIDs) token(name lock.Name, id string) (lock.Token, error) {
	var given [leaseIDRaw]byte
	if len(id) != leaseIDLen {
		return 0, lock.ErrNotHeld
	}
	if _, err := base64.RawURLEncoding.Decode(given[:], []byte(id)); err != nil {
		return 0, lock.ErrNotHeld
	}
	token := lock.Token(binary.BigEndian.Uint64(given[:8]))
	want := ids.raw(name, token)
	if !hmac.Equal(given[:], want[:]) {
		return 0, lock.ErrNotHeld
	}
	return token, nil
}
