package auth

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// fileScopes is what a token of the file may do if its line does not say.
const fileScopes = "acquire,read:**"

// shortestSecret is that of a secret that is not one of ours, in the tokens file. As
// many hexadecimal digits are 128 bits.
const shortestSecret = 32

// readFile reads a tokens file: one token a line, as account:secret or
// account:secret:scopes. Empty lines and those that begin with # mean nothing. It is
// refused if everybody on the machine may read or change it. Its errors name lines and
// show nothing of them.
func readFile(path string) ([]Token, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the tokens file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read the tokens file: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o006 != 0 {
		return nil, fmt.Errorf("the tokens file %s can be read or changed by everybody on this machine (mode %04o); chmod 600 it, and make new tokens if others may have read it", path, mode)
	}
	var all []Token
	seen := map[[sha256.Size]byte]int{}
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
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
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read the tokens file %s: %w", path, err)
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

// checkSecret refuses what could be guessed, and ours if they were mistyped.
func checkSecret(secret string) error {
	if strings.HasPrefix(secret, secretPrefix) && !wellFormed(secret) {
		return fmt.Errorf("has a token that begins with %s, but is not whole", secretPrefix)
	}
	if len(secret) < shortestSecret || len(secret) > 256 {
		return fmt.Errorf("has a token of %d characters; want one that octostore token secret prints, or %d to 256 random ones", len(secret), shortestSecret)
	}
	for i := 0; i < len(secret); i++ {
		if secret[i] <= ' ' || secret[i] > '~' {
			return errors.New("has a token with a character that is not visible ASCII")
		}
	}
	return nil
}
