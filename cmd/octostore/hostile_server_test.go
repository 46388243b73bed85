package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/cmd/octostore/internal/session"
)

// attack is what a hostile server puts wherever a text may stand: it clears a screen,
// sets a title, goes back to the beginning of the line and turns the direction.
const attack = "HOSTILE\x1b[2J\x1b]0;title\x07\r\u009b2J\u202e\u2066\x7f"

// hostileAnswers are by path. $ stands for the attack.
var hostileAnswers = map[string]string{
	"/v1/tokens": `{"tokens":[{"id":"$","name":"$","account":"$","scopes":"$"}],
		"id":"$","account":"$","scopes":"$","token":"$"}`,
	"/v1/policies":        `{"policies":[{"name":"$","mode":"$","match":["$"],"hooks":["$"],"digest":"$","observer":{"after":"$"}}]}`,
	"/v1/policies/reload": `{"changes":"$"}`,
	"/v1/policies/explain": `{"name":"$","account":"$","verdict":"deny","by":"$","reason":"$","priority":"$","policies":[
		{"policy":"$","mode":"$","asked":true,"why":"$","verdict":"$","reason":"$","error":"$","priority":"$","notes":{"$":"$"},"logs":["$"]}]}`,
	"/v1/locks": `{"locks":[{"name":"x","state":"held","lease":{"account":"$","holder":"$","reason":"$","metadata":{"$":"$"}},
		"waiters_total":1,"waiters":[{"position":1,"account":"$","holder":"$","reason":"$","priority":"$"}]}],"next":"$"}`,
	"/v1/server": `{"version":"$","status":{"status":"$","degraded":["$"]}}`,
	"/v1/cluster": `{"node":"$","serving":{"node":"$","term":2,"since":"2026-01-02T15:04:05Z"},"nodes":[{"name":"$","url":"$","version":"$","policies":"$","policies_differ":true}],
		"takes":{"count":3}}`,
	"/v1/cluster/hand-over": `{"from":"$","term":1}`,
	"/v1/activity": `{"step_ms":0,"buckets":[{"at":"2026-01-02T15:04:05Z"}],"busiest":[{"name":"$"}],
		"longest":[{"name":"$","holder":"$","account":"$","waiting_since":"2026-01-02T15:04:05Z"}]}`,
	"/v1/locks/x/acquire": `{"name":"$","lease_id":"$","account":"$","holder":"$"}`,
	"/v1/locks/x/renew":   `{"name":"$","lease_id":"$","account":"$","holder":"$"}`,
	"/v1/locks/x/release": `{"name":"$"}`,
	"/v1/locks/x/break":   `{"name":"$"}`,
	"/v1/audit": `{"export":1,"verifiable":false,"key":"$"}` + "\n" +
		`{"seq":5,"time":"2026-01-02T15:04:05.000Z","kind":"granted","name":"$","token":5,"account":"$","holder":"$","reason":"$","ttl_ms":1000,"priority":"$","expires_at":"2026-01-02T15:04:06.000Z","remote_addr":"$","prev":"$"}` + "\n" +
		`{"seq":6,"time":"2026-01-02T15:04:05.500Z","kind":"denied","name":"$","account":"$","by":"$","cause":"$","verdicts":[{"policy":"$","verdict":"deny","reason":"$"}],"prev":"$"}` + "\n" +
		`{"end":true,"records":2,"last":"6","hash":"$"}` + "\n",
	"/v1/login/device":      `{"device_id":"x","user_code":"$","verification_uri":"$","interval_ms":1,"expires_in_ms":60000}`,
	"/v1/login/device/poll": `{"status":"complete","token":{"id":"$","account":"$","scopes":"$","token":"x"}}`,
	"/v1/logout":            `{"id":"$"}`,
}

// hostileDocument is a document with the attack in each text.
func hostileDocument(path string) string {
	if strings.HasPrefix(path, "/v1/tokens/") {
		path = "/v1/tokens"
	}
	// JSON may hold everything above the controls as it is.
	quoted := strings.NewReplacer("\x1b", `\u001b`, "\x07", `\u0007`, "\r", `\r`).Replace(attack)
	return strings.ReplaceAll(hostileAnswers[path], "$", quoted)
}

func hostileProblem(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		text, _ := json.Marshal(attack)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(strings.ReplaceAll(`{"title":$,"detail":$,"code":$,"field":$,"problem":$,"want":$,"policy":$,"reason":$,"oldest":$}`, "$", string(text))))
	}
}

// asksServer are the command lines that ask a server, and alone those that a hostile one
// can answer. %DIR% is a folder.
var asksServer = [][]string{
	{"token", "list", "--all"}, {"token", "list", "--json"},
	{"token", "create", "--admin"}, {"token", "create", "--admin", "--json"},
	{"token", "rotate", "x"}, {"token", "revoke", "x"},
	{"policy", "list"}, {"policy", "list", "--json"}, {"policy", "reload"},
	{"policy", "explain", "x"}, {"policy", "explain", "x", "--json"},
	{"policy", "replay", "%DIR%/hour.wasm", "--since", "all"},
	{"audit", "export"}, {"audit", "export", "--format", "csv"}, {"audit", "export", "-o", "%DIR%/out"},
	{"audit", "export", "-o", "%DIR%/again", "--state", "%DIR%/state"},
	{"audit", "leases"}, {"audit", "leases", "--format", "json"}, {"audit", "leases", "--format", "csv"},
	{"audit", "tail"}, {"audit", "tail", "--json"},
	{"cluster"}, {"cluster", "--json"}, {"cluster", "hand-over"},
	{"login"}, {"logout"}, {"backup", "%DIR%/copy"},
	{"show", "x"}, {"show", "x", "--json"}, {"list", "--limit", "1"}, {"list", "--limit", "1", "--json"},
	{"acquire", "x"}, {"acquire", "x", "--json"}, {"acquire", "x", "--shell"},
	{"renew", "x", "--lease", "1"}, {"release", "x", "--lease", "1"}, {"break", "x", "--reason", "r"}, {"watch"}, {"top", "--once"}, {"top", "--json"},
	{"run", "-nq", "x", "--", "go", "version"},
}

