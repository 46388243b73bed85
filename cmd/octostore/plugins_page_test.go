package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const pluginsPage = "../../docs/plugins.md"

// What docs/plugins.md shows is run in order: a policy is begun, built without a
// network, tested, looked at, loaded, and rules.
func TestThePageOfPoliciesTellsTheTruth(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds a policy for another platform")
	}
	needTools(t, "sh", "curl", "make", "go")
	_, blocks := pageBlocks(t, pluginsPage)
	cache, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	compiled := "XDG_CACHE_HOME=" + t.TempDir()
	r := readmeRun{t: t, dir: t.TempDir(), mask: maskedPage, env: []string{
		"GOPROXY=off", "GOTOOLCHAIN=local", "GOFLAGS=", "GOWORK=off", "GOCACHE=" + strings.TrimSpace(string(cache)), compiled,
	}}
	ran := 0
	for _, b := range blocks {
		switch {
		case strings.HasSuffix(b.text, " octostore serve\n"):
			variable, _, _ := strings.Cut(b.text, " ")
			r.addr = newProcess(t, r.dir, variable, compiled).Addr
			r.env = append(r.env, "OCTOSTORE_URL=http://"+r.addr)
		case b.language == "console":
			r.console(b)
		case strings.HasPrefix(b.text, `{"policies"`):
			r.write("policies.json", b.text)
		case b.language == "go":
			r.contains("ticket/main.go", b.text)
		case b.language == "json":
			r.contains("ticket/fixtures/ticket.json", b.text)
		default:
			t.Errorf("nothing runs this %s block:\n%s", b.language, b.text)
		}
		ran++
	}
	if ran < 12 {
		t.Errorf("only %d blocks were found", ran)
	}
}

func (r *readmeRun) write(path, text string) {
	if err := os.WriteFile(filepath.Join(r.dir, path), []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// contains fails unless a file has what the page says it has.
func (r *readmeRun) contains(path, text string) {
	whole, err := os.ReadFile(filepath.Join(r.dir, path))
	if err != nil {
		r.t.Error(err)
	} else if !strings.Contains(string(whole), text) {
		r.t.Errorf("%s does not have what the page says:\n%s", path, text)
	}
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

// Every member of a manifest, of a fixture and of a request, and every tool, is on the
// page.
func TestThePageOfPoliciesNamesEverything(t *testing.T) {
	page, err := os.ReadFile(pluginsPage)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for path, pattern := range map[string]string{
		"../../hooks/manifest.go":        `\{"([a-z_0-9]+)", &p\.`,
		"internal/policytool/fixture.go": `"([a-z_]+)": +&`,
		"internal/policytool/request.go": `"([a-z_]+)": +&r\.[a-z]+[,}A-Z]`,
	} {
		source, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(source), -1) {
			found++
			if !strings.Contains(string(page), "`"+m[1]+"`") && !strings.Contains(string(page), `{"`+m[1]+`"`) {
				t.Errorf("%s of %s is not on the page", m[1], path)
			}
		}
	}
	if found < 30 {
		t.Errorf("only %d members were found", found)
	}
	for _, c := range policyCommand().Commands() {
		if !strings.Contains(string(page), "octostore policy "+c.Name()) {
			t.Errorf("octostore policy %s is not on the page", c.Name())
		}
	}
}
