package lock

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/octostore/octostore/core/input"
)

// Seq is the place of an event in the journal: at least 1, below 2^53 (so that
// JSON readers keep it exact), strictly growing, with jumps.
type Seq uint64

// Token is a fencing token: the [Seq] of the event that granted the lease. A later lease
// of a lock has a greater token, also after crashes and restarts, so a resource that
// rejects any token lower than the highest it has seen rejects every stale holder.
type Token = Seq

// Limits of the fields of a request.
const (
	MinTTL        = time.Second
	MaxTTL        = time.Hour // the default upper bound; configurable, see core.Config
	MaxHolder     = 256       // bytes; the URL of a job fits
	MaxReason     = 512       // bytes
	MaxMetadata   = 16        // pairs
	MaxMetaKey    = 64        // bytes
	MaxMetaValue  = 512       // bytes
	MinAttemptKey = 16        // bytes
	MaxAttemptKey = 128       // bytes
)

// Lease is one hold of one lock, from its grant to its end. It is immutable and
// shared by everything that looks at it: never change one, its Metadata included.
type Lease struct {
	Name     Name
	Token    Token
	Account  string            // the account that acquired it
	Holder   string            // the process that has it; free text, may be empty
	Reason   string            // its purpose; free text, may be empty
	Metadata map[string]string // nil if there is none
	TTL      time.Duration     // whole milliseconds; of the grant or the last renewal
	// ConfirmWithin, if not zero, marks an unconfirmed lease: it lasts only this long, at
	// most its TTL, until its first renewal confirms it and gives it its TTL. Whole
	// milliseconds.
	ConfirmWithin time.Duration
	// GrantedAt is when the lease began. Like ExpiresAt it carries a monotonic reading
	// inside the process that granted or loaded the lease.
	GrantedAt time.Time
	// ExpiresAt is the deadline. Inside the process that granted or loaded the
	// lease it carries a monotonic reading, and only that counts; its wall clock
	// is for people.
	ExpiresAt time.Time
}

// HeldFor returns how long the lease has been held at an instant of the table's time. It
// is never negative. A change of the wall clock affects only the part before the table was
// loaded.
func (l *Lease) HeldFor(at time.Time) time.Duration { return max(0, at.Sub(l.GrantedAt)) }

// left returns the share of the lease that is left, from 0 to 1, of what its grant or its last
// renewal gave it.
func (l *Lease) left(now time.Time) float64 {
	whole := l.TTL
	if l.ConfirmWithin > 0 {
		whole = l.ConfirmWithin
	}
	return min(1, max(0, l.ExpiresAt.Sub(now).Seconds()/whole.Seconds()))
}

// Attempt identifies an idempotency key and the parameters sent with it, by their hashes:
// a repeat is recognised, and so is a key used again for a different request. The zero
// Attempt means that the request carried no key.
type Attempt struct {
	Key    [32]byte // SHA-256 of the key
	Params [16]byte // beginning of a SHA-256 over ttl, confirm, holder and metadata as asked
}

// IsZero reports whether there was no key.
func (a Attempt) IsZero() bool { return a == Attempt{} }

// NewAttempt returns the attempt for an idempotency key and the parameters it
// came with, or an [*input.Error] for the field "Idempotency-Key". An empty key
// gives the zero Attempt. confirm is zero for a lease that needs no confirmation.
func NewAttempt(key string, ttl, confirm time.Duration, holder string, metadata map[string]string) (Attempt, error) {
	if key == "" {
		return Attempt{}, nil
	}
	if err := CheckAttemptKey("Idempotency-Key", key); err != nil {
		return Attempt{}, err
	}
	h := sha256.New()
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(ttl)))
	write := func(s string) {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(s))))
		h.Write([]byte(s))
	}
	write(holder)
	for _, k := range slices.Sorted(maps.Keys(metadata)) {
		write(k)
		write(metadata[k])
	}
	if confirm > 0 { // no text has the length that the mark would be
		h.Write(binary.BigEndian.AppendUint64([]byte{0xff, 0xff, 0xff, 0xff}, uint64(confirm)))
	}
	a := Attempt{Key: sha256.Sum256([]byte(key))}
	copy(a.Params[:], h.Sum(nil))
	return a, nil
}

// CheckAttemptKey returns nil if key is [MinAttemptKey] to [MaxAttemptKey] visible ASCII
// characters, or an [*input.Error] for the named field.
func CheckAttemptKey(field, key string) error {
	const want = "16 to 128 visible ASCII characters, fresh for every attempt (a UUID is good)"
	if len(key) < MinAttemptKey || len(key) > MaxAttemptKey {
		return &input.Error{Field: field, Problem: fmt.Sprintf("is %d bytes long", len(key)), Want: want}
	}
	for i := 0; i < len(key); i++ {
		if key[i] <= ' ' || key[i] > '~' {
			return &input.Error{Field: field, Problem: "has " + input.CharacterAt(key, i), Want: want}
		}
	}
	return nil
}

// CheckTTL returns nil if ttl is between [MinTTL] and longest, or an
// [*input.Error] for the field "ttl".
func CheckTTL(ttl, longest time.Duration) error {
	if ttl >= MinTTL && ttl <= longest {
		return nil
	}
	return &input.Error{Field: "ttl", Problem: fmt.Sprintf("is %s", ttl), Want: fmt.Sprintf("%s to %s", MinTTL, longest)}
}

// CheckConfirm returns nil if confirm is zero (the lease needs no confirmation) or
// between [MinTTL] and the ttl of the lease, or an [*input.Error] for the field
// "confirm".
func CheckConfirm(confirm, ttl time.Duration) error {
	if confirm == 0 || confirm >= MinTTL && confirm <= ttl {
		return nil
	}
	return &input.Error{Field: "confirm", Problem: fmt.Sprintf("is %s", confirm), Want: fmt.Sprintf("%s to %s, the ttl", MinTTL, ttl)}
}

// CheckMetadata returns nil if metadata has at most [MaxMetadata] pairs of keys of
// [A-Za-z0-9_.-]{1,64} and printable values of at most [MaxMetaValue] bytes, or an
// [*input.Error] for the field "metadata" or "meta.KEY".
func CheckMetadata(metadata map[string]string) error {
	if len(metadata) == 0 {
		return nil
	}
	if len(metadata) > MaxMetadata {
		return &input.Error{
			Field:   "metadata",
			Problem: fmt.Sprintf("has %d pairs", len(metadata)),
			Want:    fmt.Sprintf("at most %d pairs", MaxMetadata),
		}
	}
	for _, k := range slices.Sorted(maps.Keys(metadata)) {
		if !metaKey(k) {
			return &input.Error{
				Field:   "metadata",
				Problem: fmt.Sprintf("has the key %q", k),
				Want:    "keys of 1 to 64 characters out of A-Z, a-z, 0-9, '_', '.' and '-'",
			}
		}
		if err := input.CheckText("meta."+k, metadata[k], MaxMetaValue); err != nil {
			return err
		}
	}
	return nil
}

func metaKey(k string) bool {
	if k == "" || len(k) > MaxMetaKey {
		return false
	}
	for i := 0; i < len(k); i++ {
		c := k[i]
		if !('A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '_' || c == '.' || c == '-') {
			return false
		}
	}
	return true
}
