package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/transport/api"
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

// The eval of the output fails in whatever form the flag was given, as it has no exit code.
func TestAcquireForEvalFailsInEveryForm(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Setenv("OCTOSTORE_URL", "http://127.0.0.1:1")
	for flag, want := range map[string]string{
		"--shell": "{ :\n}\n(exit 69)\n", "--shell=true": "{ :\n}\n(exit 69)\n", "--shell=1": "{ :\n}\n(exit 69)\n", "--shell=yes": "(exit 64)\n",
		"--shell=false": "", "--quiet": "", "--shells": "",
	} {
		if got := runCommand(t, "acquire", "a", flag); got.out != want || got.code == 0 {
			t.Errorf("%s prints %q, exit %d; want %q", flag, got.out, got.code, want)
		}
	}
}

const printedLease = "AAawP-UQAAHEsG6K9h6Zwvhr4Tdaq09I"

// full is an output to a full disk.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

// A lease whose id no one has seen is given back, unless a key gets it again.
func TestAcquireThatCannotPrintHoldsNothing(t *testing.T) {
	var released []string
	status := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if strings.HasSuffix(r.URL.Path, "/release") {
			released = append(released, r.Header.Get(api.HeaderLease))
			w.WriteHeader(status)
			fmt.Fprint(w, `{"name":"a","fencing_token":42,"held_ms":1}`)
			return
		}
		fmt.Fprint(w, `{"name":"a","lease_id":"`+printedLease+`","fencing_token":42,"ttl_ms":60000,"expires_in_ms":60000,`+
			`"granted_at":"2026-11-27T12:00:00Z","expires_at":"2026-11-27T12:01:00Z"}`)
	}))
	defer server.Close()
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Setenv("OCTOSTORE_URL", server.URL)
	const key = "0123456789abcdef"
	for _, tt := range []struct {
		flags    []string
		status   int
		released int
		says     string
	}{
		{nil, 200, 1, "no space left on device; the lock was released\n"},
		{[]string{"--json"}, 200, 1, "no space left on device; the lock was released\n"},
		{[]string{"--json"}, 500, 1, "no space left on device; the lock stays held for 1m0s: "},
		{[]string{"--shell"}, 200, 0, "no space left on device\n"}, // noticed before
		{[]string{"--idempotency-key", key}, 200, 0, "no space left on device\n"},
	} {
		released, status = nil, tt.status
		var errs bytes.Buffer
		code := execute(t.Context(), append([]string{"acquire", "a"}, tt.flags...), strings.NewReader(""), full{}, &errs)
		if code == 0 || len(released) != tt.released || !strings.Contains(errs.String(), tt.says) {
			t.Errorf("%q: exit %d, released %q, says %q; want %q", tt.flags, code, released, errs.String(), tt.says)
		}
		if len(released) > 0 && released[0] != printedLease {
			t.Errorf("released %q", released)
		}
	}
}
