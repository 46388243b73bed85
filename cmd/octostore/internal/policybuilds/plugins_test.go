package policybuilds_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/cmd/octostore/internal/policytool"
	"github.com/octostore/octostore/cmd/octostore/internal/policytool/fixture"
	"github.com/octostore/octostore/hooks"
)

// bundled are the policies that come with OctoStore, each with the request of which
// its README shows the refusal; empty: it refuses none.
var bundled = map[string]string{
	"approval":   `{"lock": {"name": "prod/db"}, "account": "ci-7"}`,
	"audit":      "",
	"freeze":     `{"lock": {"name": "prod/db"}, "now_ms": 1767538800000}`,
	"incident":   `{"lock": {"name": "prod/db/main"}, "account": "ci-7", "locks": {"incident/db": {"held": true, "account": "alice"}}}`,
	"lane":       "",
	"maxttl":     `{"lock": {"name": "strict/db"}}`,
	"namepolicy": `{"lock": {"name": "prod/db"}, "account": "ci-7"}`,
	"naming":     `{"lock": {"name": "prod/DB"}}`,
	"nobreak":    `{"hook": "break", "lock": {"name": "prod/db/main", "held": true, "account": "ci-6"}, "account": "ci-7"}`,
	"quota":      `{"lock": {"name": "prod/db"}, "account": "ci-1", "account_held": {"prod/": 2}}`,
	"require":    `{"lock": {"name": "prod/db"}}`,
}

// Every bundled policy, built as `make plugins` builds it, loads by the entry of its
// README, answers its fixtures, and goes on doing so within the defaults of a manifest.
func TestBundledPolicies(t *testing.T) {
	if testing.Short() {
		t.Skip("compilers take their time")
	}
	dir, cache := t.TempDir(), t.TempDir()
	folders, err := filepath.Glob(octotest.Path("plugins/*/main.go"))
	if err != nil || len(folders) != len(bundled) {
		t.Fatalf("there are %d policies, the table has %d (%v)", len(folders), len(bundled), err)
	}
	for name := range bundled {
		t.Run(name, func(t *testing.T) {
			module := buildPolicy(t, name, dir)
			page, err := os.ReadFile(octotest.Path("plugins/" + name + "/README.md"))
			if err != nil {
				t.Fatal(err)
			}
			config := loadsByItsREADME(t, string(page), dir, cache)
			limits := policytool.Limits{CacheDir: cache}
			refusesAsItsREADMESays(t, string(page), module, limits, config, bundled[name])
			fixtures := octotest.Path("plugins/" + name + "/fixtures")
			answersItsFixtures(t, module, limits, fixtures)
			goesOnAnswering(t, module, limits, fixtures)
		})
	}
}

// askedFor is a row of the table of what people ask for: the words, a policy, and a file of
// its fixtures.
var askedFor = regexp.MustCompile(`(?m)^\| ([^|]+) \| \[(\w+)\]\((\w+)/README\.md\) \| \[([\w-]+)\]\((\w+)/fixtures/([\w-]+)\.json\) \|$`)

