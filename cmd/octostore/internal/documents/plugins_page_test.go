package documents_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

// The pages about policies. The blocks of the later ones go on where the tutorial ends.
var (
	tutorialPage         = octotest.Path("docs/plugins.md")
	policyReferencePage  = octotest.Path("docs/policy-reference.md")
	policyOperationsPage = octotest.Path("docs/policy-operations.md")
	policyPages          = []string{tutorialPage, policyReferencePage, policyOperationsPage}
)

// The blocks of the pages about policies are run in order: a policy is created, edited,
// built without a network, tested, loaded, explained and enforced.
func TestPolicyPagesTellTheTruth(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds a policy for another platform")
	}
	octotest.NeedTools(t, "sh", "curl", "make", "go")
	cache, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	compiled := "XDG_CACHE_HOME=" + t.TempDir()
	r := readmeRun{t: t, dir: t.TempDir(), mask: maskedPage, env: []string{
		"GOPROXY=off", "GOTOOLCHAIN=local", "GOFLAGS=", "GOWORK=off", "GOCACHE=" + strings.TrimSpace(string(cache)), compiled,
	}}
	for _, page := range policyPages {
		_, blocks := pageBlocks(t, page)
		for _, b := range blocks {
			switch {
			case strings.HasSuffix(b.text, " octostore serve\n"):
				variable, _, _ := strings.Cut(b.text, " ")
				r.addr = octotest.Start(t, r.dir, variable, compiled).Addr
				r.env = append(r.env, "OCTOSTORE_URL=http://"+r.addr)
			case b.language == "console":
				r.console(b)
			case b.language == "sh":
				r.script(b.text)
			case strings.HasPrefix(b.text, `{"policies"`):
				r.write("policies.json", b.text)
			case b.language == "go":
				r.replaceCheck("ticket/main.go", b.text)
			case b.language == "json":
				r.write("ticket/fixtures/team.json", b.text)
			default:
				t.Errorf("%s: nothing runs this %s block:\n%s", page, b.language, b.text)
			}
		}
		if want := map[string]int{tutorialPage: 13, policyReferencePage: 4, policyOperationsPage: 1}[page]; len(blocks) < want {
			t.Errorf("%s has %d blocks, want at least %d", page, len(blocks), want)
		}
	}
}

