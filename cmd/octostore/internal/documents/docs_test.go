package documents_test

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/core/lock"
)

func auditPage(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile(octotest.Path("docs/audit.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

// The rule in docs/audit.md is enough to check an export in another language: the page
// does so itself.
func TestAuditPageChecksAnExport(t *testing.T) {
	octotest.NeedTools(t, "python3")
	m := regexp.MustCompile("(?s)```python\n(.*?)```").FindStringSubmatch(auditPage(t))
	if m == nil {
		t.Fatal("there is no check in the page")
	}
	server := octotest.Start(t, t.TempDir())
	for _, name := range []string{"a", "b", "ä"} {
		octotest.Call("POST", server.Addr, "/v1/locks/x/acquire?ttl=1h&holder=%C3%A4"+name)
		octotest.Expect(t, octotest.Call("POST", server.Addr, "/v1/locks/x/break?reason=%22quoted%22"), 200, "")
	}
	first := octotest.Call("GET", server.Addr, "/v1/audit?limit=3").Body
	cursor := octotest.Member(t, first, "last")
	whole := first + octotest.Call("GET", server.Addr, "/v1/audit?after="+cursor).Body
	check := func(export string) error {
		python := exec.Command("python3", "-c", m[1])
		python.Stdin = strings.NewReader(export)
		out, err := python.CombinedOutput()
		if err != nil {
			t.Logf("%s", out)
		}
		return err
	}
	if err := check(whole); err != nil {
		t.Errorf("it refuses what is right: %v", err)
	}
	lines := strings.SplitAfter(whole, "\n")
	for what, changed := range map[string]string{
		"a change":        strings.Replace(whole, "quoted", "changed", 1),
		"a missing line":  strings.Join(slices.Delete(slices.Clone(lines), 2, 3), ""),
		"a missing end":   strings.Join(lines[:len(lines)-2], ""),
		"a filtered file": octotest.Call("GET", server.Addr, "/v1/audit?prefix=x").Body,
	} {
		if check(changed) == nil {
			t.Errorf("it does not notice %s", what)
		}
	}
}

func TestAuditPageNamesEveryKindAndMember(t *testing.T) {
	page := auditPage(t)
	for _, kind := range lock.Kinds() {
		if !regexp.MustCompile("[` ]" + string(kind) + "[` ]").MatchString(page) {
			t.Errorf("the kind %s is not in the page", kind)
		}
	}
	// Some members are known from what reads them, the others from what writes them.
	written := regexp.MustCompile("`json:\"([a-z_]+)\"`|append[A-Za-z]*\\(b, \"([a-z_]+)\"|,\"([a-z_]+)\":")
	members := map[string]bool{}
	for _, file := range []string{"record.go", "verdicts.go", "seal.go"} {
		source, err := os.ReadFile(octotest.Path("core/journal/record/" + file))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range written.FindAllStringSubmatch(string(source), -1) {
			members[m[1]+m[2]+m[3]] = true
		}
	}
	if len(members) < 40 {
		t.Fatalf("only %d members were found", len(members))
	}
	for m := range members {
		if !strings.Contains(page, "`"+m+"`") {
			t.Errorf("the member %s is not in the page", m)
		}
	}
}
