package auth

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/octostore/octostore/core/files"
)

// fileScopes are the scopes of a token in the file whose line has none.
const fileScopes = "acquire,read:**"

// shortestSecret is the minimum length of secrets in the tokens file that were not created
// by octostore. As many hexadecimal digits are 128 bits.
const shortestSecret = 32

// largestFile is the size limit: more than 100,000 tokens take.
const largestFile = 64 << 20

// readFile reads a tokens file: one token per line, as account:secret or
// account:secret:scopes. It skips empty lines and comments, which begin with #. It refuses
// a file that all users may read or change. Errors name lines, and reveal nothing of them.
func readFile(path string) ([]Token, error) {
	text, info, err := files.ReadSecret(path, largestFile)
	if err != nil {
		return nil, fmt.Errorf("read the tokens file: %w", err)
	}
	var all []Token
	seen := map[[sha256.Size]byte]int{}
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		t, err := parseLine(line)
		if err != nil {
			return nil, fmt.Errorf("tokens file %s: line %d: %w", path, n, err)
		}
		if before := seen[t.Hash]; before > 0 {
			return nil, fmt.Errorf("tokens file %s: line %d: has the same token as line %d", path, n, before)
		}
		seen[t.Hash] = n
		t.Created = info.ModTime().UTC().Truncate(time.Millisecond)
		all = append(all, t)
	}
	return all, nil
}

func parseLine(line string) (t Token, err error) {
	account, rest, found := strings.Cut(line, ":")
	if !found {
		return t, errors.New("is not account:token or account:token:scopes")
	}
	if CheckAccount(account) != nil {
		return t, fmt.Errorf("does not begin with an account; want letters, digits, '.', '_', '-' and '@', at most %d", MaxAccount)
	}
	if checkReserved(account) != nil {
		return t, fmt.Errorf("is of the account %s, which is that of a server without tokens; want another name", account)
	}
	secret, scopes, _ := strings.Cut(rest, ":")
	if err := checkSecret(secret); err != nil {
		return t, err
	}
	if strings.TrimSpace(scopes) == "" {
		scopes = fileScopes
	}
	t = Token{Account: account, Hash: sha256.Sum256([]byte(secret)), FromFile: true}
	t.ID = "file-" + hex.EncodeToString(t.Hash[:6])
	t.Scopes, err = ParseScopes(scopes)
	return t, err
}

// checkSecret refuses secrets that could be guessed, and mistyped ones of octostore.
func checkSecret(secret string) error {
	if strings.HasPrefix(secret, secretPrefix) && !wellFormed(secret) {
		return fmt.Errorf("has a token that begins with %s, but is not whole", secretPrefix)
	}
	if len(secret) < shortestSecret || len(secret) > 256 {
		return fmt.Errorf(
			"has a token of %d characters; want one that octostore token secret prints, or %d to 256 random ones",
			len(secret),
			shortestSecret,
		)
	}
	for i := 0; i < len(secret); i++ {
		if secret[i] <= ' ' || secret[i] > '~' {
			return errors.New("has a token with a character that is not visible ASCII")
		}
	}
	return nil
}
