package auth

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/octostore/octostore/core/input"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/pattern"
)

// Scopes are the permissions of an account: verbs on names, each scope written as
//
//	acquire,read:team-a/**,!team-a/secret/**
//
// and several separated by spaces. The verbs end at the first colon; names may contain
// colons. A request is allowed if one scope allows it. The zero Scopes allow nothing.
type Scopes struct {
	text  string
	all   []scope
	admin bool // allows everything
}

// scope is one of several Scopes.
type scope struct {
	verbs []Verb
	names pattern.List // nil: the verbs are not about names
}

const (
	scopeForm = `scopes like "acquire,read:team-a/**", separated by spaces: verbs (acquire, read, break, audit) and the names they are allowed on; policies and admin stand alone`
	maxScopes = 2048 // bytes
)

// ParseScopes reads scopes. Its error is an [*input.Error] for the field "scopes".
func ParseScopes(text string) (Scopes, error) {
	s := Scopes{}
	wrong := func(format string, args ...any) (Scopes, error) {
		return Scopes{}, &input.Error{Field: "scopes", Problem: fmt.Sprintf(format, args...), Want: scopeForm}
	}
	if len(text) > maxScopes {
		return wrong("are %d bytes long", len(text))
	}
	words := strings.Fields(text)
	if len(words) == 0 {
		return wrong("are missing")
	}
	for _, word := range words {
		one, err := parseScope(word)
		if err != nil {
			return wrong("have %q, which %v", word, err)
		}
		s.all = append(s.all, one)
		s.admin = s.admin || slices.Contains(one.verbs, Admin)
	}
	s.text = strings.Join(words, " ")
	return s, nil
}

func parseScope(word string) (s scope, err error) {
	verbs, names, about := strings.Cut(word, ":")
	nameless := 0
	for text := range strings.SplitSeq(verbs, ",") {
		verb := Verb(text)
		if !slices.Contains(Verbs(), verb) {
			return s, fmt.Errorf("has no verb %q", text)
		}
		if verb == Policies || verb == Admin {
			nameless++
		}
		s.verbs = append(s.verbs, verb)
	}
	switch {
	case nameless > 0 && nameless < len(s.verbs):
		return s, errors.New("mixes verbs that are about names with policies or admin")
	case nameless > 0 && about && names != "**":
		return s, errors.New("has names, but policies and admin are not about names")
	case nameless > 0:
		return s, nil
	case !about:
		return s, errors.New("does not say for which names; \":**\" is all of them")
	}
	patterns := strings.Split(names, ",")
	if s.names, err = pattern.Parse(patterns); err != nil {
		return s, fmt.Errorf("is wrong: %w", err)
	}
	return s, misplacedVerb(patterns)
}

// misplacedVerb refuses a pattern that looks like another scope after a comma instead of a
// space. As a pattern it would match no lock, and the missing permission would be noticed
// late.
func misplacedVerb(patterns []string) error {
	for _, p := range patterns {
		before, after, has := strings.Cut(strings.TrimPrefix(p, "!"), ":")
		if verb := Verb(before); has && slices.Contains(Verbs(), verb) {
			return fmt.Errorf(
				"has %q where a name is to be; scopes are separated by spaces, and a name that begins like that is written %q",
				p,
				unlikeAVerb(before)+":"+after,
			)
		}
	}
	return nil
}

// unlikeAVerb returns a pattern for the beginning of a name that looks like a verb.
func unlikeAVerb(word string) string { return word[:len(word)-1] + "*" }

// ScopeOf returns the scope that allows verb on the names that a pattern selects, such as
// one lock name, in the form of [ParseScopes].
func ScopeOf(verb Verb, selects string) string {
	if misplacedVerb([]string{selects}) != nil {
		word, after, _ := strings.Cut(selects, ":")
		selects = unlikeAVerb(word) + ":" + after
	}
	return string(verb) + ":" + selects
}

// String returns the scopes in the form of [ParseScopes].
func (s Scopes) String() string { return s.text }

// Admin reports whether the scopes allow everything, including changes of tokens.
func (s Scopes) Admin() bool { return s.admin }

func (s *Scopes) allow(verb Verb, name lock.Name) bool {
	if s.admin {
		return true
	}
	for i := range s.all {
		if one := &s.all[i]; slices.Contains(one.verbs, verb) && (one.names == nil || one.names.Match(name)) {
			return true
		}
	}
	return false
}

func (s *Scopes) some(verb Verb) bool {
	return s.admin || slices.ContainsFunc(s.all, func(one scope) bool { return slices.Contains(one.verbs, verb) })
}

func (s *Scopes) every(verb Verb) bool {
	return s.admin || slices.ContainsFunc(s.all, func(one scope) bool {
		return slices.Contains(one.verbs, verb) && (one.names == nil || one.names.All())
	})
}

func (s *Scopes) prefixes(verb Verb) []string {
	if s.admin {
		return []string{""}
	}
	var all []string
	for _, one := range s.all {
		if slices.Contains(one.verbs, verb) {
			all = append(all, one.names.Prefixes()...)
		}
	}
	slices.Sort(all)
	kept := all[:0]
	for _, prefix := range all {
		if len(kept) == 0 || !strings.HasPrefix(prefix, kept[len(kept)-1]) {
			kept = append(kept, prefix)
		}
	}
	return kept
}
