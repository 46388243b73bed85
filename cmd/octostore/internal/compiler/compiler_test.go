package compiler

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/octostore/octostore/hooks"
)

// TestMain lets the test binary be the compiler process.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == Argument {
		os.Exit(Main(os.Args[2:], os.Stdin, os.Stdout, os.Stderr))
	}
	goleak.VerifyTestMain(m)
}

// bomb is a module that keeps a compiler busy: nested loops in which many variables change.
// It has no meter; only the compiler sees it.
func bomb(loops, locals int) []byte {
	leb := func(n int) []byte { return binary.AppendUvarint(nil, uint64(n)) }
	body := append(leb(1), leb(locals)...)
	body = append(body, 0x7f)
	body = append(body, bytes.Repeat([]byte{0x03, 0x40}, loops)...)
	for i := range locals {
		body = append(append(body, 0x20), leb(i)...)
		body = append(append(body, 0x41, 1, 0x6a, 0x21), leb(i)...)
	}
	body = append(body, bytes.Repeat([]byte{0x20, 0, 0x0d, 0, 0x0b}, loops)...)
	body = append(body, 0x41, 0, 0x0b)
	code := append(leb(1), append(leb(len(body)), body...)...)
	module := []byte("\x00asm\x01\x00\x00\x00" + "\x01\x05\x01\x60\x00\x01\x7f" + "\x03\x02\x01\x00")
	return append(append(append(module, 0x0a), leb(len(code))...), code...)
}

var (
	// slow takes minutes, and hungry hundreds of MiB within a second.
	slow, hungry = bomb(3000, 3000), bomb(1000, 500)
	plenty       = Limits{Processor: time.Minute, Elapsed: time.Minute, Memory: 2 << 30}
)

// The runtime finds the code that the process leaves.
func TestCompileLeavesCode(t *testing.T) {
	dir := t.TempDir()
	if err := Compile(t.Context(), dir, hooks.EmptyModule); err != nil {
		t.Fatal(err)
	}
	if found, _ := filepath.Glob(filepath.Join(dir, "wazero-*", "*")); len(found) != 1 {
		t.Errorf("there is %v", found)
	}
}

