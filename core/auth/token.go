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

// Token is the description of an API token, without its secret.
type Token struct {
	ID      string // names it in lists, in the audit log, and to revoke it; no secret
	Name    string // for people; may be empty
	Account string
	Scopes  Scopes
	Hash    [sha256.Size]byte // of the secret
	Groups  string            // groups of the account according to its login; see [lock.Actor]

	Created time.Time
	Expires time.Time // zero: never
	Used    time.Time // time of its last use, roughly; zero: never
	Revoked time.Time // zero: it is not revoked

	// FromFile marks a token of the tokens file. It can be changed only there.
	FromFile bool
}

// Good reports whether the token is valid at that time.
func (t *Token) Good(now time.Time) bool {
	return t.Revoked.IsZero() && (t.Expires.IsZero() || now.Before(t.Expires))
}

// ended returns when the token ended or will end; zero: never.
func (t *Token) ended() time.Time {
	if t.Revoked.IsZero() || !t.Expires.IsZero() && t.Expires.Before(t.Revoked) {
		return t.Expires
	}
	return t.Revoked
}

// Store keeps tokens. It is safe for use by many goroutines, and its answers belong to the
// caller. A store that ever had a token has one for good: a server that ever had a token
// keeps requiring tokens.
type Store interface {
	// Tokens returns all tokens, sorted by id.
	Tokens(ctx context.Context) ([]Token, error)
	// TokenByHash returns the token whose secret has this hash, or false.
	TokenByHash(ctx context.Context, hash [sha256.Size]byte) (Token, bool, error)
	// PutTokens adds tokens or replaces those with the same ids, all or none. After nil
	// they survive a power cut. [lock.ErrOutcomeUnknown] means that the store may have done it,
	// or may yet; [lock.ErrFull] that nothing has changed.
	PutTokens(ctx context.Context, tokens ...Token) error
	// TouchTokens sets the times of last use, by id. It skips unknown ids.
	TouchTokens(ctx context.Context, used map[string]time.Time) error
	// PruneTokens deletes tokens, except the last one in the store. It skips unknown ids. It
	// works in short steps, so after an error, or after a crash, some of them may be gone.
	PruneTokens(ctx context.Context, ids []string) error
}

// A secret is "octo_" and 48 characters of base64url: 32 random bytes and a checksum of 4
// bytes. The checksum detects mistyped secrets without a lookup, and finds secrets in
// texts.
const (
	secretPrefix = "octo_"
	secretBytes  = 32 + 4
	secretText   = secretBytes / 3 * 4
)

var (
	secretEncoding = base64.RawURLEncoding.Strict()
	castagnoli     = crc32.MakeTable(crc32.Castagnoli)
)

// NewSecret returns a new random secret.
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
	// A decoder skips line breaks; then there are fewer bytes.
	return err == nil && len(b) == secretBytes && binary.BigEndian.Uint32(b[32:]) == crc32.Checksum(b[:32], castagnoli)
}

// HoldsSecret reports whether the text contains the secret of a token of any server.
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

// Limits of the members of a token.
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

// checkReserved refuses the account of servers without tokens. That account has no limits,
// so its tokens would have none either.
func checkReserved(account string) error {
	if account != LocalAccount {
		return nil
	}
	return &input.Error{Field: "account", Problem: fmt.Sprintf("is %q, that of a server without tokens", account), Want: "another name"}
}
