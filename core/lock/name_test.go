package lock

import (
	"errors"
	"os"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/core/input"
)

func TestNameIsParsed(t *testing.T) {
	seg := strings.Repeat("s", MaxSegment)
	for _, good := range []string{
		"a", "deploy/prod", "A.b-c_9", "a/b/c/d", seg, "...", ".hidden", "acquire/it", "acquired", "renew.x",
		"acquire", "refs/heads/release", "orders/queue", "prod/history", "break/renew",
		"~", ":", "@", "+", "-", "@types/node", "Router-A:57400", "release/1.0+build5", "a:b:c", "~user/job", "..hidden", "env:/prod",
		seg + "/" + seg + "/" + strings.Repeat("s", MaxName-2*(MaxSegment+1)),
	} {
		if n, err := ParseName(good); err != nil || string(n) != good {
			t.Errorf("%q: %v", good, err)
		}
	}
	for bad, problem := range map[string]string{
		"":                       "is empty",
		"/":                      "empty segment",
		"/a":                     "empty segment",
		"a/":                     "empty segment",
		"a//b":                   "empty segment",
		".":                      `segment "."`,
		"a/../b":                 `segment ".."`,
		"a/.":                    `segment "."`,
		"a b":                    `has the character ' ' at byte 2`,
		"a\nb":                   `has the character '\n' at byte 2`,
		"ä":                      "has the character U+00E4 'ä' at byte 1",
		"deploy/größe":           "has the character U+00F6 'ö' at byte 10",
		"a\u200bb":               "has the character U+200B at byte 2",
		"x/y\xe4":                `has the byte \xe4 at byte 4`,
		"\xf0\x9f":               `has the byte \xf0 at byte 1`,
		"a\ufffd":                "has the character U+FFFD '\ufffd' at byte 2",
		"a%2Fb":                  `has the character '%' at byte 2`,
		seg + "x":                "segment of 201 bytes",
		"a/" + seg + "x/b":       "segment of 201 bytes",
		strings.Repeat("a", 513): "513 bytes",
	} {
		_, err := ParseName(bad)
		var input *input.Error
		if !errors.As(err, &input) || input.Field != "name" || !strings.Contains(input.Problem, problem) || input.Want == "" {
			t.Errorf("%q: got %v, want a problem with %q", bad, err, problem)
		}
	}
}

// Every byte is in a name or it is not, wherever it stands. What scopes, settings and
// patterns are cut at is in none.
func TestNameBytes(t *testing.T) {
	for c := range 256 {
		in := strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~:@+-", rune(c)) && c < 128
		for _, name := range []string{"x" + string([]byte{byte(c)}) + "x", "y/" + string([]byte{byte(c)}) + "x"} {
			if _, err := ParseName(name); (err == nil) != (in || c == '/' && name[0] == 'x') {
				t.Errorf("%q: %v", name, err)
			}
		}
	}
}

// The names of testdata/real_names.tsv are those that programs and people have used for
// locks elsewhere: what a name is of, the name, and ok or what is wrong with it here.
func TestNameAsTheyAreInUse(t *testing.T) {
	for _, r := range realNames(t) {
		n, err := ParseName(r.name)
		switch {
		case r.problem == "ok" && (err != nil || string(n) != r.name):
			t.Errorf("%s, %q: %v", r.of, r.name, err)
		case r.problem != "ok" && (err == nil || !strings.Contains(err.Error(), r.problem)):
			t.Errorf("%s, %q: got %v, want a problem with %q", r.of, r.name, err, r.problem)
		}
	}
}

type realName struct{ of, name, problem string }

func realNames(t testing.TB) (all []realName) {
	text, err := os.ReadFile("testdata/real_names.tsv")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(cells) != 3 {
			t.Fatalf("%q has %d cells, want 3", line, len(cells))
		}
		all = append(all, realName{cells[0], cells[1], cells[2]})
	}
	if len(all) < 50 {
		t.Fatalf("only %d names", len(all))
	}
	return all
}

func FuzzParseName(f *testing.F) {
	for _, s := range []string{"a/b", "", "a//b", "..", "acquire", "a/é", "\xff", "@a/b+c", "r:57400", "~/x", "a/./b", "a,b", "k=v"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseName(s)
		if err != nil {
			return
		}
		if string(n) != s || len(s) > MaxName || strings.ContainsAny(s, " \n\r\t%\\\"'#?,;=*!") || strings.Contains(s, "//") || path.Clean("/"+s) != "/"+s {
			t.Errorf("accepted %q as %q", s, n)
		}
		if err := CheckPrefix(s); err != nil {
			t.Errorf("the name %q is not a prefix of itself: %v", s, err)
		}
	})
}

