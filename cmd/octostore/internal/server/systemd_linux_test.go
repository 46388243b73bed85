package server

import (
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/cmd/octostore/internal/systemd"
	"github.com/octostore/octostore/core/store/memory"
)

// The watchdog is fed while the lock table goes around. A commit that hangs ends that, though
// reads are still answered; when it is over the watchdog is fed again.
func TestWatchdogIsNotFedWhileACommitHangs(t *testing.T) {
	if testing.Short() {
		t.Skip("a check of the table gives up after two seconds")
	}
	path := filepath.Join(t.TempDir(), "notify")
	notified, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer notified.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "400000")
	unit, err := systemd.Open(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	next := func() string {
		b := make([]byte, 4096)
		_ = notified.SetReadDeadline(time.Now().Add(octotest.Patient)) // it is open
		n, err := notified.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
	on := &shelf{Store: memory.New()}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- serve(ctx, unit, testConfig(t), slog.New(slog.DiscardHandler), stores{file: onShelf(on)}, nil)
	}()
	at, ready := strings.CutPrefix(next(), "READY=1\nSTATUS=serving on http://")
	if !ready {
		t.Fatalf("after the start: %q", at)
	}
	if got := next(); got != "WATCHDOG=1" {
		t.Errorf("while all is well: %q", got)
	}
	until := make(chan struct{})
	on.hang.Store(&until)
	answer := make(chan octotest.Answer, 1)
	go func() { answer <- octotest.Call("POST", at, "/v1/locks/a/acquire") }()
	got := next()
	for got == "WATCHDOG=1" { // the commit has not begun
		got = next()
	}
	if !strings.HasPrefix(got, "STATUS=not well: the lock table does not answer") {
		t.Errorf("while a commit hangs: %q", got)
	}
	octotest.Expect(t, octotest.Call("GET", at, "/v1/locks/b"), 200, "")
	on.hang.Store(nil)
	close(until)
	<-answer
	for !strings.HasPrefix(next(), "WATCHDOG=1") {
	}
	stop()
	for got := next(); !strings.HasPrefix(got, "STOPPING=1"); got = next() {
		if !strings.HasPrefix(got, "WATCHDOG=1") {
			t.Errorf("before the stop: %q", got)
		}
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
