package documents_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

// readmeBlock is a fenced code block of the README.
type readmeBlock struct {
	language, text string
	background     bool // its command waits for one of a later block
}

var fenced = regexp.MustCompile("(?ms)^(<!-- in the background -->\n)?```([a-z]+)\n(.*?)^```$")

func readmeBlocks(t *testing.T) (readme string, blocks []readmeBlock) {
	t.Helper()
	return pageBlocks(t, octotest.Path("README.md"))
}

func pageBlocks(t *testing.T, path string) (page string, blocks []readmeBlock) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range fenced.FindAllStringSubmatch(string(text), -1) {
		blocks = append(blocks, readmeBlock{language: m[2], text: m[3], background: m[1] != ""})
	}
	return string(text), blocks
}

// What the README shows is run, against a real server, in order. What comes out has
// to be what it shows, but for numbers, times and secrets.
func TestReadmeTellsTheTruth(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds a policy for another platform")
	}
	octotest.NeedTools(t, "sh", "curl", "make", "go")
	t.Parallel()
	_, blocks := readmeBlocks(t)
	buildFreeze(t, t.TempDir()) // a first build for WebAssembly may take longer than a lease of this page lasts
	r := readmeRun{t: t, dir: t.TempDir(), mask: maskedReadme, env: policyBuildEnv(t)}
	ran := 0
	var server *octotest.Server
	for _, b := range blocks {
		switch {
		case strings.HasSuffix(b.text, "octostore serve\n"):
			if server != nil {
				r.wait() // for what waits in the background
				stopServer(t, server)
			}
			settings, _, _ := strings.Cut(b.text, "octostore serve")
			server = octotest.Start(t, r.dir, append(strings.Fields(settings), "XDG_CACHE_HOME="+t.TempDir())...)
			r.addr = server.Addr
			r.env = append(r.env, "OCTOSTORE_URL=http://"+r.addr)
		case b.language == "sh":
			r.script(b.text)
		case b.language == "console":
			r.console(b)
		case b.language == "go":
			r.isPartOf("ticket/main.go", b.text)
		case b.language == "json":
			r.write("policies.json", b.text)
		default:
			t.Errorf("nothing runs this %s block:\n%s", b.language, b.text)
		}
		ran++
	}
	r.wait()
	if ran < 16 {
		t.Errorf("only %d blocks were found", ran)
	}
}

// policyBuildEnv lets a page build a policy for WebAssembly without a network.
func policyBuildEnv(t *testing.T) []string {
	t.Helper()
	cache, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	return []string{
		"GOPROXY=off", "GOTOOLCHAIN=local", "GOFLAGS=", "GOWORK=off", "GOCACHE=" + strings.TrimSpace(string(cache)),
		"XDG_CACHE_HOME=" + t.TempDir(),
	}
}

func stopServer(t *testing.T, p *octotest.Server) {
	t.Helper()
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Wait(octotest.Patient); err != nil {
		t.Fatal(err)
	}
}

// isPartOf wants a block to be a part of a file that an earlier block made.
func (r *readmeRun) isPartOf(path, text string) {
	whole, err := os.ReadFile(filepath.Join(r.dir, path))
	if err != nil {
		r.t.Fatal(err)
	}
	if !strings.Contains(string(whole), text) {
		r.t.Errorf("%s does not contain this:\n%s\nbut is:\n%s", path, text, whole)
	}
}

// readmeRun runs blocks one after the other.
type readmeRun struct {
	t     *testing.T
	addr  string
	dir   string // where commands run
	env   []string
	lease string // the newest lease id that came out
	later []func()
	mask  func(string) string // replaces what is different in every run
}

const readmeAddr, readmeLease = "127.0.0.1:3000", "AAawP-UQAAHEsG6K9h6Zwvhr4Tdaq09I"

func (r *readmeRun) command(script string) *exec.Cmd {
	script = strings.ReplaceAll(script, readmeAddr, r.addr)
	script = strings.ReplaceAll(script, readmeLease, r.lease)
	script = strings.ReplaceAll(script, "bin/octostore", "octostore")
	script = strings.ReplaceAll(script, "sdk-examples/locks", octotest.Path("sdk-examples/locks")) // it runs in a folder of its own
	return octotest.Shell(r.t, r.dir, script, r.env...)
}

func (r *readmeRun) script(text string) {
	out, err := r.command(text).CombinedOutput()
	if err != nil {
		r.t.Errorf("%v\n%s\n%s", err, text, out)
	}
}

func (r *readmeRun) console(b readmeBlock) {
	input, want, _ := strings.Cut(strings.TrimPrefix(b.text, "$ "), "\n")
	// -s only keeps the progress meter out of what a terminal would not show.
	cmd := r.command(strings.Replace(input, "curl ", "curl -s ", 1))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	finish := func() {
		err := cmd.Wait()
		got, shown := abridged(impatience.ReplaceAllString(out.String(), ""), want)
		if err != nil || r.mask(got) != r.mask(shown) {
			r.t.Errorf("$ %s: %v\n got %s\nwant %s", input, err, out.String(), want)
		}
	}
	if b.background {
		r.untilAClientWaits()
		r.later = append(r.later, finish)
		return
	}
	finish()
	if m := leaseIDs.FindStringSubmatch(out.String()); m != nil {
		r.lease = m[1]
	}
}

// wait ends what was left in the background.
func (r *readmeRun) wait() {
	for _, finish := range r.later {
		finish()
	}
	r.later = nil
}

