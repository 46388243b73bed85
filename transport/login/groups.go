package login

import (
	"slices"
	"strings"
)

// memberships are the organisations and teams of a user, as far as an Allow asks about them.
type memberships struct {
	asked bool // about one at least
	names []string
}

// groups returns empty memberships for the organisations and teams in an Allow.
func (a Allow) groups() *memberships {
	return &memberships{asked: slices.ContainsFunc(a.entries, func(e entry) bool { return e.kind != kindUser })}
}

// learn records whether an entry applies. Members of a team are members of its organisation.
func (m *memberships) learn(e *entry, applies bool) {
	if !applies || e.kind == kindUser {
		return
	}
	org := accountPrefix + strings.ToLower(e.name)
	m.add(org)
	if e.kind == kindTeam {
		m.add(org + "/" + strings.ToLower(e.team))
	}
}

func (m *memberships) add(name string) {
	if !slices.Contains(m.names, name) {
		m.names = append(m.names, name)
	}
}

// text returns their form in a token: each followed by a line feed, a single line feed if there
// are none, and empty if nothing was asked.
func (m *memberships) text() string {
	if !m.asked {
		return ""
	}
	slices.Sort(m.names)
	return strings.Join(m.names, "\n") + "\n"
}
