package login

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/input"
)

// Allow says which users may log in, and what their tokens may do. The zero Allow lets no user
// in.
type Allow struct {
	entries []entry
}

// entry is one part of an Allow.
type entry struct {
	subject string // as written
	kind    kind
	name    string // of the user or the organisation
	id      int64  // its number; 0: the present owner of the name
	team    string
	scopes  string
}

type kind string

const (
	kindUser kind = "user"
	kindOrg  kind = "org"
	kindTeam kind = "team"
)

// AllowForm describes the text form of an Allow.
const AllowForm = `parts joined by ';', each user:LOGIN=SCOPES, org:ORG=SCOPES or team:ORG/TEAM=SCOPES, ` +
	`where LOGIN and ORG may have @NUMBER after them, such as "user:alice@583231=acquire,read:team-a/**; org:acme=read:**"`

const (
	// mostEntries bounds the requests to GitHub for one login.
	mostEntries = 50
	// mostScopes bounds the scopes of an Allow, in bytes: one user may have all of them, and
	// that is how much a token can hold.
	mostScopes = 2048
)

// Names at GitHub. Logins of managed users have an underscore. Compiled when they are needed:
// octostore run starts this program twice, and needs neither.
var (
	goodName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9](?:[A-Za-z0-9_-]{0,38})$`) })
	goodTeam = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$`) })
)

// ParseAllow reads an Allow of the form [AllowForm]. Its errors name the part, and continue the
// sentence "the setting".
func ParseAllow(text string) (Allow, error) {
	var a Allow
	var scopes []string
	seen := map[string]bool{}
	for i, part := range strings.Split(text, ";") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		e, err := parseEntry(part)
		if err != nil {
			return Allow{}, fmt.Errorf("has a part %d, %q, which %w", i+1, part, err)
		}
		key := strings.ToLower(e.subject)
		if seen[key] {
			return Allow{}, fmt.Errorf("has a part %d, %q, which is about the same as one before", i+1, part)
		}
		seen[key] = true
		a.entries = append(a.entries, e)
		scopes = append(scopes, e.scopes)
	}
	switch all := len(strings.Join(scopes, " ")); {
	case len(a.entries) == 0:
		return Allow{}, errors.New("allows no user")
	case len(a.entries) > mostEntries:
		return Allow{}, fmt.Errorf("has %d parts, more than %d", len(a.entries), mostEntries)
	case all > mostScopes:
		return Allow{}, fmt.Errorf("has scopes of %d bytes in all, more than %d", all, mostScopes)
	}
	return a, nil
}

func parseEntry(part string) (e entry, err error) {
	subject, scopes, found := strings.Cut(part, "=")
	if !found {
		return e, errors.New("has no '=' between its subject and its scopes")
	}
	e.subject = strings.TrimSpace(subject)
	word, name, found := strings.Cut(e.subject, ":")
	if e.kind = kind(word); !found || e.kind != kindUser && e.kind != kindOrg && e.kind != kindTeam {
		return e, errors.New("begins with none of user, org and team, and a colon")
	}
	name, e.team, found = strings.Cut(name, "/")
	switch {
	case e.kind == kindTeam && !goodTeam().MatchString(e.team):
		return e, errors.New("does not name a team, as in team:acme/ops")
	case e.kind != kindTeam && found:
		return e, errors.New("has a '/', which only teams have")
	}
	name, number, numbered := strings.Cut(name, "@")
	if e.name = name; !goodName().MatchString(name) {
		return e, fmt.Errorf("has %q for a name; GitHub's are of letters, digits, '-' and '_', at most 39", name)
	}
	if e.id, err = strconv.ParseInt(number, 10, 64); numbered && (err != nil || e.id <= 0) {
		return e, fmt.Errorf("has %q for a number; https://api.github.com/users/%s shows it as id", number, name)
	}
	e.scopes = strings.Join(strings.Fields(scopes), " ")
	_, err = auth.ParseScopes(e.scopes)
	if wrong, is := errors.AsType[*input.Error](err); is {
		return e, fmt.Errorf("gives scopes that %s", wrong.Problem)
	}
	if err != nil {
		return e, err
	}
	return e, nil
}

// Unpinned returns the entries that have a name but no number. GitHub gives names that were
// given up to other users, who could then log in.
func (a Allow) Unpinned() []string {
	var all []string
	for _, e := range a.entries {
		if e.id == 0 {
			all = append(all, e.subject)
		}
	}
	return all
}

// oauthScopes returns the OAuth scopes to request from GitHub: none, unless memberships
// matter.
func (a Allow) oauthScopes() []string {
	for _, e := range a.entries {
		if e.kind != kindUser {
			return []string{"read:org"}
		}
	}
	return nil
}

// isAbout reports whether an entry for a user is for this one.
func (e *entry) isAbout(u user) bool {
	if e.id != 0 {
		return e.id == u.ID // whatever the login is now
	}
	return strings.EqualFold(e.name, u.Login)
}