// Each of the ten policies people ask for is a bundled one, with fixtures that show it.
func TestPoliciesPeopleAskFor(t *testing.T) {
	page, err := os.ReadFile(octotest.Path("plugins/README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "## The policies people ask for")
	table, _, _ = strings.Cut(table, "\n## ")
	rows := askedFor.FindAllStringSubmatch(table, -1)
	if lines := strings.Count(table, "\n| ") - 1; len(rows) != 10 || lines != len(rows) {
		t.Errorf("the table has %d rows, of which %d name a policy and its fixtures; want 10", lines, len(rows))
	}
	for _, row := range rows {
		what, policy, fixture := row[1], row[2], row[4]
		if _, there := bundled[policy]; !there || row[3] != policy || row[5] != policy || row[6] != fixture {
			t.Errorf("%s: names %s, and links %s, %s and %s", what, policy, row[3], row[5], row[6])
			continue
		}
		cases := 0
		for _, f := range fixturesOf(t, octotest.Path("plugins/"+policy+"/fixtures")) {
			if filepath.Base(f.Path) == fixture+".json" {
				cases = len(f.Cases)
			}
		}
		if cases < 4 {
			t.Errorf("%s: %s/fixtures/%s.json has %d cases; want 4 at least", what, policy, fixture, cases)
		}
	}
	for name := range bundled {
		if !strings.Contains(string(page), "| ["+name+"]("+name+"/README.md) | ") {
			t.Errorf("the list of policies has no %s", name)
		}
	}
}

// buildPolicy builds plugins/NAME into a directory.
func buildPolicy(t *testing.T, name, dir string) policytool.Module {
	t.Helper()
	path := filepath.Join(dir, name+".wasm")
	// One at a time: a c-shared build takes one package. The flags are those of the
	// Makefile, so that both find what the other has built in the cache.
	build := exec.Command("go", "build", "-buildmode=c-shared", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", path, "./plugins/"+name)
	build.Dir = octotest.Root()
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	module, err := policytool.ReadModule(path)
	if err != nil {
		t.Fatal(err)
	}
	return module
}

// loadsByItsREADME has a host load the entry that a README shows, and returns its
// configuration.
func loadsByItsREADME(t *testing.T, page, dir, cache string) []byte {
	t.Helper()
	m := regexp.MustCompile("(?s)```json\n(.*?)```").FindStringSubmatch(page)
	if m == nil {
		t.Fatal("the README has no entry")
	}
	manifest := filepath.Join(dir, "policies.json")
	if err := os.WriteFile(manifest, []byte(`{"policies": [`+m[1]+`]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	host, err := hooks.Open(t.Context(), hooks.Config{Manifest: manifest, CacheDir: cache})
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	rules := host.Policies()
	if len(rules) != 1 || rules[0].Fuel != hooks.DefaultFuel || rules[0].MemoryMiB != hooks.DefaultMemoryMiB {
		t.Errorf("it wants more than the defaults: %+v", rules)
	}
	return rules[0].Config
}

func refusesAsItsREADMESays(t *testing.T, page string, module policytool.Module, limits policytool.Limits, config []byte, request string) {
	t.Helper()
	if request == "" {
		return
	}
	_, sees, _ := strings.Cut(page, "## What the caller sees")
	m := regexp.MustCompile(`(?m)\*(.+)\*$`).FindStringSubmatch(sees)
	if m == nil {
		t.Fatal("the README does not show what the caller sees")
	}
	c, err := fixture.ParseRequest([]byte(request))
	if err != nil {
		t.Fatal(err)
	}
	got, err := policytool.Run(t.Context(), module, limits, config, c)
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.ReplaceAll(m[1], `\*`, "*"); got.Verdict != "deny" || got.Reason != want {
		t.Errorf("the README says %q, the policy %+v", want, got)
	}
}

func answersItsFixtures(t *testing.T, module policytool.Module, limits policytool.Limits, dir string) policytool.TestReport {
	t.Helper()
	report, err := policytool.Test(t.Context(), module, limits, fixturesOf(t, dir), 1)
	if err != nil {
		t.Fatal(err)
	}
	if report.Cases == 0 {
		t.Error("there are no cases")
	}
	for _, f := range report.Files {
		for _, failure := range f.Failures {
			t.Errorf("%s: %s", f.Path, failure)
		}
		for _, c := range f.Cases {
			for _, failure := range c.Failures {
				t.Errorf("%s: %s: %s", f.Path, c.Name, failure)
			}
		}
	}
	return report
}

// goesOnAnswering puts many requests to a policy. It needs at most a tenth of the fuel and
// half of the memory that are the defaults, so that there is room for larger configurations and a collector's turn.
func goesOnAnswering(t *testing.T, module policytool.Module, limits policytool.Limits, dir string) {
	t.Helper()
	bench, err := policytool.Bench(t.Context(), module, limits, policytool.BenchConfig{Calls: 50_000, Fixtures: fixturesOf(t, dir)})
	if err != nil {
		t.Fatal(err)
	}
	if bench.Verdicts["error"] > 0 || bench.Replaced > 0 || bench.Fuel.Max > hooks.DefaultFuel/10 || bench.MemoryEnd > hooks.DefaultMemoryMiB<<20/2 {
		t.Errorf("after many calls: %+v", bench)
	}
}

func fixturesOf(t *testing.T, dir string) []fixture.File {
	t.Helper()
	fixtures, err := fixture.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	return fixtures
}
