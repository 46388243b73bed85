package runner

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/client"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// leaseOf is held for 2m13s and runs for another 47s, by the clock of its server.
func leaseOf(holder, account string) *api.Lease {
	server := noon.Add(-time.Hour) // its clock is an hour behind ours
	return &api.Lease{
		FencingToken: 7, Holder: holder, Account: account, ExpiresInMS: 47_000,
		GrantedAt: server.Add(-133 * time.Second), ExpiresAt: server.Add(47 * time.Second),
	}
}

func TestRunWaitingLine(t *testing.T) {
	for _, test := range []struct {
		now  situation
		want string
	}{
		{
			situation{lease: leaseOf("ci-4711", "alice"), seen: noon, position: 2, waiters: 3},
			"deploy/prod is held by ci-4711 (alice) for 2m13s, at most 47s more. You are 2nd of 3, waiting 31s.",
		},
		{
			situation{lease: leaseOf("ci-4711", ""), seen: noon.Add(-7 * time.Second)},
			"deploy/prod is held by ci-4711 for 2m20s, at most 40s more. You are waiting 31s.",
		},
		{
			situation{lease: leaseOf("", "alice"), seen: noon.Add(-time.Hour), position: 1},
			"deploy/prod is held by alice for 1h2m13s, at most 0s more. You are 1st of 1, waiting 31s.",
		},
		{situation{}, "Waiting for deploy/prod, 31s."},
		{situation{position: 11, waiters: 12}, "Waiting for deploy/prod. You are 11th of 12, waiting 31s."},
		{
			situation{problem: "no answer from http://x:\nrefused", kind: "unreachable"},
			"deploy/prod: no answer from http://x: refused. Asking again, waiting 31s.",
		},
		{
			situation{lease: leaseOf("a\x1b[2J\nb\u202e", "c\r"), seen: noon, position: 1, waiters: 1},
			`deploy/prod is held by a\u001b[2J b\u202e (c) for 2m13s, at most 47s more. You are 1st of 1, waiting 31s.`,
		},
	} {
		if got := test.now.sentence("deploy/prod", 31*time.Second, noon); got != test.want {
			t.Errorf("it says\n%s\nwant\n%s", got, test.want)
		}
	}
}

func TestRunOrdinals(t *testing.T) {
	want := map[int]string{1: "1st", 2: "2nd", 3: "3rd", 4: "4th", 11: "11th", 12: "12th", 13: "13th", 21: "21st", 102: "102nd", 111: "111th"}
	for n, text := range want {
		if got := ordinal(n); got != text {
			t.Errorf("%d: %s", n, got)
		}
	}
}

// screen is what a terminal shows of a line with carriage returns.
func screen(text string) string {
	var shown []rune
	column := 0
	for _, r := range text {
		switch {
		case r == '\r':
			column = 0
			continue
		case r == '\n':
			shown, column = nil, 0
			continue
		case column == len(shown):
			shown = append(shown, r)
		default:
			shown[column] = r
		}
		column++
	}
	return strings.TrimRight(string(shown), " ")
}

func TestRunLivingLineIsOneLine(t *testing.T) {
	var out bytes.Buffer
	l := &line{to: &out, width: func() int { return 20 }}
	for _, text := range []string{"short", "a text that is longer than the terminal", "short again", "x"} {
		l.draw(text)
		want := text[:min(len(text), 19)]
		if got := screen(out.String()); got != want {
			t.Errorf("it shows %q, want %q: %q", got, want, out.String())
		}
	}
	l.clear()
	if got := screen(out.String()); got != "" || !strings.HasSuffix(out.String(), "\r") {
		t.Errorf("after the end it shows %q", got)
	}
	size := out.Len()
	l.clear()
	if strings.ContainsAny(out.String(), "\x1b\n") || out.Len() != size {
		t.Errorf("%q", out.String())
	}
	(*line)(nil).draw("x") // not on a terminal
	(*line)(nil).clear()
}

