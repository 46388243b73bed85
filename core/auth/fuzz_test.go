package auth

import (
	"testing"

	"github.com/octostore/octostore/core/lock"
)

// Whatever is taken for scopes is written so that it is read as the same again, and
// no principal may do to a name what its prefixes exclude.
func FuzzScopes(f *testing.F) {
	for _, text := range []string{"acquire,read:team-a/**", "read:**,!a/* break:x", "admin", "policies audit:a*b/**", ":", "read:", "read:!a", "a:b:c", "read:Router-A:57400,@types/*,~a+b", "acquire,read:arn:aws:s3:::x/**,!**/*@old", "read:acquire:x"} {
		f.Add(text, "team-a/x")
		f.Add(text, "acquire:@x/+1")
	}
	f.Fuzz(func(t *testing.T, text, name string) {
		s, err := ParseScopes(text)
		if err != nil {
			return
		}
		again, err := ParseScopes(s.String())
		if err != nil || again.String() != s.String() {
			t.Fatalf("%q is written as %q: %v", text, s, err)
		}
		parsed, err := lock.ParseName(name)
		if err != nil {
			return
		}
		for _, verb := range Verbs() {
			if verb == Policies || verb == Admin {
				continue
			}
			if narrow, err := ParseScopes(ScopeOf(verb, name)); err != nil || !narrow.allow(verb, parsed) || narrow.some(Admin) {
				t.Errorf("%s on %s is allowed by %q: %v", verb, name, ScopeOf(verb, name), err)
			}
		}
		p := Principal{scopes: &s}
		for _, verb := range Verbs() {
			may := p.May(verb, parsed)
			if may != (Principal{scopes: &again}).May(verb, parsed) || may && !p.MaySome(verb) || p.MayAll(verb) && !may {
				t.Errorf("%q: %s %s: %v", text, verb, name, may)
			}
			if may && verb != Policies && verb != Admin && !begins(name, p.Prefixes(verb)) {
				t.Errorf("%q: %s may be %s, but does not begin as one of %q", text, name, verb, p.Prefixes(verb))
			}
		}
	})
}

func begins(name string, prefixes []string) bool {
	for _, prefix := range prefixes {
		if len(name) >= len(prefix) && name[:len(prefix)] == prefix {
			return true
		}
	}
	return false
}

func FuzzHoldsSecret(f *testing.F) {
	f.Add("octo_", "x")
	f.Add("", "octo_octo_")
	secret := NewSecret()
	f.Fuzz(func(t *testing.T, before, after string) {
		if !HoldsSecret(before + secret + after) {
			t.Errorf("it is not found between %q and %q", before, after)
		}
		_ = HoldsSecret(before + after)
	})
}
