package login

import (
	"slices"
	"strings"
)

// memberships are the organisations and teams that somebody is a member of, as far as an
// Allow has it asked.
type memberships struct {
	asked bool // about one at least
	names []string
}

// groups returns no memberships yet, of the ones that an Allow has asked about.
func (a Allow) groups() *memberships {
	return &memberships{asked: slices.ContainsFunc(a.entries, func(e entry) bool { return e.kind != kindUser })}
}

// learn notes that an entry applies or not. A team's members are its organisation's too.
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

// text is their form in a token: each followed by a line feed, a single one if there are
// none, and empty where nothing was asked.
func (m *memberships) text() string {
	if !m.asked {
		return ""
	}
	slices.Sort(m.names)
	return strings.Join(m.names, "\n") + "\n"
}
