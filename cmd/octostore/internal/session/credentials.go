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

// credentials is the file of the tokens from octostore login, by server: a server never
// gets the token of another.
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

// serverKey returns the key of a server in the file: its URL with a lower-case host and no
// slash at the end.
func serverKey(target string) string {
	u, err := url.Parse(strings.TrimSuffix(target, "/"))
	if err != nil {
		return target
	}
	u.Scheme, u.Host = strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	return u.String()
}

// keptToken returns the credential for a server, or the zero Credential.
func keptToken(target string) (Credential, error) {
	path, err := credentialsPath()
	if err != nil {
		return Credential{}, nil // a user without a home has not logged in
	}
	all, err := readCredentials(path)
	return all.Servers[serverKey(target)], err
}

// largestCredentials is the size limit of the file, enough for thousands of servers.
const largestCredentials = 4 << 20

// readCredentials reads the file. It refuses a file that other users can read: its tokens
// are no secret any more. Errors do not contain the tokens.
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

// Keep stores a token for a server and replaces the one before; the zero Credential removes
// it. The file is replaced in one step.
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