// asksNobody are the commands that ask no server, or only one of their own, or, like mcp, only
// for a program that reads their output.
var asksNobody = []string{
	"octostore", "serve", "demo", "demo cluster", "bench", "bench acquire", "bench handover", "bench status", "bench waiters", "bench locks", "bench ceiling", "bench compare",
	"bench ceiling-server", "config", "doctor", "restore", "store", "store copy", "mcp", "version", "help", "audit", "audit verify", "audit replay", "audit key",
	"token", "token secret", "policy", "policy new", "policy inspect", "policy test", "policy bench", "policy run",
	"profile", "profile list", "profile use", "profile remove",
	"healthcheck", // asks the server of the settings, and shows its status at most
	"mcp",         // asks when an agent calls a tool
	"completion", "completion bash", "completion zsh", "completion fish", "completion powershell",
}

func TestHostileServerCannotCommandTheTerminal(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"answers": func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(hostileDocument(r.URL.Path))) },
		"garbage": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(attack + "\n")) },
		"redirects": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "http://x/"+strings.ReplaceAll(attack, "\r", ""))
			w.WriteHeader(302)
		},
		"refusals": hostileProblem(403), "conflicts": hostileProblem(400), "gone": hostileProblem(410),
	} {
		t.Run(name, func(t *testing.T) {
			for _, line := range asksServer {
				hostileRun(t, name, handler, line)
			}
		})
	}
}

func hostileRun(t *testing.T, name string, handler http.Handler, line []string) {
	server := httptest.NewServer(handler)
	defer server.Close()
	dir := t.TempDir()
	octotest.WriteModule(t, filepath.Join(dir, "hour.wasm"), "hour")
	t.Setenv("XDG_CONFIG_HOME", dir)
	t.Setenv("OCTOSTORE_URL", server.URL)
	t.Setenv("OCTOSTORE_TOKEN", "")
	if line[0] == "logout" {
		if _, err := session.Keep(server.URL, session.Credential{Token: "x"}); err != nil {
			t.Fatal(err)
		}
	}
	var args []string
	for _, word := range line {
		args = append(args, strings.ReplaceAll(word, "%DIR%", dir))
	}
	var out, errs bytes.Buffer
	execute(t.Context(), args, strings.NewReader(""), fakeTerminal{&out}, fakeTerminal{&errs})
	shown := out.String() + errs.String()
	for _, r := range shown {
		if r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == unicode.ReplacementChar) {
			t.Errorf("%s: %s: it shows %U: %q", name, strings.Join(line, " "), r, shown)
			break
		}
	}
	// Output that is empty would pass the checks for nothing.
	if silent := []string{"audit export -o", "logout", "policy replay", "run", "acquire", "renew", "release", "break", "watch", "backup"}; name == "answers" && !strings.Contains(shown, "HOSTILE") &&
		!slices.ContainsFunc(silent, func(s string) bool { return strings.HasPrefix(strings.Join(line, " "), s) }) {
		t.Errorf("%s: %s: it shows nothing of the answer: %q", name, strings.Join(line, " "), shown)
	}
}

func TestHostileServerMeetsEveryCommandThatAsks(t *testing.T) {
	known := slices.Clone(asksNobody)
	for _, line := range asksServer {
		known = append(known, line[0])
		if len(line) > 1 {
			known = append(known, line[0]+" "+line[1])
		}
	}
	eachCommand(func(cmd *cobra.Command, words []string) {
		name := strings.Join(words, " ")
		if name == "" {
			name = "octostore"
		}
		if !slices.Contains(known, name) {
			t.Errorf("whether %q asks a server is not said", name)
		}
	})
}

// Output for programs is exactly what the server sent.
func TestHostileServerReachesFilesByteByByte(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(hostileDocument(r.URL.Path)))
	}))
	defer server.Close()
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Setenv("OCTOSTORE_URL", server.URL)
	want := hostileDocument("/v1/audit")
	if got := runCommand(t, "audit", "export"); got.out != want {
		t.Errorf("on the standard output %q, want %q", got.out, want)
	}
	file := filepath.Join(t.TempDir(), "out")
	runCommand(t, "audit", "export", "-o", file)
	if got, err := os.ReadFile(file); string(got) != want {
		t.Errorf("in the file %q (%v), want %q", got, err, want)
	}
}

// A server that does not answer is asked after, not explained in the words of a library.
func TestServerDownIsAskedAfter(t *testing.T) {
	server := httptest.NewServer(nil)
	target := strings.Replace(server.URL, "http://", "http://user:hunter2@", 1)
	server.Close()
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Setenv("OCTOSTORE_URL", target)
	dir := t.TempDir()
	octotest.WriteModule(t, filepath.Join(dir, "hour.wasm"), "hour")
	for _, line := range asksServer {
		if line[0] == "logout" {
			continue // it is not logged in
		}
		var args []string
		for _, word := range line {
			args = append(args, strings.ReplaceAll(word, "%DIR%", dir))
		}
		got := runCommand(t, args...)
		if got.code != 69 || !strings.Contains(got.err, "is the server running? OCTOSTORE_URL=http://") ||
			strings.Contains(got.err, "Get ") || strings.Contains(got.err, "Post ") || strings.Contains(got.err, "hunter2") {
			t.Errorf("octostore %s: exit %d, %q", strings.Join(line, " "), got.code, got.err)
		}
	}
}
