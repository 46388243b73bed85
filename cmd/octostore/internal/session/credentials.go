package session

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/octostore/octostore/core/files"
)

// credentials are the tokens that octostore login keeps for other commands, in one file,
// by server: no server is ever sent the token of another.
type credentials struct {
	Servers map[string]Credential `json:"servers"`
}

// Credential is the token that is kept for one server.
type Credential struct {
	Token     string     `json:"token"`
	Account   string     `json:"account"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
}

func credentialsPath() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "octostore", "credentials.json"), nil
}

// serverKey is what a server is called in the file, whether its URL ends in a slash or not
// and however its host is written.
func serverKey(target string) string {
	u, err := url.Parse(strings.TrimSuffix(target, "/"))
	if err != nil {
		return target
	}
	u.Scheme, u.Host = strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	return u.String()
}

// keptToken returns what is kept for a server; the zero credential if there is nothing.
func keptToken(target string) (Credential, error) {
	path, err := credentialsPath()
	if err != nil {
		return Credential{}, nil // a user without a home has not logged in
	}
	all, err := readCredentials(path)
	return all.Servers[serverKey(target)], err
}

// largestCredentials is more than the tokens of thousands of servers take.
const largestCredentials = 4 << 20

// readCredentials reads the file. One that others can read is refused: it may be theirs,
// and what was in it is no secret any more. Errors show nothing of it.
func readCredentials(path string) (credentials, error) {
	text, err := files.ReadPrivate(path, largestCredentials)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return credentials{}, nil
	case errors.Is(err, files.ErrShared):
		return credentials{}, fmt.Errorf("%w, and log in again if they may have read it", err)
	case err != nil:
		return credentials{}, fmt.Errorf("read the token of octostore login: %w", err)
	}
	var all credentials
	if json.NewDecoder(bytes.NewReader(text)).Decode(&all) != nil {
		return credentials{}, fmt.Errorf("%s is not what octostore login writes; remove it and log in again", path)
	}
	return all, nil
}

// Keep stores a token for a server, in the place of another, or removes what is kept
// if it is the zero Credential. The file is there whole or as it was.
func Keep(target string, c Credential) (path string, err error) {
	if path, err = credentialsPath(); err != nil {
		return "", fmt.Errorf("nowhere to keep a token: %w", err)
	}
	all, err := readCredentials(path)
	if err != nil {
		return "", err
	}
	if all.Servers == nil {
		all.Servers = map[string]Credential{}
	}
	all.Servers[serverKey(target)] = c
	if c == (Credential{}) {
		delete(all.Servers, serverKey(target))
	}
	text, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return "", err
	}
	if err := replaceFile(path, append(text, '\n')); err != nil {
		return "", fmt.Errorf("keep the token: %w", err)
	}
	return path, nil
}

// replaceFile writes a file that only its owner can read.
func replaceFile(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return files.Replace(path, text)
}
