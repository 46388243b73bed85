package documents_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

var (
	monitoringPage = octotest.Path("docs/monitoring.md")
	dashboardFile  = octotest.Path("deploy/grafana/octostore.json")
	prometheusDir  = octotest.Path("deploy/prometheus")

	updateTables = flag.Bool("update", false, "write the tables of docs/monitoring.md again")
)

// measured returns the metrics of a server with policies, one of which observes, after a
// request: some series begin with it.
func measured(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	octotest.WriteModule(t, filepath.Join(dir, "hour.wasm"), "hour")
	octotest.WriteModule(t, filepath.Join(dir, "watcher.wasm"), "watcher")
	manifest := filepath.Join(dir, "policies.json")
	err := os.WriteFile(manifest, []byte(`{"policies":[{"name":"hour","module":"hour.wasm","match":["**"]},
		{"name":"watcher","module":"watcher.wasm","match":["**"],"hooks":["observe"]}]}`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	s := octotest.Start(t, dir, "OCTOSTORE_POLICIES="+manifest)
	var got octotest.Answer
	octotest.WaitUntil(t, "a request is counted", func() bool { // the first scrape, if not before
		got = octotest.Call("GET", s.Addr, "/metrics")
		return strings.Contains(got.Body, "octostore_http_requests_total{")
	})
	return got.Body
}

var (
	helpLine   = regexp.MustCompile(`(?m)^# HELP (octostore_\w+) (.*)\n# TYPE \w+ (\w+)`)
	seriesName = regexp.MustCompile(`\b(?:octostore|process|go)_[a-z_]+`)
)

// seriesTable is the table of series for the page.
func seriesTable(metrics string) string {
	var b strings.Builder
	b.WriteString("| series | type | labels | meaning |\n|---|---|---|---|\n")
	for _, m := range helpLine.FindAllStringSubmatch(metrics, -1) {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", m[1], m[3], labelsOf(metrics, m[1]), strings.ReplaceAll(m[2], "|", `\|`))
	}
	return b.String()
}

// labelsOf returns the labels of a series, besides those of its type.
func labelsOf(metrics, series string) string {
	found := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^`+series+`(?:_bucket|_sum|_count)?\{(.*)\}`).FindAllStringSubmatch(metrics, -1) {
		for _, l := range regexp.MustCompile(`(\w+)="`).FindAllStringSubmatch(m[1], -1) {
			if l[1] != "le" {
				found["`"+l[1]+"`"] = true
			}
		}
	}
	return strings.Join(slices.Sorted(maps.Keys(found)), ", ")
}

// alertsTable is the table of alerts for the page.
func alertsTable(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("| alert | severity | says |\n|---|---|---|\n")
	for _, a := range alerts(t) {
		says := strings.ReplaceAll(a.summary, "{{ $labels.instance }}", "…")
		says = regexp.MustCompile(`\{\{ \$labels\.(\w+) \}\}`).ReplaceAllString(says, "$1")
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", a.name, a.severity, says)
	}
	return b.String()
}

type alert struct{ name, expr, severity, summary, runbook string }

var alertRule = regexp.MustCompile(`(?ms)^      - alert: (\w+)\n        expr: >-\n(.*?)\n(?:        for: \w+\n)?` +
	`        labels:\n          severity: (\w+)\n        annotations:\n          summary: "(.*?)"\n          description: >-\n(.*?)\n(?:      - |\z)`)

