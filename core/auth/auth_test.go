package auth

import (
	"strings"
	"testing"

	"github.com/octostore/octostore/core/lock"
)

func scopes(t *testing.T, text string) Scopes {
	t.Helper()
	s, err := ParseScopes(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestScopesAllowWhatTheySayAndNothingElse(t *testing.T) {
	for _, tt := range []struct {
		scopes  string
		yes, no string // verb:name
	}{
		{"acquire,read:team-a/**", "acquire:team-a/x read:team-a/x/y", "acquire:team-a read:team-b/x break:team-a/x audit:team-a/x policies: admin:"},
		{"acquire:a/** read:**", "acquire:a/x read:b", "acquire:b break:a/x"},
		{"read:**,!secret/**", "read:a read:secret", "read:secret/x"},
		{"read:**,!secret/** read:secret/mine", "read:secret/mine", "read:secret/yours"},
		{"policies", "policies:", "admin: read:a audit:a"},
		{"audit:**", "audit:a", "read:a"},
		{"admin", "admin: policies: acquire:a read:a break:a audit:a", ""},
		{"admin:**", "admin: read:a", ""},
		{"acquire,read:arn:aws:s3:::*/**,!**/*@old", "read:arn:aws:s3:::b/x acquire:arn:aws:s3:::b/@x", "read:arn read:arn:aws:s3:::b read:arn:aws:s3:::b/x@old"},
		{"read:@types/* acquire:Router-A:57400,~a+b", "read:@types/node acquire:Router-A:57400 acquire:~a+b", "read:Router-A:57400 acquire:Router-A acquire:57400 acquire:@types/node"},
		{"read:acquir*:x", "read:acquire:x", "acquire:x read:acquire read:x"},
	} {
		p := Principal{scopes: new(scopes(t, tt.scopes))}
		for _, want := range []struct {
			asked string
			yes   bool
		}{{tt.yes, true}, {tt.no, false}} {
			for _, asked := range strings.Fields(want.asked) {
				verb, name, _ := strings.Cut(asked, ":")
				if p.May(Verb(verb), lock.Name(name)) != want.yes {
					t.Errorf("%s: %s is %v", tt.scopes, asked, !want.yes)
				}
			}
		}
	}
}

func TestPrincipalZeroMayDoNothing(t *testing.T) {
	var nobody Principal
	for _, verb := range Verbs() {
		if nobody.May(verb, "a") || nobody.MaySome(verb) || nobody.MayAll(verb) || nobody.Prefixes(verb) != nil {
			t.Errorf("the zero Principal may %s", verb)
		}
		if p := (Principal{scopes: &Scopes{}}); p.May(verb, "a") || p.MaySome(verb) {
			t.Errorf("no scopes allow to %s", verb)
		}
	}
}

func TestPrincipalSomeAllAndPrefixes(t *testing.T) {
	for _, tt := range []struct {
		scopes    string
		some, all bool // of audit
		prefixes  string
	}{
		{"audit:**", true, true, `""`},
		{"audit:**,!a/**", true, false, `""`},
		{"audit:a/** audit:**", true, true, `""`},
		{"audit:b/**,a/** audit:a/x read:c", true, false, `"a/" "b/"`},
		{"audit:a*,ab,ac,b", true, false, `"a" "b"`},
		{"read:**", false, false, ""},
		{"admin", true, true, `""`},
	} {
		p := Principal{scopes: new(scopes(t, tt.scopes))}
		var prefixes []string
		for _, prefix := range p.Prefixes(Audit) {
			prefixes = append(prefixes, `"`+prefix+`"`)
		}
		if got := strings.Join(prefixes, " "); p.MaySome(Audit) != tt.some || p.MayAll(Audit) != tt.all || got != tt.prefixes {
			t.Errorf("%s: some %v, all %v, prefixes %s", tt.scopes, p.MaySome(Audit), p.MayAll(Audit), got)
		}
	}
}

func TestScopesNameTheirMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"":                        "are missing",
		"  ":                      "are missing",
		"acquire":                 "does not say for which names",
		"aquire:a":                `has no verb "aquire"`,
		"acquire,:a":              `has no verb ""`,
		":a":                      `has no verb ""`,
		"acquire:":                "empty segment",
		"acquire:/a":              "empty segment",
		"acquire:!a":              "includes anything",
		"acquire:a b":             `has no verb "b"`,
		"acquire,admin:a":         "mixes",
		"admin:a/**":              "not about names",
		"acquire:a//b":            "empty segment",
		"acquire:a%2Fb":           "can match no name",
		"acquire:a=b":             "can match no name",
		"read:a,acquire:b/**":     `"acquire:b/**" where a name is to be; scopes are separated by spaces, and a name that begins like that is written "acquir*:b/**"`,
		"acquire:read:a":          `"read:a" where a name is to be`,
		"read:**,!break:a":        `"!break:a" where a name is to be`,
		strings.Repeat("x", 3000): "3000 bytes long",
	} {
		_, err := ParseScopes(text)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "scopes ") {
			t.Errorf("%.20q: %v, want %s", text, err, want)
		}
	}
	if got := scopes(t, " acquire,read:a/**,!a/b   admin ").String(); got != "acquire,read:a/**,!a/b admin" {
		t.Errorf("written as %q", got)
	}
}

func TestSecretIsKnownByItsForm(t *testing.T) {
	secret := NewSecret()
	if secret == NewSecret() || !wellFormed(secret) || len(secret) != 53 || !HoldsSecret("a="+secret+"&b=octo_c") {
		t.Fatalf("%s", secret)
	}
	for i := range secret {
		other := byte('A')
		if secret[i] == other {
			other = 'B'
		}
		changed := secret[:i] + string(other) + secret[i+1:]
		if wellFormed(changed) || HoldsSecret(changed) {
			t.Errorf("a character of %s changed: %s", secret, changed)
		}
	}
	for _, no := range []string{"", "octo_", secret[5:], secret[:52], "octo_octo_octo_", "octo_" + secret[6:]} {
		if HoldsSecret(no) {
			t.Errorf("%q", no)
		}
	}
	if !HoldsSecret("octo_octo_" + secret) {
		t.Error("it is not found behind another beginning")
	}
}
