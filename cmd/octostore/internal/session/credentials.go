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

	"github.com/octostore/octostore/cmd/octostore/internal/filelock"
	"github.com/octostore/octostore/core/files"
)

// credentials is the file of octostore login: tokens by server, and profiles. A server never
// gets the token of another. Files of earlier versions have servers only.
type credentials struct {
	Servers  map[string]Credential `json:"servers"`
	Profiles map[string]Profile    `json:"profiles,omitempty"`
	Profile  string                `json:"profile,omitempty"` // the one in use
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

// readKept reads the file of the user. A user without a home has none.
func readKept() (credentials, error) {
	path, err := credentialsPath()
	if err != nil {
		return credentials{}, nil
	}
	return readCredentials(path)
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
// it.
func Keep(target string, c Credential) (path string, err error) {
	return change(func(all *credentials) error {
		if c == (Credential{}) {
			delete(all.Servers, serverKey(target))
			return nil
		}
		if all.Servers == nil {
			all.Servers = map[string]Credential{}
		}
		all.Servers[serverKey(target)] = c
		return nil
	})
}

// KeepProfile stores a profile and replaces the one before.
func KeepProfile(name string, p Profile) (path string, err error) {
	if err := checkProfileName(name); err != nil {
		return "", err
	}
	return change(func(all *credentials) error {
		if all.Profiles == nil {
			all.Profiles = map[string]Profile{}
		}
		all.Profiles[name] = p
		return nil
	})
}

// change changes the file. Changes of several processes come one after the other, and the
// file is replaced in one step: a reader sees it as it was before or after a change.
func change(edit func(*credentials) error) (path string, err error) {
	if path, err = credentialsPath(); err != nil {
		return "", fmt.Errorf("nowhere to keep a token: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", fmt.Errorf("keep the token: %w", err)
	}
	unlock, err := lockFile(path + ".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	all, err := readCredentials(path)
	if err != nil {
		return "", err
	}
	if err := edit(&all); err != nil {
		return "", err
	}
	text, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return "", err
	}
	if err := files.Replace(path, append(text, '\n')); err != nil {
		return "", fmt.Errorf("keep the token: %w", err)
	}
	return path, nil
}

// lockPatience is how long a change waits for that of another process; a change takes
// milliseconds.
const lockPatience = 10 * time.Second

// lockFile waits for the lock of a file, which is made if need be and stays.
func lockFile(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for over := time.Now().Add(lockPatience); ; {
		err := filelock.Try(f)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, filelock.ErrLocked) || time.Now().After(over) {
			f.Close()
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