// alerts returns the alerts of alerts.yml.
func alerts(t *testing.T) (all []alert) {
	t.Helper()
	text := read(t, filepath.Join(prometheusDir, "alerts.yml"))
	for _, part := range strings.Split(text, "\n      - alert: ")[1:] {
		m := alertRule.FindStringSubmatch("      - alert: " + strings.TrimSuffix(part, "\n") + "\n")
		if m == nil {
			t.Fatalf("this alert is not in the form of the others:\n%s", part)
		}
		all = append(all, alert{m[1], m[2], m[3], m[4], m[5]})
	}
	if len(all) < 20 {
		t.Fatalf("only %d alerts were found", len(all))
	}
	return all
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Every series of a server and every alert is on the page, with its text. With -update the
// tables are written again.
func TestMonitoringPageHasEverySeriesAndAlert(t *testing.T) {
	page := read(t, monitoringPage)
	for name, table := range map[string]string{"series": seriesTable(measured(t)), "alerts": alertsTable(t)} {
		begin, end := "<!-- "+name+" -->\n", "<!-- end of "+name+" -->\n"
		before, rest, ok1 := strings.Cut(page, begin)
		was, after, ok2 := strings.Cut(rest, end)
		if !ok1 || !ok2 {
			t.Fatalf("the page has no place for the %s", name)
		}
		if was != table {
			t.Errorf("the %s of the page are not those of the server; run this test with -update. Want:\n%s", name, table)
		}
		page = before + begin + table + end + after
	}
	if *updateTables {
		if err := os.WriteFile(monitoringPage, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// The commands of the page are run, in their order.
func TestMonitoringPageTellsTheTruth(t *testing.T) {
	octotest.NeedTools(t, "sh", "curl", "promtool")
	_, blocks := pageBlocks(t, monitoringPage)
	r := readmeRun{t: t, dir: t.TempDir(), mask: masked}
	r.addr = octotest.Start(t, r.dir).Addr
	ran := 0
	for _, b := range blocks {
		if b.language == "sh" {
			r.script(b.text)
			ran++
		}
	}
	if ran < 4 {
		t.Errorf("only %d blocks were found", ran)
	}
	octotest.Expect(t, octotest.Call("GET", r.addr, "/readyz"), 503, "draining")
}

// panel is what the tests look at of a panel of the dashboard.
type panel struct {
	Title   string
	Type    string
	Targets []struct{ Expr string }
	GridPos struct{ X, Y, W, H int }
}

func dashboard(t *testing.T) (panels []panel) {
	t.Helper()
	var board struct {
		Panels     []panel
		Templating struct{ List []struct{ Name string } }
	}
	if err := json.Unmarshal([]byte(read(t, dashboardFile)), &board); err != nil {
		t.Fatal(err)
	}
	if v := board.Templating.List; len(v) != 2 || v[0].Name != "datasource" || v[1].Name != "instance" {
		t.Errorf("the variables are %+v", v)
	}
	return board.Panels
}

// expressions returns all expressions of dashboard and alerts, by where they are.
func expressions(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, p := range dashboard(t) {
		for i, target := range p.Targets {
			all[fmt.Sprintf("panel %q, %d", p.Title, i)] = target.Expr
		}
	}
	for _, a := range alerts(t) {
		all["alert "+a.name] = a.expr
	}
	return all
}

// Each series in the dashboard and the alerts is one of a running server.
func TestDashboardAndAlertsUseSeriesThatExist(t *testing.T) {
	metrics := measured(t)
	for where, expr := range expressions(t) {
		if where == "alert OctoStoreDown" {
			continue // of Prometheus itself
		}
		named := seriesName.FindAllString(expr, -1)
		if len(named) == 0 {
			t.Errorf("%s has no series: %s", where, expr)
		}
		for _, name := range named {
			if !regexp.MustCompile(`(?m)^` + name + `[ {]`).MatchString(metrics) {
				t.Errorf("%s: %s does not exist", where, name)
			}
		}
	}
}

// Each expression of the dashboard is one of Prometheus, with values for the variables.
func TestDashboardExpressionsParse(t *testing.T) {
	octotest.NeedTools(t, "promtool")
	var rules strings.Builder
	rules.WriteString("groups:\n  - name: dashboard\n    rules:\n")
	for where, expr := range expressions(t) {
		if strings.HasPrefix(where, "alert") {
			continue
		}
		expr = strings.NewReplacer("$__rate_interval", "1m", "$instance", ".*").Replace(expr)
		fmt.Fprintf(&rules, "      - record: %s\n        expr: %q\n", "a:b"+fmt.Sprint(rules.Len()), expr)
	}
	file := filepath.Join(t.TempDir(), "rules.yml")
	if err := os.WriteFile(file, []byte(rules.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "check", "rules", file)
}

func promtool(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "promtool", args...)
	cmd.Dir = prometheusDir
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out.String())
	}
}

// Panels do not overlap, and fill rows of 24 columns at most.
func TestDashboardPanelsDoNotOverlap(t *testing.T) {
	taken := map[[2]int]string{}
	for _, p := range dashboard(t) {
		g := p.GridPos
		if g.W < 1 || g.H < 1 || g.X < 0 || g.X+g.W > 24 {
			t.Errorf("%q is at %+v", p.Title, g)
		}
		for x := g.X; x < g.X+g.W; x++ {
			for y := g.Y; y < g.Y+g.H; y++ {
				if other, is := taken[[2]int{x, y}]; is {
					t.Fatalf("%q overlaps %q", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
}

// Each alert fires when it should and not otherwise, as alerts_test.yml has it, and says what
// to do.
func TestAlertsFireWhenTheyShould(t *testing.T) {
	cases := read(t, filepath.Join(prometheusDir, "alerts_test.yml"))
	for _, a := range alerts(t) {
		for _, part := range []string{`instance="` + a.name + ".fires", `instance="` + a.name + ".quiet", "alertname: " + a.name + "\n"} {
			if !strings.Contains(cases, part) {
				t.Errorf("the cases of %s have no %s", a.name, part)
			}
		}
		if len(a.runbook) < 80 {
			t.Errorf("%s does not say what to do: %s", a.name, a.runbook)
		}
	}
	octotest.NeedTools(t, "promtool")
	promtool(t, "check", "rules", "alerts.yml")
	promtool(t, "test", "rules", "alerts_test.yml")
	promtool(t, "check", "config", "prometheus.yml")
}
