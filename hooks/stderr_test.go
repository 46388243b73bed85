package hooks

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/octostore/octostore/hooks/internal/manifest"
	"github.com/octostore/octostore/hooks/wasmtest"
)

// writes is a guest that writes a text to stdout or stderr, and traps.
func writes(fd int, text string) []byte {
	const address = 8192
	vector := binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, address), uint32(len(text)))
	m := guestOf(wasmtest.Func{Name: "check", Type: "-> i32", Code: fmt.Sprintf(
		"i32.const %d i32.const 4096 i32.const 1 i32.const 4200 call $fd_write drop unreachable", fd)})
	m.Pages = 4
	m.Imports = append([]wasmtest.Import{{Module: wasiModule, Name: "fd_write", Type: "i32 i32 i32 i32 -> i32"}}, imports...)
	m.Data = append(m.Data, wasmtest.Data{At: 4096, Text: string(vector)}, wasmtest.Data{At: address, Text: text})
	return wasmtest.Assemble(m)
}

func TestFaultsHaveTheLastWordsOfAGuest(t *testing.T) {
	stack := "goroutine 1 [running]:\nmain.check({})\n\t/src/main.go:7 +0x22\n"
	for _, tt := range []struct {
		name, text string
		fd         int
		want       string
	}{
		{"a panic of Go", "a line before\npanic: index out of range\n\n" + stack, 2,
			"panic: index out of range | goroutine 1 [running]: | main.check({}) | /src/main.go:7 +0x22 (wasm error: unreachable)"},
		{"the last panic", "panic: one\n" + stack + "panic: two\n", 2, "panic: two (wasm error: unreachable)"},
		{"the end of Go's runtime", "fatal error: out of memory\n", 2, "fatal error: out of memory (wasm error: unreachable)"},
		{"a panic of Rust", "starts\nthread 'main' panicked at src/lib.rs:3:5:\nno ticket\n", 2,
			"thread 'main' panicked at src/lib.rs:3:5: | no ticket (wasm error: unreachable)"},
		{"no panic", "1\n2\n3\n4\n5\n6\n", 2, "3 | 4 | 5 | 6 (wasm error: unreachable)"},
		{"a line that has not ended", "help", 2, "help (wasm error: unreachable)"},
		{"stdout", "panic: this is no error\n", 1, "wasm error: unreachable wasm stack trace:"},
		{"a panic behind much else", strings.Repeat("x\n", 30_000) + "panic: late\n", 2, "panic: late (wasm error: unreachable)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t)
			h.write("p.wasm", writes(tt.fd, tt.text))
			_, err := h.open(entry("p")).Judge(t.Context(), question("a"))
			if err == nil || !strings.HasPrefix(err.Error(), "policy p could not answer: trap: "+tt.want) {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}

func TestLastWordsOfAGuestAreBoundedAndPrintable(t *testing.T) {
	for name, text := range map[string]string{
		"long lines": "panic: " + strings.Repeat("\x1b[31m\u202e", 6_000) + "\n" + strings.Repeat("y", 10_000),
		"many lines": "panic: \n" + strings.Repeat("\x00\xff\n", 20_000),
		"no end":     strings.Repeat("\xf0\x9f\x90\x99", 10_000),
	} {
		h := newHouse(t)
		h.write("p.wasm", writes(2, text))
		host := h.open(entry("p"))
		_, err := host.Judge(t.Context(), question("a"))
		if err == nil || len(err.Error()) > 800 || strings.ContainsFunc(err.Error(), func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%s: got %.2000q", name, err)
		}
		if !strings.Contains(err.Error(), "wasm error: unreachable") {
			t.Errorf("%s: got %q, want it to say what happened", name, err)
		}
	}
}

// Output of a guest without a line feed is logged when its call ends.
func TestLogHasALineThatHasNotEnded(t *testing.T) {
	for fd, text := range map[int]string{1: "half a line", 2: "one\nand a half"} {
		trial := openTrial(t, writes(fd, text), TrialConfig{})
		var got []string
		for _, l := range trial.Ask(Case{Question: question("a"), Now: time.Now()}).Logs {
			got = append(got, l.Text)
		}
		if want := strings.Split(text, "\n"); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// The policy that comes to mind first in Go reads the whole request with encoding/json.
// It works with the defaults, also where an instance is fresh, in every mode; and if it
// panics the log says where.
func TestGoPolicyThatReadsJSONWorksWithDefaults(t *testing.T) {
	if testing.Short() {
		t.Skip("a compiler takes its time")
	}
	h := newHouse(t)
	h.write("p.wasm", buildGo(t, "./testdata/jsonpolicy"))
	var log bytes.Buffer
	for _, mode := range []manifest.Mode{manifest.Enforce, manifest.Shadow} {
		host, err := Open(t.Context(), Config{
			Manifest: h.manifest(entry("p", fmt.Sprintf(`"mode":%q`, mode), `"config":{"most_ms":3600000}`)),
			Logger:   slog.New(slog.NewTextHandler(&log, nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		defer host.Close()
		p := host.current().policies[0]
		for range 3 {
			if got := said(host.Judge(t.Context(), question("prod/db"))); got != "yes" {
				t.Fatalf("%s: got %s\n%s", mode, got, &log)
			}
		}
		fresh, f := p.instantiate()
		if f != nil {
			t.Fatal(f)
		}
		if o := p.runOn(fresh, newJudgement(question("prod/db"))); o.Fault != nil || o.Fuel > manifest.DefaultFuel/2 {
			t.Errorf("%s: a fresh instance used %d; %v", mode, o.Fuel, o.Fault)
		}
		q := failing(true)
		if v, _ := host.Judge(t.Context(), q); v.Verdicts[0].Verdict != "deny" || !strings.Contains(v.Verdicts[0].Reason, "prod/db may not be held for so long; ticket OPS-7") {
			t.Errorf("%s: got %+v", mode, v.Verdicts)
		}
		q = question("prod/db")
		q.Asked.Metadata["ticket"] = "panic"
		if v, _ := host.Judge(t.Context(), q); v.Verdicts[0].Reason != "trap" {
			t.Errorf("%s: got %+v", mode, v.Verdicts)
		}
	}
	if n := strings.Count(log.String(), `err="panic: runtime error: index out of range [60000] with length 0 | goroutine 1 [running]: | main.check`); n != 2 {
		t.Errorf("the log does not say where it panics:\n%s", &log)
	}
}
