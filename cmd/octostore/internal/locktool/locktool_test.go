package locktool_test

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/exitcode"
	"github.com/octostore/octostore/cmd/octostore/internal/locktool"
	"github.com/octostore/octostore/cmd/octostore/internal/terminal"
	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/client"
)

var noon = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// hostile are texts that do something in a shell or to a table, if they are let.
var hostile = []string{
	"", "plain", "it's", `'"'"'`, "$(touch pwned)", "`touch pwned`", "; touch pwned", "a\ntouch pwned\n", "'; touch pwned; '",
	`\'; touch pwned; \'`, "$OCTOSTORE_TOKEN ${HOME}", "!!", "*", "~", "\\", "'", "''", "&& touch pwned", "ä€😀", "\x1b[2J", "-n", "a\tb",
}

// What a shell evaluates is the text again, and nothing is run.
// shells are the commands of the POSIX shells of this machine; sh is everywhere.
func shells() (found [][]string) {
	for _, shell := range [][]string{{"sh"}, {"bash"}, {"dash"}, {"busybox", "sh"}} {
		if _, err := exec.LookPath(shell[0]); err == nil {
			found = append(found, shell)
		}
	}
	return found
}

func TestShellQuotingIsInert(t *testing.T) {
	for _, shell := range shells() {
		for _, text := range hostile {
			dir := t.TempDir()
			var out strings.Builder
			if err := locktool.ShellBegin(&out); err != nil {
				t.Fatal(err)
			}
			if err := locktool.Shell(&out, api.Grant{Name: text, LeaseID: text, FencingToken: 42}); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(shell[0], append(shell[1:], "-c", `set -e; eval "$1"; printf '%s\n--\n%s\n--\n%s' "$OCTOSTORE_LOCK" "$OCTOSTORE_LEASE_ID" "$OCTOSTORE_FENCING_TOKEN"`, "sh", out.String())...)
			cmd.Dir = dir
			got, err := cmd.CombinedOutput()
			if err != nil || string(got) != text+"\n--\n"+text+"\n--\n42" {
				t.Errorf("%s: %q became %q, %v", shell, text, got, err)
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
				t.Errorf("%s: %q ran something: %v, %v", shell, text, left, err)
			}
		}
	}
}

// The eval of what a failed acquire prints fails, though the shell does not look at the exit
// code of a command in an argument.
func TestShellFailureFailsTheEval(t *testing.T) {
	var alone, behind, cut strings.Builder
	err := errors.Join(
		locktool.ShellFailure(&alone, 75),
		locktool.ShellBegin(&behind), locktool.ShellEnd(&behind), locktool.ShellFailure(&behind, 75),
		locktool.ShellBegin(&cut),
	)
	if err != nil {
		t.Fatal(err)
	}
	for _, shell := range shells() {
		for out, codes := range map[string][]int{alone.String(): {75}, behind.String(): {75}, cut.String(): {1, 2}} {
			err := exec.Command(shell[0], append(shell[1:], "-c", `set -e; eval "$1"; exit 0`, "sh", out)...).Run()
			if failed, is := errors.AsType[*exec.ExitError](err); !is || !slices.Contains(codes, failed.ExitCode()) {
				t.Errorf("%s: after %q: %v, want exit %d", shell, out, err, codes)
			}
		}
	}
}

func lease() *api.Lease {
	return &api.Lease{
		FencingToken: 42, Account: "alice", Holder: "ci-4711", Reason: "release 1.4", Metadata: map[string]string{"ticket": "OPS-7", "a": "b"},
		TTLMS: 120_000, ExpiresInMS: 47_000, GrantedAt: noon.Add(-133 * time.Second), ExpiresAt: noon.Add(47 * time.Second),
	}
}

func shown() locktool.Shown {
	kept := noon.Add(8 * time.Second)
	return locktool.Shown{
		Lock: api.Lock{
			Name: "deploy/prod", State: api.Held, Lease: lease(), WaitersTotal: 20,
			Waiters: []api.Waiter{
				{Position: 1, Account: "bob", Holder: "ci-4712", Reason: "hotfix", Priority: "front", Since: noon.Add(-31 * time.Second)},
				{Position: 2, Account: "carol", Since: noon.Add(-time.Second), Away: true, KeptUntil: &kept},
			},
			WaitersNext: 2,
		},
		Window: 24 * time.Hour,
		History: []json.RawMessage{json.RawMessage(
			`{"seq":42,"time":"2026-11-27T11:57:47.123Z","kind":"granted","name":"deploy/prod","token":42,"account":"alice","holder":"ci-4711","reason":"release 1.4","ttl_ms":120000,"waited_ms":2500}`,
		)},
	}
}

