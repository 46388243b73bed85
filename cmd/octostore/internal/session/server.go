package session

import (
	"cmp"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/exitcode"
	"github.com/octostore/octostore/core/files"
	"github.com/octostore/octostore/core/timetext"
	"github.com/octostore/octostore/transport/client"
)

// Server has the values of the flags that choose the server which a command asks. What is
// empty comes from the environment, then from the profile in use, then from the defaults. A
// profile that its flag names goes before the environment.
//
// A token goes only to the server it was given for. That of a profile, or of octostore login,
// goes to its own URL, whatever chooses another one.
type Server struct {
	URL, Profile, TokenFile, CAFile string

	Timeout time.Duration // of a request, besides the time it asks the server to wait; 0: see above
}

// DefaultTimeout is the timeout of a request. It is far above what a busy server takes.
const DefaultTimeout = 60 * time.Second

// Variables returns the names of the environment variables that choose a server.
func Variables() []string {
	return []string{
		"OCTOSTORE_URL", "OCTOSTORE_TOKEN", "OCTOSTORE_TOKEN_FILE", "OCTOSTORE_CA_FILE", "OCTOSTORE_PROFILE", "OCTOSTORE_TIMEOUT",
	}
}

// Named reports whether a flag or the environment names a server. The profile in use does
// not count.
func (s Server) Named() bool {
	return cmp.Or(s.URL, s.Profile, os.Getenv("OCTOSTORE_URL"), os.Getenv("OCTOSTORE_PROFILE")) != ""
}

// NewClient returns a client of the chosen server. It sends nothing. Errors about flags and
// variables have the exit code Usage.
func (s Server) NewClient() (*client.Client, error) {
	c, err := s.choose()
	if err != nil {
		return nil, err
	}
	if c.token, err = c.secret(); err != nil {
		return nil, err
	}
	return c.client()
}

// source is one place with values for the choice of a server.
type source struct {
	url string
	// only is the URL that the token and the certificates are for; empty: for whichever server
	// is chosen.
	only                        string
	token, tokenFile, tokenFrom string
	caFile, caFrom              string
}

// choice is the server that a command asks, and what it is asked with.
type choice struct {
	source

	profile string // whose URL it is; empty: of none
	kept    Credential
	timeout time.Duration
	local   bool // see LocalClient

	greeting string // likewise
}

// choose goes through the sources in the order of their precedence.
func (s Server) choose() (choice, error) {
	timeout, err := s.timeout()
	if err != nil {
		return choice{}, err
	}
	kept, err := readKept()
	if err != nil {
		return choice{}, err
	}
	name := cmp.Or(s.Profile, os.Getenv("OCTOSTORE_PROFILE"), kept.Profile)
	p, known := kept.Profiles[name]
	if name != "" && !known {
		return choice{}, noProfile(name)
	}
	order := []source{s.flags(), s.environment(), p.source(name)}
	if s.Profile != "" {
		order[1], order[2] = order[2], order[1]
	}
	c := choice{timeout: timeout}
	for _, from := range order {
		c.url = cmp.Or(c.url, from.url)
	}
	c.url = cmp.Or(c.url, client.DefaultURL)
	for _, from := range order {
		if from.only == "" || serverKey(from.only) == serverKey(c.url) {
			c.add(from)
		}
	}
	if known && serverKey(p.URL) == serverKey(c.url) {
		c.profile, c.kept = name, p.Credential
	} else {
		c.kept = kept.Servers[serverKey(c.url)]
	}
	return c, nil
}

// add takes what no source before has given.
func (c *choice) add(from source) {
	if c.token == "" && c.tokenFile == "" {
		c.token, c.tokenFile, c.tokenFrom = from.token, from.tokenFile, from.tokenFrom
	}
	if c.caFile == "" {
		c.caFile, c.caFrom = from.caFile, from.caFrom
	}
}

func (s Server) flags() source {
	return source{url: s.URL, tokenFile: s.TokenFile, tokenFrom: "--token-file", caFile: s.CAFile, caFrom: "--ca-file"}
}

// environment has a token for the server that it names, or that a flag names in its place.
// Where a profile is named in its place, that has tokens of its own.
func (s Server) environment() source {
	e := source{
		// The secret stores of CI systems keep the line break that was pasted with a value.
		url:   strings.TrimSpace(os.Getenv("OCTOSTORE_URL")),
		token: strings.TrimSpace(os.Getenv("OCTOSTORE_TOKEN")), tokenFrom: "OCTOSTORE_TOKEN",
		caFile: os.Getenv("OCTOSTORE_CA_FILE"), caFrom: "OCTOSTORE_CA_FILE",
	}
	if e.token == "" {
		e.tokenFile, e.tokenFrom = os.Getenv("OCTOSTORE_TOKEN_FILE"), "OCTOSTORE_TOKEN_FILE"
	}
	if s.URL == "" {
		e.only = e.url
	}
	return e
}

func (s Server) timeout() (time.Duration, error) {
	text := os.Getenv("OCTOSTORE_TIMEOUT")
	switch {
	case s.Timeout < 0:
		return 0, exitcode.Usagef("--timeout is %s; want more than 0s", s.Timeout)
	case s.Timeout > 0:
		return s.Timeout, nil
	case text == "":
		return DefaultTimeout, nil
	}
	d, err := timetext.Duration(text)
	if err != nil || d <= 0 {
		return 0, exitcode.Usagef("OCTOSTORE_TIMEOUT is %q; want %s", text, timetext.WantDuration)
	}
	return d, nil
}

// largestToken is the size limit of a token file.
const largestToken = 64 << 10

// secret returns the token: the one that a source gives, or else the one that octostore login
// has kept. Errors do not contain it.
func (c choice) secret() (string, error) {
	switch {
	case strings.ContainsFunc(c.token, notInToken):
		return "", exitcode.Usagef("%s is not a token: it has a space or another character that no token has", c.tokenFrom)
	case c.token != "":
		return c.token, nil
	case c.tokenFile == "":
		return c.kept.Token, nil
	}
	content, _, err := files.ReadSecret(c.tokenFile, largestToken)
	if err != nil {
		return "", fmt.Errorf("%s: %w", c.tokenFrom, err)
	}
	token := strings.TrimSpace(string(content))
	if token == "" || strings.ContainsFunc(token, notInToken) {
		return "", exitcode.Usagef("%s: %s does not have a token alone on its first line", c.tokenFrom, c.tokenFile)
	}
	return token, nil
}

// notInToken reports characters that no header can have, and that separate words.
func notInToken(r rune) bool { return r <= ' ' || r > '~' }
