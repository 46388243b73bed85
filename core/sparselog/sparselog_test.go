package sparselog_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/octostore/octostore/core/sparselog"
)

// buffer is written to by timers.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) take() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.b.Reset()
	return b.b.String()
}

func open(level slog.Level) (*sparselog.Log, func() []string) {
	written := &buffer{}
	drop := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}
	l := sparselog.New(slog.New(slog.NewTextHandler(written, &slog.HandlerOptions{Level: level, ReplaceAttr: drop})))
	return l, func() []string {
		return strings.FieldsFunc(written.take(), func(r rune) bool { return r == '\n' })
	}
}

func want(t *testing.T, got []string, lines ...string) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(lines) {
		t.Errorf("got %q, want %q", got, lines)
	}
}

// TestLogWritesOneLineAMinute logs one kind often, and another once.
func TestLogWritesOneLineAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, written := open(slog.LevelInfo)
		often := func(n int) { l.Log(slog.LevelWarn, "often", "refused", slog.Int("n", n)) }
		often(0)
		l.Log(slog.LevelError, "once", "broken")
		want(t, written(), "level=WARN msg=refused n=0", "level=ERROR msg=broken")
		for n := range 5000 {
			often(n)
			time.Sleep(time.Millisecond)
		}
		want(t, written())
		time.Sleep(time.Minute)
		synctest.Wait()
		want(t, written(), "level=WARN msg=refused n=4999 times=5000")
		often(1)
		want(t, written())
		time.Sleep(time.Minute)
		synctest.Wait()
		want(t, written(), "level=WARN msg=refused n=1")
		time.Sleep(time.Hour) // in which nothing happens
		want(t, written())
		often(2)
		want(t, written(), "level=WARN msg=refused n=2")
	})
}

func TestLogCloseWritesWhatWasCounted(t *testing.T) {
	l, written := open(slog.LevelInfo)
	for n := range 3 {
		l.Log(slog.LevelWarn, "often", "refused", slog.Int("n", n))
	}
	l.Close()
	l.Close()
	l.Log(slog.LevelWarn, "often", "later")
	want(t, written(), "level=WARN msg=refused n=0", "level=WARN msg=refused n=2 times=2", "level=WARN msg=later")
}

func TestLogOfAnotherLevelIsNothing(t *testing.T) {
	l, written := open(slog.LevelError)
	l.Log(slog.LevelWarn, "a", "refused")
	l.Close()
	want(t, written())
}

// TestLogKeepsSoManyKinds logs an endless number of kinds.
func TestLogKeepsSoManyKinds(t *testing.T) {
	l, written := open(slog.LevelInfo)
	for n := range 10_000 {
		l.Log(slog.LevelWarn, fmt.Sprint(n), "refused")
	}
	if n := len(written()); n > 257 {
		t.Errorf("%d lines", n)
	}
	l.Close()
	want(t, written(), "level=WARN msg=refused times=9743")
}
