package login

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/input"
)

// Allow says who may log in, and what their tokens may do. The zero Allow lets nobody
// in.
type Allow struct {
	entries []entry
}

// entry is one part of it.
type entry struct {
	subject string // as it was written
	kind    kind
	name    string // of the user, or of the organisation
	id      int64  // its number; 0: whoever has the name now
	team    string
	scopes  string
}

type kind string

const (
	kindUser kind = "user"
	kindOrg  kind = "org"
	kindTeam kind = "team"
)

// AllowForm is what an Allow looks like.
const AllowForm = `parts joined by ';', each user:LOGIN=SCOPES, org:ORG=SCOPES or team:ORG/TEAM=SCOPES, where LOGIN and ORG may have @NUMBER after them, such as "user:alice@583231=acquire,read:team-a/**; org:acme=read:**"`

const (
	// mostEntries bounds what GitHub is asked at one login.
	mostEntries = 50
	// mostScopes is how long all scopes of an Allow may be together, in bytes: somebody may
	// be all of it at once, and a token has room for so much.
	mostScopes = 2048
)

// Names at GitHub. Those of users that a company manages have an underscore.
var (
	goodName = regexp.MustCompile(`^[A-Za-z0-9](?:[A-Za-z0-9_-]{0,38})$`)
	goodTeam = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$`)
)

// ParseAllow reads an Allow of the form [AllowForm]. Its errors name the part, and go on
// after "the setting".
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
		return Allow{}, errors.New("allows nobody")
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
		return e, errors.New("has no '=' between who it is about and what they may do")
	}
	e.subject = strings.TrimSpace(subject)
	word, name, found := strings.Cut(e.subject, ":")
	if e.kind = kind(word); !found || e.kind != kindUser && e.kind != kindOrg && e.kind != kindTeam {
		return e, errors.New("begins with none of user, org and team, and a colon")
	}
	name, e.team, found = strings.Cut(name, "/")
	switch {
	case e.kind == kindTeam && !goodTeam.MatchString(e.team):
		return e, errors.New("does not name a team, as in team:acme/ops")
	case e.kind != kindTeam && found:
		return e, errors.New("has a '/', which only teams have")
	}
	name, number, numbered := strings.Cut(name, "@")
	if e.name = name; !goodName.MatchString(name) {
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

// Unpinned returns who is let in by a name alone, as it was written. GitHub gives names
// that were given up to others, who could then log in.
func (a Allow) Unpinned() []string {
	var all []string
	for _, e := range a.entries {
		if e.id == 0 {
			all = append(all, e.subject)
		}
	}
	return all
}

// oauthScopes returns what GitHub has to be asked for: nothing, unless it matters what
// somebody is a member of.
func (a Allow) oauthScopes() []string {
	for _, e := range a.entries {
		if e.kind != kindUser {
			return []string{"read:org"}
		}
	}
	return nil
}

// isAbout reports whether a part about a user is about this one.
func (e *entry) isAbout(u user) bool {
	if e.id != 0 {
		return e.id == u.ID // whatever they are called now
	}
	return strings.EqualFold(e.name, u.Login)
}
