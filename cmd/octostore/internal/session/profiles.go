package session

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/exitcode"
	"github.com/octostore/octostore/cmd/octostore/internal/text"
)

// Profile is a server under a name, in the file of octostore login.
type Profile struct {
	URL       string `json:"url"`
	CAFile    string `json:"ca_file,omitempty"`
	TokenFile string `json:"token_file,omitempty"` // read by each command, in place of a kept token
	Credential
}

// NamedProfile is a profile as it is shown: without its token.
type NamedProfile struct {
	Name      string `json:"name"`
	InUse     bool   `json:"in_use"`
	URL       string `json:"url"` // without a password
	Account   string `json:"account,omitempty"`
	CAFile    string `json:"ca_file,omitempty"`
	TokenFile string `json:"token_file,omitempty"`

	LoggedIn  bool       `json:"logged_in"` // a token is kept
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
}

// TokenState says where the token of a profile is.
func (p NamedProfile) TokenState() string {
	switch {
	case p.TokenFile != "":
		return "in " + p.TokenFile
	case p.LoggedIn:
		return "until " + text.Day(p.ExpiresAt, "it is revoked")
	}
	return "none"
}

// Profiles returns the profiles by name.
func Profiles() ([]NamedProfile, error) {
	all, err := readKept()
	if err != nil {
		return nil, err
	}
	shown := []NamedProfile{}
	for _, name := range slices.Sorted(maps.Keys(all.Profiles)) {
		p := all.Profiles[name]
		shown = append(shown, NamedProfile{
			Name: name, InUse: name == all.Profile, URL: Redacted(p.URL), Account: p.Account, CAFile: p.CAFile, TokenFile: p.TokenFile,
			LoggedIn: p.Token != "", ExpiresAt: p.ExpiresAt,
		})
	}
	return shown, nil
}

// UseProfile makes commands use a profile where nothing else names a server; an empty name:
// none.
func UseProfile(name string) error {
	_, err := change(func(all *credentials) error {
		if _, known := all.Profiles[name]; !known && name != "" {
			return noProfile(name)
		}
		all.Profile = name
		return nil
	})
	return err
}

// RemoveProfile removes a profile and its token from the file. The token stays valid.
func RemoveProfile(name string) error {
	_, err := change(func(all *credentials) error {
		if _, known := all.Profiles[name]; !known {
			return noProfile(name)
		}
		delete(all.Profiles, name)
		if all.Profile == name {
			all.Profile = ""
		}
		return nil
	})
	return err
}

func (p Profile) source(name string) source {
	from := fmt.Sprintf("profile %q", name)
	return source{url: p.URL, only: p.URL, token: p.Token, tokenFile: p.TokenFile, tokenFrom: from, caFile: p.CAFile, caFrom: from}
}

// profileName is what a profile may be called: a word that needs no quotes anywhere.
var profileName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$`) })

func checkProfileName(name string) error {
	if profileName().MatchString(name) {
		return nil
	}
	return exitcode.Usagef("%q cannot be the name of a profile; want up to 64 letters, digits, and . _ - behind the first", name)
}

func noProfile(name string) error {
	return exitcode.Usagef(
		"there is no profile %q; octostore profile list shows those there are, octostore login --profile %s --url URL makes one",
		name,
		cmp.Or(name, "NAME"),
	)
}