// leftOut is a line of JSON that stands for members that a page does not show.
var leftOut = regexp.MustCompile(`,?\n *…\n`)

// impatience is what octostore run says if the answer to its first request takes long, as on
// a busy machine.
var impatience = regexp.MustCompile(`(?m)^octostore: Waiting for \S+, \d+s\.\n`)

// abridged returns an answer and what a page shows of it in one form, if the page shows JSON
// over several lines: each on one line, the answer without the members that are left out.
func abridged(got, want string) (answer, shown string) {
	var g, w map[string]any
	if !strings.HasPrefix(want, "{\n") || decodeNumbers(got, &g) != nil || decodeNumbers(leftOut.ReplaceAllString(want, "\n"), &w) != nil {
		return got, want
	}
	if leftOut.MatchString(want) {
		g = onlyMembersOf(w, g)
	}
	return oneLine(g), oneLine(w)
}

func decodeNumbers(text string, to any) error {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	return d.Decode(to)
}

// onlyMembersOf returns object without the members that shown does not have.
func onlyMembersOf(shown, object map[string]any) map[string]any {
	kept := map[string]any{}
	for name, s := range shown {
		value, has := object[name]
		if !has {
			continue
		}
		inner, isObject := value.(map[string]any)
		if shownInner, is := s.(map[string]any); is && isObject {
			value = onlyMembersOf(shownInner, inner)
		}
		kept[name] = value
	}
	return kept
}

func oneLine(object map[string]any) string {
	text, err := json.Marshal(object)
	if err != nil {
		panic(err) // it was JSON before
	}
	return string(text)
}

func (r *readmeRun) untilAClientWaits() {
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		out, err := exec.Command("curl", "-s", "http://"+r.addr+"/v1/locks/deploy/prod").Output()
		if err == nil && bytes.Contains(out, []byte(`"waiters_total":1`)) {
			return
		}
	}
	r.t.Fatal("no client waits for the lock")
}

var (
	leaseIDs = regexp.MustCompile(`"lease_id":"([^"]*)"`)
	varying  = []*regexp.Regexp{
		regexp.MustCompile(`"lease_id":"[A-Za-z0-9_-]{32}"`),
		regexp.MustCompile(`"request_id":"[a-z0-9-]+"`),
		regexp.MustCompile(`"(?:granted_at|expires_at|time)":"[0-9T:.-]+Z"`),
		regexp.MustCompile(`"fencing_token":[0-9]{16}`),
		regexp.MustCompile(`from [0-9]{16} to [0-9]{16}`),
		regexp.MustCompile(`by [A-Za-z0-9_-]{43} vouch`),
		regexp.MustCompile(`made at [0-9T:-]+Z`),
		regexp.MustCompile(`"(?:expires_in|server|waited|held|retry_after)_ms":[0-9]+`),
	}
)

// masked replaces what is different in every run by its name.
func masked(answer string) string {
	answer = strings.TrimSpace(answer)
	for _, re := range varying {
		answer = re.ReplaceAllStringFunc(answer, func(s string) string {
			name, _, _ := strings.Cut(s, ":")
			return strings.Fields(name)[0] + ":…"
		})
	}
	return answer
}

// differingReadme is what the README shows that is different in every run, besides what
// [masked] knows.
var differingReadme = []*regexp.Regexp{
	regexp.MustCompile(`[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]+Z`),
	regexp.MustCompile(`token [0-9]{16}`),
	regexp.MustCompile(`[^ ]+@[^ ]+:[0-9]+@local`), // the holder that octostore run names by default
	regexp.MustCompile(`policy set [0-9a-f]{16}`),
	regexp.MustCompile(`[0-9.]+m?s +released`),
	regexp.MustCompile(`HELD +END`),
	regexp.MustCompile(`-  +-`),
}

func maskedReadme(output string) string {
	output = masked(output)
	for _, re := range differingReadme {
		output = re.ReplaceAllString(output, "#")
	}
	return spaces.ReplaceAllString(output, " ")
}

// The two commands of a newcomer, and every other target the README names, exist.
func TestReadmeNamesMakeTargetsThatExist(t *testing.T) {
	readme, _ := readmeBlocks(t)
	makefile, err := os.ReadFile(octotest.Path("Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("(?m)(?:^    |`)make ([a-z]+)(?:`|$)").FindAllStringSubmatch(readme, -1)
	if len(named) < 3 {
		t.Errorf("only %d are named", len(named))
	}
	for _, m := range named {
		if !regexp.MustCompile("(?m)^" + m[1] + ":").Match(makefile) {
			t.Errorf("make %s is not in the Makefile", m[1])
		}
	}
}

// The table of settings is that of octostore config --markdown.
func TestConfigurationPageHasTheRealSettings(t *testing.T) {
	page, _ := pageBlocks(t, configurationPage)
	table := octotest.Run(t, "config", "--markdown").Stdout
	if table == "" || !strings.Contains(page, table) {
		t.Errorf("want this table in docs/configuration.md:\n%s", table)
	}
}

var configurationPage = octotest.Path("docs/configuration.md")

// The commands in docs/configuration.md are run.
func TestConfigurationPageTellsTheTruth(t *testing.T) {
	octotest.NeedTools(t, "sh", "grep")
	_, blocks := pageBlocks(t, configurationPage)
	r := readmeRun{t: t, dir: t.TempDir(), mask: masked}
	for _, b := range blocks {
		if b.language == "console" {
			r.console(b)
		} else {
			r.script(b.text)
		}
	}
	if len(blocks) < 2 {
		t.Errorf("only %d blocks were found", len(blocks))
	}
}