func (r *readmeRun) write(path, text string) {
	if err := os.WriteFile(filepath.Join(r.dir, path), []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// replaceCheck replaces the function check, the last one of a scaffold.
func (r *readmeRun) replaceCheck(path, text string) {
	whole, err := os.ReadFile(filepath.Join(r.dir, path))
	if err != nil {
		r.t.Fatal(err)
	}
	before, _, found := strings.Cut(string(whole), "func check(")
	if !found || !strings.HasPrefix(text, "func check(") {
		r.t.Fatalf("%s has no function check to replace by:\n%s", path, text)
	}
	r.write(path, before+text)
}

// differing is what the tools print that depends on the machine, the day, or the
// release of Go.
var differing = []*regexp.Regexp{
	regexp.MustCompile(`\b[0-9a-f]{64}\b|\b[0-9a-f]{16}…|\b[0-9a-f]{12}$`),
	regexp.MustCompile(`(?m)^(?:size|memory|a call|an empty one|ratio|fuel|a start) .*$`),
	regexp.MustCompile(`[0-9]+ fuel\b|"fuel": [0-9]+|seed [0-9]+|record [0-9]{16}|\t(?:[0-9.]+s|\(cached\))`),
	regexp.MustCompile(`[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}`),
	regexp.MustCompile(`(acquire +[0-9]+ +[0-9]+ +[0-9]+) +[0-9]+ +[0-9]+ `), // fuel in the list
}

// A digest may begin with a digit, so it comes before the numbers.
var digits = regexp.MustCompile(`[0-9a-f]{12,}|[0-9.]+|µ?n?m?s\b`)

var spaces = regexp.MustCompile(`[ \t]+`)

// maskedPage replaces the numbers in what differs, and the spaces that align them.
func maskedPage(output string) string {
	output = masked(output)
	for _, re := range differing {
		output = re.ReplaceAllStringFunc(output, func(s string) string { return digits.ReplaceAllString(s, "#") })
	}
	return spaces.ReplaceAllString(output, " ")
}

// Every member of a manifest, of a fixture and of a request, every kind of error, and
// every command with its flags is in the reference.
func TestPolicyReferenceNamesEverything(t *testing.T) {
	text, err := os.ReadFile(policyReferencePage)
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	found := 0
	for path, pattern := range map[string]string{
		"hooks/internal/manifest/manifest.go":                  `\{"([a-z_0-9]+)", &p\.`,
		"hooks/policy.go":                                      `(?:fault\{| = )"([a-z_]+)"`,
		"cmd/octostore/internal/policytool/fixture/fixture.go": `"([a-z_0-9]+)": +&`,
		"cmd/octostore/internal/policytool/fixture/request.go": `"([a-z_]+)": +&r\.[A-Za-z.]+[,}]`,
		"cmd/octostore/internal/policytool/fuel.go":            `json:"(set|needs)`,
		"cmd/octostore/internal/policytool/run.go":             `json:"(fuel_advice)`,
	} {
		source, err := os.ReadFile(octotest.Path(path))
		if err != nil {
			t.Fatal(err)
		}
		matches := regexp.MustCompile(pattern).FindAllStringSubmatch(string(source), -1)
		if len(matches) == 0 {
			t.Errorf("%s has no member", path)
		}
		for _, m := range matches {
			found++
			if !strings.Contains(page, "`"+m[1]+"`") && !strings.Contains(page, `"`+m[1]+`":`) {
				t.Errorf("%s of %s is not on the page", m[1], path)
			}
		}
	}
	if found < 50 {
		t.Errorf("only %d members were found", found)
	}
	_, list, _ := strings.Cut(octotest.Run(t, "policy", "--help").Stdout, "Available Commands:\n")
	commands := regexp.MustCompile(`(?m)^  ([a-z]+) `).FindAllStringSubmatch(list, -1)
	if len(commands) < 8 {
		t.Errorf("only %d commands were found", len(commands))
	}
	for _, c := range commands {
		if !strings.Contains(page, "octostore policy "+c[1]) {
			t.Errorf("octostore policy %s is not on the page", c[1])
		}
		help, _, _ := strings.Cut(octotest.Run(t, "policy", c[1], "--help").Stdout, "\nServer:\n") // those are on the page about settings
		for _, f := range regexp.MustCompile(`(?m)^ +(?:-[a-z], )?--([a-z-]+)`).FindAllStringSubmatch(help, -1) {
			if f[1] != "help" && f[1] != "verbose" && !strings.Contains(page, "`--"+f[1]) { // -v
				t.Errorf("--%s of octostore policy %s is not on the page", f[1], c[1])
			}
		}
	}
}

// Every metric of policies and observers is on the page for operators, and every
// metric on the page exists.
func TestPolicyOperationsPageNamesEveryMetric(t *testing.T) {
	text, err := os.ReadFile(policyOperationsPage)
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`octostore_[a-z_]+`).FindAllString(string(text), -1)
	var there []string
	for _, path := range []string{"policies.go", "policy_health.go", "table.go", "metrics.go"} {
		source, err := os.ReadFile(octotest.Path("transport/internal/metrics/" + path))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`"(octostore_[a-z_]+)"`).FindAllStringSubmatch(string(source), -1) {
			there = append(there, m[1])
			if strings.HasPrefix(path, "polic") && !slices.Contains(named, m[1]) {
				t.Errorf("%s is not on the page", m[1])
			}
		}
	}
	if len(there) < 15 {
		t.Errorf("only %d metrics were found", len(there))
	}
	for _, name := range named {
		if !slices.Contains(there, name) {
			t.Errorf("%s is no metric", name)
		}
	}
}