func TestBoundsOfWhatARequestSays(t *testing.T) {
	many := map[string]string{}
	for i := range MaxMetadata + 1 {
		many[strings.Repeat("k", i+1)] = ""
	}
	for _, c := range []struct {
		field string
		err   error
	}{
		{"ttl", CheckTTL(999*time.Millisecond, time.Hour)},
		{"ttl", CheckTTL(time.Hour+1, time.Hour)},
		{"ttl", CheckTTL(-time.Second, time.Hour)},
		{"metadata", CheckMetadata(many)},
		{"metadata", CheckMetadata(map[string]string{"a b": ""})},
		{"metadata", CheckMetadata(map[string]string{"a:b": ""})},
		{"metadata", CheckMetadata(map[string]string{"größe": ""})},
		{"metadata", CheckMetadata(map[string]string{strings.Repeat("k", 65): ""})},
		{"metadata", CheckMetadata(map[string]string{"": ""})},
		{"meta.k", CheckMetadata(map[string]string{"k": "a\x00b"})},
		{"meta.k", CheckMetadata(map[string]string{"k": strings.Repeat("v", 513)})},
		{"prefix", CheckPrefix("a b")},
		{"prefix", CheckPrefix(strings.Repeat("a", 513))},
	} {
		var wrong *input.Error
		if !errors.As(c.err, &wrong) || wrong.Field != c.field || wrong.Problem == "" || wrong.Want == "" {
			t.Errorf("got %v, want an input error for %s", c.err, c.field)
		}
	}
	for what, err := range map[string]error{
		"least ttl":    CheckTTL(time.Second, time.Hour),
		"longest ttl":  CheckTTL(time.Hour, time.Hour),
		"metadata":     CheckMetadata(map[string]string{"ticket.id_1-a": "OPS-7", "JobURL": "https://ci/job/1", strings.Repeat("K", 64): ""}),
		"empty prefix": CheckPrefix(""),
		"half segment": CheckPrefix("deploy/p"),
		"whole prefix": CheckPrefix("@types/node+x~:"),
	} {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestAttemptIsItsKeyAndWhatItAsksFor(t *testing.T) {
	const key = "0123456789abcdef"
	attempt := func(key string, ttl time.Duration, holder string, meta map[string]string, confirm ...time.Duration) Attempt {
		t.Helper()
		a, err := NewAttempt(key, ttl, append(confirm, 0)[0], holder, meta)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	base := attempt(key, time.Minute, "h", map[string]string{"a": "1", "b": "2"})
	if base != attempt(key, time.Minute, "h", map[string]string{"b": "2", "a": "1"}) {
		t.Error("the same twice differs")
	}
	for what, other := range map[string]Attempt{
		"ttl":                attempt(key, time.Hour, "h", map[string]string{"a": "1", "b": "2"}),
		"holder":             attempt(key, time.Minute, "i", map[string]string{"a": "1", "b": "2"}),
		"confirm":            attempt(key, time.Minute, "h", map[string]string{"a": "1", "b": "2"}, 15*time.Second),
		"metadata":           attempt(key, time.Minute, "h", map[string]string{"a": "1"}),
		"where a value ends": attempt(key, time.Minute, "h", map[string]string{"a": "1b2"}),
	} {
		if other.Key != base.Key || other.Params == base.Params {
			t.Errorf("another %s is not seen", what)
		}
	}
	if !attempt("", time.Minute, "", nil).IsZero() {
		t.Error("no key is an attempt")
	}
	for _, bad := range []string{"short", strings.Repeat("k", 129), "0123456789abcde f", "0123456789abcdé"} {
		if _, err := NewAttempt(bad, time.Minute, 0, "", nil); err == nil {
			t.Errorf("key %q is accepted", bad)
		}
	}
}

func TestRecentForgetsTheOldestFirst(t *testing.T) {
	now := time.Unix(0, 0)
	r := newRecent[string, int](time.Minute, 2)
	has := func(k string) bool { _, ok := r.get(now, k); return ok }
	r.add(now, "a", 1)
	r.add(now.Add(time.Second), "b", 2)
	r.add(now.Add(2*time.Second), "c", 3)
	if has("a") || !has("b") || !has("c") {
		t.Error("of three it keeps not the newest two")
	}
	r.takeBack(1)
	if has("c") || !has("b") {
		t.Error("what was taken back is still there, or more than that is gone")
	}
	now = now.Add(61 * time.Second)
	if has("b") || len(r.known) != 0 {
		t.Error("after its time it is still there")
	}
}