func TestShowForPeople(t *testing.T) {
	var out strings.Builder
	if err := shown().Print(&out, false, time.Time{}); err != nil {
		t.Fatal(err)
	}
	const want = `deploy/prod is held
  holder         ci-4711
  account        alice
  reason         release 1.4
  meta           a=b
  meta           ticket=OPS-7
  since          2026-11-27 11:57:47Z (2m13s ago)
  expires        2026-11-27 12:00:47Z (in 47s)
  ttl            2m
  fencing token  42

Queue: 20 waiters
  #  HOLDER   ACCOUNT  SINCE                           STATE              REASON
  1  ci-4712  bob      2026-11-27 11:59:29Z (31s ago)  front              hotfix
  2  -        carol    2026-11-27 11:59:59Z (1s ago)   away, kept for 8s  -
  and 18 more, which --all shows

History:
  2026-11-27 11:57:47Z  granted     deploy/prod  ci-4711@alice  token 42  for 2m  waited 3s  "release 1.4"
`
	if got := out.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestShowOfAFreeLock(t *testing.T) {
	for _, tt := range []struct {
		s    locktool.Shown
		want string
	}{
		{locktool.Shown{}, ""},
		{locktool.Shown{Window: time.Hour}, "\nNo event in the last hour.\n"},
		{locktool.Shown{NoHistory: "it takes the scope audit for this name"}, "\nNo history: it takes the scope audit for this name\n"},
	} {
		tt.s.Lock = api.Lock{Name: "x", State: api.Free, Waiters: []api.Waiter{}}
		var out strings.Builder
		if err := tt.s.Print(&out, false, noon); err != nil {
			t.Fatal(err)
		}
		if want := "x is free\n\nNo client waits for it.\n" + tt.want; out.String() != want {
			t.Errorf("got %q, want %q", out.String(), want)
		}
	}
}

func TestListForPeople(t *testing.T) {
	var out strings.Builder
	list := api.List{Locks: []api.Lock{
		{Name: "deploy/prod", State: api.Held, Lease: lease(), WaitersTotal: 3},
		{Name: "x", State: api.Free, WaitersTotal: 1},
	}}
	if err := locktool.List(&out, list, false); err != nil {
		t.Fatal(err)
	}
	const want = `NAME         HOLDER   ACCOUNT  SINCE                 LEFT  WAITERS  REASON
deploy/prod  ci-4711  alice    2026-11-27 11:57:47Z  47s   3        release 1.4
x            -        -        -                     -     1        -
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
	out.Reset()
	if err := locktool.List(&out, api.List{}, false); err != nil || out.String() != "No lock is held.\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
}

// JSON is that of the API: what a program reads from the server it reads from the command.
func TestJSONIsThatOfTheAPI(t *testing.T) {
	grant := api.Grant{Name: "a<b", LeaseID: "id", FencingToken: 42, Account: "alice", TTLMS: 1000, ExpiresInMS: 999, GrantedAt: noon, ExpiresAt: noon}
	for _, tt := range []struct {
		print func(*strings.Builder) error
		want  string
	}{
		{func(b *strings.Builder) error { return locktool.Grant(b, grant, true) }, `{
  "name": "a<b",
  "lease_id": "id",
  "fencing_token": 42,
  "account": "alice",
  "holder": "",
  "ttl_ms": 1000,
  "expires_in_ms": 999,
  "server_ms": 0,
  "waited_ms": 0,
  "wait_ms": 0,
  "granted_at": "2026-11-27T12:00:00Z",
  "expires_at": "2026-11-27T12:00:00Z"
}
`},
		{func(b *strings.Builder) error {
			return locktool.Ended(b, "released", api.Ended{Name: "a", FencingToken: 42, HeldMS: 7}, true)
		}, `{
  "name": "a",
  "fencing_token": 42,
  "held_ms": 7
}
`},
		{func(b *strings.Builder) error { return locktool.List(b, api.List{Locks: []api.Lock{}}, true) }, `{
  "locks": [],
  "next": ""
}
`},
		{func(b *strings.Builder) error {
			s := locktool.Shown{Lock: api.Lock{Name: "x", State: api.Free, Waiters: []api.Waiter{}}, History: []json.RawMessage{json.RawMessage(`{"seq":1}`)}}
			return s.Print(b, true, noon)
		}, `{
  "name": "x",
  "state": "free",
  "waiters_total": 0,
  "waiters": [],
  "history": [
    {
      "seq": 1
    }
  ]
}
`},
	} {
		var out strings.Builder
		if err := tt.print(&out); err != nil || out.String() != tt.want {
			t.Errorf("%v, got\n%s\nwant\n%s", err, out.String(), tt.want)
		}
	}
}

func TestDurationsAreShort(t *testing.T) {
	for ms, want := range map[int64]string{
		-5: "0ms", 0: "0ms", 999: "999ms", 1000: "1s", 59_400: "59s", 59_600: "1m", 60_000: "1m", 299_900: "5m", 133_000: "2m13s",
		3_599_600: "1h", 3_600_000: "1h", 5_400_000: "1h30m", 86_400_000: "1d", 90_000_000: "1d1h", 60 * 86_400_000: "60d",
	} {
		var out strings.Builder
		if err := locktool.Ended(&out, "released", api.Ended{Name: "a", FencingToken: 1, HeldMS: ms}, false); err != nil {
			t.Fatal(err)
		}
		if got, _, _ := strings.Cut(strings.TrimPrefix(out.String(), "released a, which was held for "), " "); got != want {
			t.Errorf("%d ms: %s, want %s", ms, got, want)
		}
	}
}

// No text of a server breaks out of its cell or its line.
func TestTablesKeepHostileTextInItsCell(t *testing.T) {
	for _, text := range hostile {
		s := shown()
		s.Name, s.Lease.Holder, s.Lease.Reason, s.Waiters[0].Holder = text, text, text, text
		s.Lease.Metadata = map[string]string{"k": text}
		var out strings.Builder
		if err := s.Print(terminal.NewWriter(&out), false, noon); err != nil {
			t.Fatal(err)
		}
		var plain strings.Builder
		p := shown()
		p.Lease.Metadata = map[string]string{"k": "v"}
		if err := p.Print(&plain, false, noon); err != nil {
			t.Fatal(err)
		}
		lines := strings.Count(plain.String(), "\n")
		if text == "" {
			lines-- // no line for no reason
		}
		if n := strings.Count(out.String(), "\n"); n != lines || strings.ContainsAny(out.String(), "\x1b\t") {
			t.Errorf("%q: %d lines, want %d\n%s", text, n, lines, out.String())
		}
	}
	line, err := locktool.Event([]byte(`{"kind":"x\ny","name":"a\tb","holder":"h\n","reason":"r\n","cause":"\u001b"}`))
	if err != nil || strings.ContainsAny(line, "\n\t\x1b") {
		t.Errorf("%q, %v", line, err)
	}
}

func TestLeaseIDSources(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "lease")
	if err := os.WriteFile(file, []byte("from-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	open := filepath.Join(dir, "open")
	if err := os.WriteFile(open, []byte("hunter2\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		from        locktool.LeaseSource
		id, idFile  string // environment
		stdin, want string
		fails       string
	}{
		{from: locktool.LeaseSource{ID: "flag"}, id: "env", want: "flag"},
		{from: locktool.LeaseSource{ID: "-"}, id: "env", stdin: " piped\n", want: "piped"},
		{from: locktool.LeaseSource{File: "-"}, stdin: "piped", want: "piped"},
		{from: locktool.LeaseSource{File: file}, id: "env", want: "from-file"},
		{id: "env", idFile: file, want: "env"},
		{idFile: file, want: "from-file"},
		{fails: "want the lease id"},
		{from: locktool.LeaseSource{ID: "-"}, fails: "the standard input does not have a lease id"},
		{from: locktool.LeaseSource{ID: "hunter2 hunter2"}, fails: "--lease does not have a lease id"},
		{id: "hunter2\x1b", fails: "OCTOSTORE_LEASE_ID does not have a lease id"},
		{from: locktool.LeaseSource{File: open}, fails: "can be read or changed by everybody"},
	} {
		t.Setenv("OCTOSTORE_LEASE_ID", tt.id)
		t.Setenv("OCTOSTORE_LEASE_ID_FILE", tt.idFile)
		got, err := tt.from.Read(strings.NewReader(tt.stdin))
		if tt.fails == "" && (got != tt.want || err != nil) {
			t.Errorf("%+v: got %q, %v", tt, got, err)
		}
		if tt.fails != "" && (err == nil || !strings.Contains(err.Error(), tt.fails) || strings.Contains(err.Error(), "hunter2")) {
			t.Errorf("%+v: got %q, %v", tt, got, err)
		}
	}
}

func TestHeldLockNamesItsHolderAndWhatToDo(t *testing.T) {
	held := &client.Error{Problem: api.Problem{Status: 409, Code: api.CodeHeld, HeldProblem: &api.HeldProblem{Lease: lease(), Waiters: 2}}}
	err := locktool.NotAcquired("deploy/prod", false, held)
	const want = "deploy/prod is held by ci-4711@alice, for 47s more at most unless it is renewed; queue: 2 waiters; --wait DURATION waits for it"
	if err.Error() != want || !errors.Is(err, client.ErrHeld) {
		t.Errorf("got %v", err)
	}
	if other := exitcode.Usagef("x"); !errors.Is(locktool.NotAcquired("a", false, other), other) {
		t.Error("another error is changed")
	}
}

// What an acquire waits for is said when it changes, and not each time.
func TestWaitingIsSaidWhenItChanges(t *testing.T) {
	var out strings.Builder
	say := locktool.SayWaiting(&out, "a")
	held := client.Waiting{Held: &api.HeldProblem{Lease: lease()}}
	down := client.Waiting{Err: &client.UnreachableError{URL: "http://x", Err: errors.New("refused")}}
	for _, w := range []client.Waiting{held, held, {Held: &api.HeldProblem{}}, down, down, held} {
		say(w)
	}
	const want = "octostore: waiting: a, held by ci-4711@alice\noctostore: waiting: no answer from http://x: refused\noctostore: waiting: a, held by ci-4711@alice\n"
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}
