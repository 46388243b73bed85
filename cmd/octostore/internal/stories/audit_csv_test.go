package stories_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/exitcode"
	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

// csvServer is a server with records that are hard on readers of CSV.
func csvServer(t *testing.T) *octotest.Server {
	t.Helper()
	p := octotest.Start(t, t.TempDir())
	for _, query := range []string{
		`holder=ci-1&reason=one,+two+"three"&meta.ticket=OPS-7`,
		`holder=%3Dcmd()&reason=%C3%A4+%7B%22a%22:%5B1,2%5D%7D`,
		`holder=%23+no+comment&reason='`,
	} {
		octotest.Expect(t, octotest.Call("POST", p.Addr, "/v1/locks/x/acquire?ttl=1h&"+strings.ReplaceAll(query, `"`, "%22")), 200, "")
		octotest.Expect(t, octotest.Call("POST", p.Addr, "/v1/locks/x/break?reason=-1"), 200, "")
	}
	return p
}

// The rows are read by what people read CSV with, as they are: seven of them, with the
// names of the columns before.
func TestCSVExportIsReadByPythonAndSQLite(t *testing.T) {
	p := csvServer(t)
	t.Setenv("OCTOSTORE_URL", "http://"+p.Addr)
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	dir := t.TempDir()
	file := filepath.Join(dir, "a.csv")
	if got := octotest.Run(t, "audit", "export", "--format", "csv", "-o", file, "--kind", "granted,broken"); exitcode.Code(got.Code) != exitcode.OK {
		t.Fatalf("%+v", got)
	}
	written, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if served := octotest.Call("GET", p.Addr, "/v1/audit?format=csv&kind=granted,broken").Body; served != string(written) {
		t.Errorf("the server sends\n%s\nthe command writes\n%s", served, written)
	}
	const want = "granted|ci-1|one, two \"three\"|{\"ticket\":\"OPS-7\"}\nbroken|ci-1||{\"ticket\":\"OPS-7\"}\n" +
		"granted|'=cmd()|ä {\"a\":[1,2]}|\nbroken|'=cmd()||\n" +
		"granted|# no comment|'|\nbroken|# no comment||\n"
	for name, command := range map[string][]string{
		"python3": {"python3", "-c", `
import csv, sys
for r in csv.DictReader(open(sys.argv[1], newline='', encoding='utf-8'), strict=True):
    assert len(r) == 28 and None not in r, r
    print(r['kind'], r['holder'], r['reason'] if r['kind'] == 'granted' else '', r['metadata'], sep='|')`, file},
		"sqlite3": {"sqlite3", "-bail", ":memory:", ".mode csv", ".import " + file + " a", ".mode list",
			"SELECT kind, holder, CASE kind WHEN 'granted' THEN reason ELSE '' END, metadata FROM a ORDER BY CAST(seq AS INTEGER)"},
	} {
		t.Run(name, func(t *testing.T) {
			octotest.NeedTools(t, command[0])
			out, err := exec.Command(command[0], command[1:]...).CombinedOutput()
			if got := strings.ReplaceAll(string(out), "\r", ""); err != nil || got != want {
				t.Errorf("%v\n%s\nwant\n%s", err, got, want)
			}
		})
	}
	if got := octotest.Run(t, "audit", "verify", file); exitcode.Code(got.Code) != exitcode.Tampered || !strings.Contains(got.Stderr, "in CSV, which cannot be verified") {
		t.Errorf("verifying it: %+v", got)
	}
}

// Rows cannot say that some are missing. The exit code of the command does, and no file is
// left that looks complete.
func TestCSVExportThatIsIncompleteFails(t *testing.T) {
	const whole = `{"export":1,"verifiable":false,"key":"k"}` + "\n" +
		`{"seq":5,"time":"2026-01-02T15:04:05.000Z","kind":"granted","name":"x","token":5,"account":"a","holder":"h","ttl_ms":1000,"expires_at":"2026-01-02T15:04:06.000Z","remote_addr":"127.0.0.1:9","prev":"p"}` + "\n" +
		`{"seq":6,"time":"2026-01-02T15:04:05.500Z","kind":"denied","name":"x","account":"a","by":"p","cause":"c","prev":"q"}` + "\n" +
		`{"end":true,"records":2,"last":"6","hash":"h"}` + "\n"
	for name, test := range map[string]struct {
		body string
		want exitcode.Code
	}{
		"whole":           {whole, exitcode.OK},
		"no closing line": {whole[:strings.LastIndex(whole, `{"end"`)], exitcode.Failed},
		"half a record":   {whole[:len(whole)/2], exitcode.Failed},
		"nothing":         {"", exitcode.Failed},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.FormValue("format") != "" {
					t.Errorf("it asks for %s", r.URL)
				}
				_, _ = w.Write([]byte(test.body))
			}))
			defer server.Close()
			t.Setenv("OCTOSTORE_URL", server.URL)
			t.Setenv("XDG_CONFIG_HOME", t.TempDir())
			file := filepath.Join(t.TempDir(), "a.csv")
			got := octotest.Run(t, "audit", "export", "--format", "csv", "-o", file)
			if _, err := os.Stat(file); exitcode.Code(got.Code) != test.want || (err == nil) != (test.want == exitcode.OK) {
				t.Errorf("%+v, file: %v", got, err)
			}
			if out := octotest.Run(t, "audit", "export", "--format", "csv"); exitcode.Code(out.Code) != test.want {
				t.Errorf("to the standard output: %+v", out)
			}
		})
	}
}

func TestVerifyTellsTamperedMissingAndUsageApart(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "a.ndjson")
	p := octotest.Start(t, t.TempDir())
	whole := octotest.Call("GET", p.Addr, "/v1/audit").Body
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		name, text string
		args       []string
		want       exitcode.Code
	}{
		{"whole", whole, []string{file}, exitcode.OK},
		{"changed", strings.Replace(whole, "started", "stopped", 1), []string{file}, exitcode.Tampered},
		{"cut off", whole[:len(whole)-10], []string{file}, exitcode.Tampered},
		{"empty", "", []string{file}, exitcode.Tampered},
		{"filtered", octotest.Call("GET", p.Addr, "/v1/audit?prefix=x").Body, []string{file}, exitcode.Tampered},
		{"missing", whole, []string{file + "x"}, exitcode.Missing},
		{"no file named", whole, nil, exitcode.Usage},
		{"no key", whole, []string{"--key", "short", file}, exitcode.Usage},
	} {
		t.Run(test.name, func(t *testing.T) {
			write(test.text)
			for _, command := range []string{"verify", "replay"} {
				if got := octotest.Run(t, append([]string{"audit", command}, test.args...)...); exitcode.Code(got.Code) != test.want {
					t.Errorf("audit %s: exit %d, want %d: %s", command, exitcode.Code(got.Code), test.want, got.Stderr)
				}
			}
		})
	}
}
