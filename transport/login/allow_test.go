package login_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/octostore/octostore/transport/login"
	"github.com/octostore/octostore/transport/login/logintest"
)

func TestAllowThatIsWrong(t *testing.T) {
	for text, want := range map[string]string{
		"":                                    "allows no user",
		" ; ;":                                "allows no user",
		"alice=read:**":                       `part 1, "alice=read:**", which begins with none of user, org and team`,
		"user:a=read:**; group:b=read:**":     `part 2, "group:b=read:**", which begins with none`,
		"user:alice":                          "has no '='",
		"user:=read:**":                       `has "" for a name`,
		"user:../x=read:**":                   "has a '/'",
		"user:a b=read:**":                    `has "a b" for a name`,
		"org:a/b=read:**":                     "has a '/', which only teams have",
		"team:acme=read:**":                   "does not name a team",
		"team:acme/=read:**":                  "does not name a team",
		"team:acme/../x=read:**":              "does not name a team",
		"team:acme/..=read:**":                "does not name a team",
		"user:a@x=read:**":                    `has "x" for a number; https://api.github.com/users/a`,
		"user:a@=read:**":                     `has "" for a number`,
		"user:a@-1=read:**":                   `has "-1" for a number`,
		"user:a=":                             "gives scopes that are missing",
		"user:a=write:**":                     `has no verb "write"`,
		"user:a=read":                         "does not say for which names",
		"user:a=read:k=v":                     `gives scopes that have "read:k=v", which is wrong: "k=v" can match no name`,
		"user:a=admin; user:A=read:**":        "is about the same as one before",
		"user:a=" + strings.Repeat("r", 3000): "gives scopes that are 3000 bytes long",
		strings.Repeat("user:a=read:**;", 51): "is about the same",
		"user:a=read:" + strings.Repeat("a/", 700) + "b;user:b=read:" + strings.Repeat("a/", 700) + "b": "has scopes of 2813 bytes in all",
	} {
		_, err := login.ParseAllow(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: got %v, want %s", text, err, want)
		}
	}
}

