package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"
	"time"

	"github.com/octostore/octostore/core/input"
)

// Token is what is known of a token. Its secret is not.
type Token struct {
	ID      string // names it in lists, in the journal, and to revoke it; no secret
	Name    string // for people; may be empty
	Account string
	Scopes  Scopes
	Hash    [sha256.Size]byte // of the secret
	Groups  string            // what the login said the account is a member of; see [lock.Actor]

	Created time.Time
	Expires time.Time // zero: never
	Used    time.Time // about when it was last used; zero: never
	Revoked time.Time // zero: it is good

	// FromFile: it is kept in the tokens file, and can only be changed there.
	FromFile bool
}

// Good reports whether the token can be used at that time.
func (t *Token) Good(now time.Time) bool {
	return t.Revoked.IsZero() && (t.Expires.IsZero() || now.Before(t.Expires))
}

// Store keeps tokens. It is safe for use by many goroutines. What it answers is shared
// with nobody. Revoked tokens stay in it: that there was one is what keeps the door
// closed.
type Store interface {
	// Tokens returns all of them, in order of their ids.
	Tokens(ctx context.Context) ([]Token, error)
	// TokenByHash returns the one whose secret has this hash, or false.
	TokenByHash(ctx context.Context, hash [sha256.Size]byte) (Token, bool, error)
	// PutTokens adds tokens or replaces those with the same ids, all or none. After nil
	// they survive a power cut. [lock.ErrFull] means that surely nothing was changed.
	PutTokens(ctx context.Context, tokens ...Token) error
	// TouchTokens sets when tokens were used last, by their ids. Ids that are not there
	// are left out.
	TouchTokens(ctx context.Context, used map[string]time.Time) error
}

// A secret is "octo_" and 48 characters of base64url: 32 random bytes, and 4 of a
// checksum, by which a mistyped one is known without asking anybody, and one that got
// where it does not belong is found.
const (
	secretPrefix = "octo_"
	secretBytes  = 32 + 4
	secretText   = secretBytes / 3 * 4
)

var (
	secretEncoding = base64.RawURLEncoding.Strict()
	castagnoli     = crc32.MakeTable(crc32.Castagnoli)
)

// NewSecret makes the secret of a token.
func NewSecret() string {
	b := make([]byte, 32, secretBytes)
	rand.Read(b)
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	return secretPrefix + secretEncoding.EncodeToString(b)
}

// wellFormed reports whether s has the form and the checksum of a secret.
func wellFormed(s string) bool {
	text, ok := strings.CutPrefix(s, secretPrefix)
	if !ok || len(text) != secretText {
		return false
	}
	b, err := secretEncoding.DecodeString(text)
	// A decoder passes over line breaks, and then there are fewer bytes.
	return err == nil && len(b) == secretBytes && binary.BigEndian.Uint32(b[32:]) == crc32.Checksum(b[:32], castagnoli)
}

// HoldsSecret reports whether there is the secret of a token anywhere in the text, be it
// known here or not.
func HoldsSecret(text string) bool {
	for {
		i := strings.Index(text, secretPrefix)
		if i < 0 {
			return false
		}
		text = text[i:]
		if n := len(secretPrefix) + secretText; len(text) >= n && wellFormed(text[:n]) {
			return true
		}
		text = text[len(secretPrefix):]
	}
}

// Bounds of what a token may say about itself.
const (
	MaxAccount = 64 // bytes
	MaxName    = 64 // bytes
	MaxExpires = 10 * 365 * 24 * time.Hour
)

// CheckAccount returns nil if s can be the name of an account, or an [*input.Error]
// for the field "account".
func CheckAccount(s string) error {
	const want = "1 to 64 letters, digits, '.', '_', '-' and '@'"
	if s == "" || len(s) > MaxAccount {
		return &input.Error{Field: "account", Problem: fmt.Sprintf("is %d bytes long", len(s)), Want: want}
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("._-@", c) >= 0) {
			return &input.Error{Field: "account", Problem: fmt.Sprintf("is %q", s), Want: want}
		}
	}
	return nil
}

// checkReserved refuses the account of servers without tokens, which has no limits: a token
// of it would have none either.
func checkReserved(account string) error {
	if account != LocalAccount {
		return nil
	}
	return &input.Error{Field: "account", Problem: fmt.Sprintf("is %q, that of a server without tokens", account), Want: "another name"}
}
