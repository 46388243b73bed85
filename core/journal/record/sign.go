package record

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"

	"github.com/octostore/octostore/core/lock"
)

var errNotAKey = errors.New("not a public key: want 43 characters of base64url, as octostore audit key prints them")

var errNotAHash = errors.New("not a hash of a record: want 43 characters of base64url")

// A signed line has a member "signature" whose value is the Ed25519 signature, in
// unpadded base64url, over the line without that member. Signed lines contain nothing that
// a client chose, and quotes in strings are escaped, so the bytes of signatureMember occur
// in them once.
const signatureMember = `,"signature":"`

var encoding = base64.RawURLEncoding.Strict()

// signLine signs the line that begins at b[start]: the signature goes before its last
// member, which is "prev", or to its end if it has none.
func signLine(b []byte, start int, key ed25519.PrivateKey) []byte {
	line := b[start:]
	at := bytes.LastIndex(line, []byte(`,"prev":"`))
	if at < 0 {
		at = len(line) - 1
	}
	rest := bytes.Clone(line[at:])
	signature := ed25519.Sign(key, line)
	b = append(b[:start+at], signatureMember...)
	b = encoding.AppendEncode(b, signature)
	b = append(b, '"')
	return append(b, rest...)
}

// IsSigned reports whether the line has a valid signature by key. With a nil key none has.
func IsSigned(line []byte, key ed25519.PublicKey) bool {
	before, rest, found := bytes.Cut(line, []byte(signatureMember))
	if !found {
		return false
	}
	text, after, found := bytes.Cut(rest, []byte{'"'})
	if !found {
		return false
	}
	signature, err := encoding.AppendDecode(nil, text)
	if err != nil || len(signature) != ed25519.SignatureSize || len(key) != ed25519.PublicKeySize {
		return false
	}
	message := append(bytes.Clone(before), after...)
	return ed25519.Verify(key, message, signature)
}

// FormatHash returns a hash as the member "prev" has it.
func FormatHash(h lock.Hash) string { return encoding.EncodeToString(h[:]) }

// ParseHash reads what [FormatHash] wrote.
func ParseHash(s string) (h lock.Hash, err error) {
	b, err := encoding.DecodeString(s)
	if err != nil || len(b) != len(h) {
		return h, errNotAHash
	}
	return lock.Hash(b), nil
}

// FormatKey returns the text of a public key: unpadded base64url.
func FormatKey(key ed25519.PublicKey) string { return encoding.EncodeToString(key) }

// ParseKey reads what [FormatKey] wrote.
func ParseKey(s string) (ed25519.PublicKey, error) {
	key, err := encoding.DecodeString(s)
	if err != nil || len(key) != ed25519.PublicKeySize {
		return nil, errNotAKey
	}
	return key, nil
}
