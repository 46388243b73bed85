package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// typed is a terminal on which a person has typed something.
type typed struct{ *strings.Reader }

func (typed) IsTerminal() bool { return true }

// A person is shown whose lease a break would end, and ends that one. A script is not asked.
func TestBreakAsksAPersonFirst(t *testing.T) {
	var broken []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.Method == http.MethodGet {
			fmt.Fprint(w, `{"locks":[{"name":"a","state":"held","waiters_total":2,"waiters":[],"lease":{"fencing_token":42,"account":"ci","holder":"h",`+
				`"reason":"r","expires_in_ms":47000,"granted_at":"2026-11-27T12:00:00Z","expires_at":"2026-11-27T12:01:00Z"}}],"next":""}`)
			return
		}
		broken = append(broken, r.FormValue("fencing_token"))
		fmt.Fprint(w, `{"name":"a","fencing_token":42,"held_ms":1000}`)
	}))
	defer server.Close()
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Setenv("OCTOSTORE_URL", server.URL)
	for _, tt := range []struct {
		in    string
		flags []string
		token string // of the break; no: there is none
		asks  bool
	}{
		{in: "y\n", token: "42", asks: true},
		{in: "YES\n", token: "42", asks: true},
		{in: "y\n", flags: []string{"--token", "7"}, token: "7", asks: true},
		{in: "n\n", token: "no", asks: true},
		{in: "\n", token: "no", asks: true},
		{in: "", token: "no", asks: true},
		{in: "n\n", flags: []string{"--yes"}, token: ""},
	} {
		broken = nil
		var out, errs bytes.Buffer
		args := append([]string{"break", "a", "--reason", "r"}, tt.flags...)
		code := execute(t.Context(), args, typed{strings.NewReader(tt.in)}, fakeTerminal{&out}, fakeTerminal{&errs})
		const question = "a: h@ci has held it for 13s and has it for 47s more (r); 2 waiters\nBreak it? [y/N] "
		if strings.Contains(errs.String(), question) != tt.asks {
			t.Errorf("%q %q: it says %q", tt.in, tt.flags, errs.String())
		}
		want := fmt.Sprint([]string{tt.token})
		if tt.token == "no" {
			want = "[]"
		}
		if fmt.Sprint(broken) != want || (code == 0) != (tt.token != "no") {
			t.Errorf("%q %q: broken with the tokens %q, want %s; exit %d", tt.in, tt.flags, broken, want, code)
		}
	}
	broken = nil
	if got := runCommand(t, "break", "a", "--reason", "r"); got.code != 0 || strings.Contains(got.err, "Break it?") || len(broken) != 1 {
		t.Errorf("a script: %+v, broken %q", got, broken)
	}
}

// Completion does not wait for a server that does not answer, and says nothing about it.
func TestCompletionDoesNotWaitForTheServer(t *testing.T) {
	leave := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-leave }))
	defer server.Close()
	defer close(leave)
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Setenv("OCTOSTORE_URL", server.URL)
	began := time.Now()
	got := runCommand(t, "__complete", "release", "dep")
	if got.code != 0 || got.out != ":4\n" || strings.Contains(got.err, "octostore:") || time.Since(began) > 20*time.Second {
		t.Errorf("after %s: %+v", time.Since(began), got)
	}
}
