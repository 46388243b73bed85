package systemd

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// soon is far more than a notification takes, however busy the machine is.
const soon = 20 * time.Second

// manager is the end of systemd: a socket that gets the notifications.
func manager(t *testing.T, path string) *net.UnixConn {
	t.Helper()
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return c
}

// next returns the next notification, or what went wrong.
func next(c *net.UnixConn, most time.Duration) string {
	b := make([]byte, 4096)
	_ = c.SetReadDeadline(time.Now().Add(most)) // the connection is open
	n, err := c.Read(b)
	if err != nil {
		return err.Error()
	}
	return string(b[:n])
}

// openUnit opens a unit whose log is returned.
func openUnit(t *testing.T) (*Unit, *log) {
	t.Helper()
	l := &log{}
	u, err := Open(slog.New(slog.NewTextHandler(l, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return u, l
}

type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *log) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), text)
}

func TestNotificationsReachSystemd(t *testing.T) {
	for kind, path := range map[string]string{
		"a path":             filepath.Join(t.TempDir(), "notify"),
		"an abstract socket": "@octostore-test-" + strconv.Itoa(os.Getpid()),
	} {
		t.Run(kind, func(t *testing.T) {
			systemd := manager(t, path)
			u, _ := openUnit(t)
			for _, c := range []struct {
				call func()
				want string
			}{
				{func() { u.Ready("serving on :3000") }, `^READY=1\nSTATUS=serving on :3000$`},
				{u.Reloading, `^RELOADING=1\nMONOTONIC_USEC=[1-9][0-9]*\nSTATUS=reloading$`},
				{func() { u.Status("thinking") }, `^STATUS=thinking$`},
				{u.Stopping, `^STOPPING=1\nSTATUS=stopping$`},
			} {
				c.call()
				if got := next(systemd, soon); !regexp.MustCompile(c.want).MatchString(got) {
					t.Errorf("got %q, want %s", got, c.want)
				}
			}
		})
	}
}

// A service that systemd did not start, or that cannot reach it, goes on.
func TestNotificationsWithoutSystemdDoNothing(t *testing.T) {
	var none *Unit
	none.Ready("")
	none.Watch(func() error { t.Error("called"); return nil })()
	if s, err := none.Sockets(); s.Main != nil || s.Admin != nil || err != nil {
		t.Errorf("there are sockets: %v, %v", s, err)
	}
	t.Setenv("NOTIFY_SOCKET", "")
	u, l := openUnit(t)
	u.Ready("")
	if n := l.count("systemd"); n != 0 {
		t.Errorf("%d lines about systemd", n)
	}
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "missing"))
	u.Ready("")
	u.Stopping()
	if n := l.count("systemd cannot be notified"); n != 1 {
		t.Errorf("%d warnings, want one for a row of failures", n)
	}
}

// A systemd that does not read must not hang the server.
func TestNotificationsToADeafSystemdAreGivenUp(t *testing.T) {
	manager(t, filepath.Join(t.TempDir(), "notify"))
	u, l := openUnit(t)
	for giveUp := time.Now().Add(time.Minute); l.count("does not read") == 0; {
		began := time.Now()
		u.Status(strings.Repeat("x", 1000))
		if took := time.Since(began); took > soon {
			t.Fatalf("a notification took %s", took)
		}
		if time.Now().After(giveUp) {
			t.Fatal("the queue of the socket has no end")
		}
	}
}

func TestWatchdogIsFedOnlyWhileAllIsWell(t *testing.T) {
	systemd := manager(t, filepath.Join(t.TempDir(), "notify"))
	t.Setenv("WATCHDOG_USEC", "200000")
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	u, l := openUnit(t)
	if left := os.Getenv("WATCHDOG_USEC") + os.Getenv("WATCHDOG_PID"); left != "" {
		t.Errorf("children get %q", left)
	}
	answers, asked := make(chan error), make(chan struct{}, 1)
	end := u.Watch(func() error {
		select {
		case asked <- struct{}{}:
		default:
		}
		return <-answers
	})
	answer := func(err error) string { answers <- err; return next(systemd, soon) }
	for range 3 {
		if got := answer(nil); got != "WATCHDOG=1" {
			t.Fatalf("got %q", got)
		}
	}
	if got := answer(errors.New("the disk hangs")); got != "STATUS=not well: the disk hangs" {
		t.Errorf("got %q", got)
	}
	answers <- errors.New("the disk hangs")
	if n := l.count("watchdog is not fed"); n != 1 {
		t.Errorf("%d log lines, want one for a row of failures", n)
	}
	<-asked // now it hangs in the check
	if got := next(systemd, 250*time.Millisecond); strings.Contains(got, "WATCHDOG") {
		t.Errorf("fed without an answer: %q", got)
	}
	if got := answer(nil); !strings.HasPrefix(got, "WATCHDOG=1\n") {
		t.Errorf("not fed when all is well again: %q", got)
	}
	end()
	end()
	answers <- nil // of the check under way
	if got := next(systemd, 250*time.Millisecond); strings.Contains(got, "WATCHDOG") {
		t.Errorf("fed after the end: %q", got)
	}
}

// The watchdog of another process is not this one's.
func TestWatchdogOfAnotherProcessIsIgnored(t *testing.T) {
	t.Setenv("WATCHDOG_USEC", "1000")
	t.Setenv("WATCHDOG_PID", "1")
	u, _ := openUnit(t)
	u.Watch(func() error { t.Error("called"); return nil })()
	t.Setenv("WATCHDOG_USEC", "often")
	if _, err := Open(slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "WATCHDOG_USEC") {
		t.Errorf("a malformed interval: %v", err)
	}
}