// A compilation ends at each of its limits and says which, and the process with it.
func TestCompileEndsAtItsLimits(t *testing.T) {
	_, _, known := usage(os.Getpid())
	for _, test := range []struct {
		name   string
		module []byte
		change func(*Limits)
		want   string
	}{
		{"elapsed time", slow, func(l *Limits) { l.Elapsed = 300 * time.Millisecond }, "compiling it took more than 300ms; want"},
		{"processor time", slow, func(l *Limits) { l.Processor = 500 * time.Millisecond }, "compiling it took more than 500ms; want"},
		{"memory", hungry, func(l *Limits) { l.Memory = 128 << 20 }, "compiling it took more than 128 MiB of memory; want"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if !known && test.name != "elapsed time" {
				t.Skip("SKIP: this system does not tell what a process uses")
			}
			limits := plenty
			test.change(&limits)
			err := compile(t.Context(), t.TempDir(), test.module, limits)
			if err == nil || !strings.Contains(err.Error(), test.want) || errors.Is(err, hooks.ErrUnavailable) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// The usage of a process is watched, without waiting for the looser limits of the system.
func TestCompileIsWatched(t *testing.T) {
	if _, _, known := usage(os.Getpid()); !known {
		t.Skip("SKIP: this system does not tell what a process uses")
	}
	for want, change := range map[string]func(*Limits){
		"compiling it took more than 1ns":             func(l *Limits) { l.Processor = 1 },
		"compiling it took more than 0 MiB of memory": func(l *Limits) { l.Memory = 1 },
	} {
		limits := Limits{Processor: time.Hour, Memory: 1 << 50}
		change(&limits)
		ctx, end := context.WithCancelCause(t.Context())
		timer := time.AfterFunc(10*time.Second, func() { end(errors.New("nothing was noticed in ten seconds")) })
		done := make(chan struct{})
		go func() {
			defer close(done)
			watch(os.Getpid(), limits, ctx.Done(), end)
		}()
		for ctx.Err() == nil { // which takes processor time
			runtime.Gosched()
		}
		<-done
		timer.Stop()
		if err := context.Cause(ctx); !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// A module that the compiler refuses is a different error from a machine that cannot
// compile.
func TestCompileSaysWhoseFaultItIs(t *testing.T) {
	notAFolder := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(notAFolder, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, dir   string
		module      []byte
		unavailable bool
		want        string
	}{
		{"no module", t.TempDir(), []byte("hello"), false, "invalid magic number"},
		{"no folder", notAFolder, hooks.EmptyModule, true, "is not dir"},
	} {
		err := Compile(t.Context(), test.dir, test.module)
		if err == nil || errors.Is(err, hooks.ErrUnavailable) != test.unavailable || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", test.name, err, test.want)
		}
	}
}

// A caller can stop waiting for a module at once.
func TestCompileEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	dir := t.TempDir()
	done := make(chan error, 1)
	go func() { done <- compile(ctx, dir, slow, plenty) }()
	waitUntil(t, "the process has begun", func() bool {
		found, _ := filepath.Glob(filepath.Join(dir, "wazero-*"))
		return len(found) > 0
	})
	cancel()
	select {
	case err := <-done:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it goes on")
	}
}

// A killed process, or one that does not answer, is an error that says so.
func TestCompileSaysHowItsProcessHasEnded(t *testing.T) {
	state := exec.Command(os.Args[0], "-test.run=^$")
	if err := state.Run(); err != nil {
		t.Fatal(err)
	}
	killed := errors.New("signal: killed")
	for _, test := range []struct {
		failed    error
		out, errs string
		want      string
	}{
		{killed, "", "", "the process that compiles it has failed: signal: killed"},
		{killed, "", "panic: BUG\n\ngoroutine 1", "signal: killed: panic: BUG goroutine 1"},
		{nil, "", "", "it did not answer"},
		{nil, "{", "", "it did not answer"},
		{killed, "{}", "", "signal: killed"},
		{killed, "", "fatal error: runtime: out of memory", "compiling it took more than 2048 MiB of memory"},
	} {
		err := outcome(t.Context(), plenty, test.failed, state.ProcessState, []byte(test.out), test.errs)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: got %v", test, err)
		}
	}
}

// The process ends when its parent has ended, however that happened.
func TestCompileProcessDoesNotOutliveItsParent(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), os.Args[0], Argument, dir)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := writeRequest(in, slow, plenty); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "the process has begun", func() bool {
		found, _ := filepath.Glob(filepath.Join(dir, "wazero-*"))
		return len(found) > 0
	})
	in.Close() // as the end of a process does
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case err := <-done:
		if err == nil {
			t.Error("it has compiled a module that takes minutes")
		}
	case <-time.After(10 * time.Second):
		_ = cmd.Process.Kill()
		<-done
		t.Error("it goes on")
	}
}

// Malformed requests are refused.
func TestCompileProcessRefusesWhatIsNoRequest(t *testing.T) {
	defer signal.Reset()
	var huge bytes.Buffer
	if err := binary.Write(&huge, binary.BigEndian, request{Size: 1 << 62}); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args []string
		in   string
		code int
	}{{nil, "", 64}, {[]string{"a", "b"}, "", 64}, {[]string{t.TempDir()}, "", 1}, {[]string{t.TempDir()}, huge.String(), 1}} {
		var out, errs bytes.Buffer
		if code := Main(test.args, strings.NewReader(test.in), &out, &errs); code != test.code || out.Len() > 0 || errs.Len() == 0 {
			t.Errorf("%v: %d, %q, %q", test.args, code, &out, &errs)
		}
	}
}

// Large modules have larger limits, up to a bound.
func TestCompileLimitsGrowWithTheModule(t *testing.T) {
	if l := limitsOf(0); l != limitsOf(8_000_000) || l.Processor != slowdown*30*time.Second || l.Memory != slowdown*512<<20 {
		t.Errorf("%+v", l)
	}
	if l := limitsOf(68_000_000); l.Processor != slowdown*270*time.Second || l.Memory != slowdown*(512+60*32)<<20 {
		t.Errorf("%+v", l)
	}
}

func waitUntil(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 20 seconds: %s", what)
		}
	}
}