func TestNamesWithoutNumbersAreKnown(t *testing.T) {
	a, err := login.ParseAllow("user:alice@1=read:**; org:acme = acquire,read:a/** break:a/x ; team:acme/ops=admin;")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := a.Unpinned(), []string{"org:acme", "team:acme/ops"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// The users who may log in, and their accounts.
func TestAllowedLogins(t *testing.T) {
	const orgs, team = "GET /api/v3/user/memberships/orgs/acme", "GET /api/v3/orgs/acme/teams/ops/memberships/Alice"
	for _, test := range []struct {
		name, allow string
		member      logintest.Member
		want        string // scopes; empty: refused
		asked       string // besides who it is
	}{
		{"by name, however it is written", "user:aLiCe=read:**", alice, "read:**", ""},
		{"by number, whatever they are called now", "user:bob@583231=read:**", alice, "read:**", ""},
		{"another one who has the name now", "user:alice@7=read:**", alice, "", ""},
		{"for names with colons and at signs", "user:alice@583231=acquire,read:@alice/**,Router-A:57400", alice, "acquire,read:@alice/**,Router-A:57400", ""},
		{"no entry for the user", "user:bob=admin", alice, "", ""},
		{"the beginning of a name", "user:alic=admin; user:alicee=admin", alice, "", ""},
		{"a member", "org:acme=read:**", alice, "read:**", orgs},
		{"a member, by number", "org:acme@9919=read:**", alice, "read:**", orgs},
		{"a member of another one with that name", "org:acme@9918=read:**", alice, "", orgs},
		{"not a member", "org:other=read:**", alice, "", "GET /api/v3/user/memberships/orgs/other"},
		{"invited only", "org:acme=admin", logintest.Member{ID: 9919, State: "pending"}, "", orgs},
		{"of the team", "team:acme/ops=admin", alice, "admin", orgs + " " + team},
		{"of the team of another organisation with that name", "team:acme@1/ops=admin", alice, "", orgs},
		{"invited to the team only", "team:acme/dev=admin", alice, "", orgs + " " + strings.ReplaceAll(team, "ops", "dev")},
		{"of the team, but only invited to the organisation", "team:acme/ops=admin",
			logintest.Member{ID: 9919, State: "pending", Teams: map[string]string{"ops": "active"}}, "", orgs},
		{"no such team", "team:acme/x=admin", alice, "", orgs + " " + strings.ReplaceAll(team, "ops", "x")},
		{"all that applies, once", "user:alice=read:a/**; org:acme=read:**; team:acme/ops=read:**; team:acme/dev=admin; user:bob=admin", alice,
			"read:a/** read:**", orgs + " " + team + " " + strings.ReplaceAll(team, "ops", "dev")},
	} {
		t.Run(test.name, func(t *testing.T) {
			fake := aliceAtGitHub()
			fake.Member["acme"] = test.member
			h := open(t, test.allow, fake)
			token, err := h.logIn(t)
			if test.want == "" && !errors.Is(err, login.ErrNotAllowed) || test.want != "" && err != nil {
				t.Errorf("got %v", err)
			}
			if err == nil && (token.Scopes.String() != test.want || token.Account != "github:alice.583231") {
				t.Errorf("got %q as %s, want %q", token.Scopes, token.Account, test.want)
			}
			if err == nil && token.Groups != groupsOf[test.name] {
				t.Errorf("got the groups %q, want %q", token.Groups, groupsOf[test.name])
			}
			if err != nil && len(h.tokens.List()) > 0 {
				t.Error("there is a token all the same")
			}
			asked := strings.Join(slices.DeleteFunc(fake.Asked(), func(line string) bool {
				return !strings.Contains(line, "/orgs/")
			}), " ")
			if asked != test.asked {
				t.Errorf("asked %q, want %q", asked, test.asked)
			}
		})
	}
}

// groupsOf says what the tokens of some cases above know of memberships, which is what GitHub was
// asked about. Where nothing was asked it is not known.
var groupsOf = map[string]string{
	"a member": "github:acme\n", "a member, by number": "github:acme\n",
	"of the team": "github:acme\ngithub:acme/ops\n", "all that applies, once": "github:acme\ngithub:acme/ops\n",
}

// A user who may log in without being a member of anything is known to be none.
func TestGroupsOfAUserWithoutAny(t *testing.T) {
	h := open(t, "user:alice=read:**; org:other=admin", aliceAtGitHub())
	token, err := h.logIn(t)
	if err != nil || token.Groups != "\n" {
		t.Errorf("%q, %v", token.Groups, err)
	}
}

// GitHub is asked for no more than is needed.
func TestAllowRequestsTheLeastScopes(t *testing.T) {
	for allow, want := range map[string]string{
		"user:alice=read:**":                     "",
		"org:acme=read:**":                       "read:org",
		"user:alice=read:**;team:acme/ops=admin": "read:org",
	} {
		if got := begin(t, open(t, allow, aliceAtGitHub())).asked.Get("scope"); got != want {
			t.Errorf("%s: asked for %q, want %q", allow, got, want)
		}
	}
}

func TestLoginURLs(t *testing.T) {
	for text, right := range map[string]bool{
		"https://github.com": true, "https://github.com/": true, "https://locks.example.com:8443": true,
		"HTTPS://Locks.Example.COM:443": true, "http://127.0.0.1:3000": true, "http://localhost": true, "http://[::1]:80": true,
		"http://locks.example.com": false, "http://127.0.0.1.example.com": false, "https://a@b": false, "https://a/b": false,
		"https://a?b": false, "https://a#b": false, "ftp://a": false, "a": false, "": false, "https://": false, "javascript:alert(1)": false,
	} {
		if _, err := login.CheckURL(text); (err == nil) != right {
			t.Errorf("%q: %v", text, err)
		}
	}
	for text, right := range map[string]bool{
		"https://a": true, "https://a/": true, "https://a/octo": true, "https://a/octo/": true, "https://a/x/octo-store_1.2": true,
		"http://localhost:3000/octo": true, "http://a/octo": false, "https://a//octo": false, "https://a/../octo": false,
		"https://a/o%2Fcto": false, "https://a/%3Cb%3E": false, "https://a/o cto": false, "https://a/octo?x": false,
	} {
		if _, err := login.CheckPublicURL(text); (err == nil) != right {
			t.Errorf("public URL %q: %v", text, err)
		}
	}
	// However it is written, it is what a browser sends as Host.
	for text, want := range map[string]string{
		"https://Locks.Example.COM:443/": "https://locks.example.com", "http://localhost:80": "http://localhost",
		"http://localhost:443": "http://localhost:443", "http://[::1]:80": "http://[::1]",
	} {
		if u, err := login.CheckURL(text); err != nil || u.String() != want {
			t.Errorf("%s is %v, %v; want %s", text, u, err, want)
		}
	}
}

func FuzzParseAllow(f *testing.F) {
	for _, s := range []string{"user:a@1=read:**; org:acme = acquire,read:a/** ; team:acme@2/ops=admin", "user:=;=:", "team:a/b/c@1=x", "org:a@1=read:@b/c@1,r:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := login.ParseAllow(s)
		if err == nil && len(a.Unpinned()) > strings.Count(s, "=") {
			t.Errorf("%q: more names than parts: %q", s, a.Unpinned())
		}
	})
}