// A character may be two columns wide, and the line must not wrap.
func TestRunLivingLineIsClippedByColumns(t *testing.T) {
	for text, want := range map[string]string{"锁锁锁锁": "锁锁", "aäöü!": "aäöü!", "🙂🙂🙂": "🙂🙂", "": ""} {
		if got, _ := clip(text, 5); got != want {
			t.Errorf("%q is clipped to %q, want %q", text, got, want)
		}
	}
	if got, columns := clip("abc", -1); got != "" || columns != 0 {
		t.Errorf("%q, %d", got, columns)
	}
}

// The next lines are not written into what the living line has left.
func TestRunClearsTheLivingLineBeforeOthers(t *testing.T) {
	var out bytes.Buffer
	r := &reporter{to: &out, line: &line{to: &out, width: func() int { return 80 }}, now: time.Now}
	r.draw("deploy/prod is held")
	r.warn("%s: lost", "deploy/prod")
	if got := out.String(); !strings.HasSuffix(got, "\r"+strings.Repeat(" ", 19)+"\roctostore: deploy/prod: lost\n") {
		t.Errorf("%q", got)
	}
}

// Elsewhere than on a terminal a line is written when something changes, and every 30 s.
func TestRunRepeatsALineSeldom(t *testing.T) {
	var out bytes.Buffer
	r := &Run{Name: "a", Holder: "us", report: &reporter{to: &out, now: time.Now}}
	p := &progress{run: r, began: noon}
	lock := api.Lock{State: api.Held, Lease: leaseOf("ci-1", "x"), WaitersTotal: 2, Waiters: []api.Waiter{{Position: 1, Holder: "them"}, {Position: 2, Holder: "us"}}}
	for second := range 100 {
		now := noon.Add(time.Duration(second) * time.Second)
		if second == 50 {
			lock.Waiters, lock.WaitersTotal = lock.Waiters[1:], 1
			lock.Waiters[0].Position = 1
		}
		switch {
		case second == 90:
			p.hear(client.Waiting{Err: &client.UnreachableError{URL: "http://x", Err: fmt.Errorf("read from port %d", second)}, RetryIn: time.Second}, now)
		case second < 90:
			p.see(lock, now)
		}
		p.say(now)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 5 {
		t.Fatalf("%d lines:\n%s", len(lines), out.String())
	}
	for i, want := range []string{"2nd of 2, waiting 0s", "2nd of 2, waiting 30s", "1st of 1, waiting 50s", "1st of 1, waiting 1m20s", "no answer from http://x"} {
		if !strings.Contains(lines[i], want) {
			t.Errorf("line %d is %q, want %q", i, lines[i], want)
		}
	}
}

// A server that answers reads again may still refuse to queue requests.
func TestRunKeepsAProblemUntilTheNextTry(t *testing.T) {
	p := &progress{run: &Run{Name: "a"}}
	full := &client.Error{Problem: api.Problem{Status: 429, Code: api.CodeQueueFull, Detail: "too many requests wait"}}
	p.hear(client.Waiting{Err: full, RetryIn: 5 * time.Second}, noon)
	p.see(api.Lock{Lease: leaseOf("ci-1", "x")}, noon.Add(2*time.Second))
	if p.now.problem == "" {
		t.Error("a read ended the problem")
	}
	p.see(api.Lock{Lease: leaseOf("ci-1", "x")}, noon.Add(6*time.Second))
	if p.now.problem != "" {
		t.Error("the problem has no end")
	}
	p.hear(client.Waiting{Err: full, RetryIn: 5 * time.Second}, noon)
	p.hear(client.Waiting{Held: &api.HeldProblem{Position: 3, Waiters: 4}}, noon.Add(time.Second))
	if p.now.problem != "" || p.now.position != 3 {
		t.Errorf("%+v", p.now)
	}
}
