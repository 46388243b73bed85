package deploy_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

// notifySocket is the end of systemd for notifications.
type notifySocket struct {
	*net.UnixConn
	path string
}

func newNotifySocket(t *testing.T) notifySocket {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return notifySocket{c, path}
}

// expect waits for a notification that matches, and fails at one that matches neither that
// nor any of the others.
func (n notifySocket) expect(t *testing.T, want string, others ...string) {
	t.Helper()
	for b := make([]byte, 4096); ; {
		_ = n.SetReadDeadline(time.Now().Add(octotest.Patient)) // it is open
		size, err := n.Read(b)
		if err != nil {
			t.Fatalf("no notification %s: %v", want, err)
		}
		got := string(b[:size])
		if regexp.MustCompile(want).MatchString(got) {
			return
		}
		if len(others) == 0 || !regexp.MustCompile(strings.Join(others, "|")).MatchString(got) {
			t.Fatalf("the notification is %q, want %s", got, want)
		}
	}
}

// listen returns a TCP socket as systemd has it: a file that stays open over restarts.
func listen(t *testing.T) (addr string, file *os.File) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	file, err = l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	t.Cleanup(func() { file.Close() })
	return file2addr(t, file), file
}

func file2addr(t *testing.T, file *os.File) string {
	t.Helper()
	l, err := net.FileListener(file)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// activated is a server that starts as systemd starts it: with sockets as its descriptors
// from 3 on, and their names.
func activated(t *testing.T, dir, names string, sockets []*os.File, environ ...string) *exec.Cmd {
	t.Helper()
	return &exec.Cmd{
		Path:       "/bin/sh",
		Args:       []string{"sh", "-c", `LISTEN_PID=${LISTEN_PID-$$} exec "$0" serve`, octotest.Binary(t)},
		Dir:        dir,
		Env:        append(environ, "LISTEN_FDS="+string(rune('0'+len(sockets))), "LISTEN_FDNAMES="+names, "PATH="+os.Getenv("PATH")),
		ExtraFiles: sockets,
	}
}

func startActivated(t *testing.T, cmd *exec.Cmd) *octotest.Server {
	t.Helper()
	s, err := octotest.StartCommand(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	return s
}

// Clients that connect again and again, each time anew, find the server through five restarts
// at any moment: none is refused, and none loses a request that was sent.
func TestSocketActivationRefusesNoConnectionOverRestarts(t *testing.T) {
	t.Parallel()
	addr, socket := listen(t)
	dir := t.TempDir()
	var asked, draining atomic.Int64
	var clients sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	stop := func() { cancel(); clients.Wait() }
	t.Cleanup(stop)
	for range 4 {
		clients.Go(func() {
			to := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: octotest.Patient}
			for ctx.Err() == nil {
				r, err := to.Post("http://"+addr+"/v1/locks/a/acquire?ttl=60s", "", nil)
				if err != nil && ctx.Err() != nil {
					return // the test has failed, and with it the socket is gone
				}
				if err != nil {
					t.Errorf("after %d requests: %v", asked.Load(), err)
					return
				}
				_, _ = io.Copy(io.Discard, r.Body) // its status says enough
				r.Body.Close()
				switch asked.Add(1); r.StatusCode {
				case http.StatusOK, http.StatusConflict:
				case http.StatusServiceUnavailable:
					draining.Add(1)
				default:
					t.Errorf("the status is %d", r.StatusCode)
				}
			}
		})
	}
	for range 5 {
		s := startActivated(t, activated(t, dir, "main", []*os.File{socket}))
		if s.Addr != addr {
			t.Fatalf("it listens on %s, not on the socket at %s", s.Addr, addr)
		}
		had := asked.Load()
		octotest.WaitUntil(t, "it answers", func() bool { return asked.Load() > had+20 })
		if err := s.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if state, err := s.Wait(octotest.Patient); err != nil || !state.Success() {
			t.Fatalf("it ended with %v, %v", state, err)
		}
	}
	last := startActivated(t, activated(t, dir, "main", []*os.File{socket}))
	had := asked.Load()
	octotest.WaitUntil(t, "it answers", func() bool { return asked.Load() > had+20 })
	stop()
	last.Kill()
	t.Logf("%d requests, of which %d met a server that stopped", asked.Load(), draining.Load())
}

// Each socket is known by its name. The other listener is bound as its setting says.
func TestSocketActivationKnowsTheSocketsByName(t *testing.T) {
	t.Parallel()
	mainAddr, mainSocket := listen(t)
	adminAddr, adminSocket := listen(t)
	s := startActivated(t, activated(t, t.TempDir(), "admin:main", []*os.File{adminSocket, mainSocket}))
	octotest.Expect(t, octotest.Call("POST", mainAddr, "/v1/locks/a/acquire"), 200, "")
	octotest.Expect(t, octotest.Call("POST", adminAddr, "/v1/locks/a/acquire"), 404, "")
	octotest.Expect(t, octotest.Call("GET", adminAddr, "/debug/pprof/cmdline"), 200, "")
	s.Kill()

	s = startActivated(t, activated(t, t.TempDir(), "admin", []*os.File{adminSocket}))
	octotest.Expect(t, octotest.Call("POST", s.Addr, "/v1/locks/a/acquire"), 200, "")
	octotest.Expect(t, octotest.Call("GET", adminAddr, "/debug/pprof/cmdline"), 200, "")
}

// Sockets for another process are left alone: the server binds its own address.
func TestSocketActivationOfAnotherProcessIsIgnored(t *testing.T) {
	t.Parallel()
	addr, socket := listen(t)
	s := startActivated(t, activated(t, t.TempDir(), "main", []*os.File{socket}, "LISTEN_PID=1"))
	if s.Addr == addr {
		t.Error("it listens on the socket of process 1")
	}
}

func TestSocketActivationRefusesWhatItCannotServe(t *testing.T) {
	t.Parallel()
	_, first := listen(t)
	_, second := listen(t)
	dir := t.TempDir()
	local, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "socket"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer local.Close()
	localFile, err := local.File()
	if err != nil {
		t.Fatal(err)
	}
	defer localFile.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	open, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	openFile, err := open.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer openFile.Close()
	for name, c := range map[string]struct {
		names   string
		sockets []*os.File
		want    string
	}{
		"unknown name":              {"octostore.socket", []*os.File{first}, `"octostore.socket" of systemd: unknown name; want FileDescriptorName=main`},
		"two of a name":             {"main:main", []*os.File{first, second}, "second socket of that name"},
		"a Unix socket":             {"main", []*os.File{localFile}, "not a TCP socket"},
		"no socket":                 {"main", []*os.File{null}, "of systemd: "},
		"one that others can reach": {"main", []*os.File{openFile}, "this is not a loopback address, and without tokens"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := octotest.StartCommand(activated(t, t.TempDir(), c.names, c.sockets))
			if err == nil {
				s.Kill()
				t.Fatal("it starts")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// The whole life of a service: systemd is told of the start, of a reload from its begin to its
// end, and of the stop; in between the watchdog is fed.
func TestServiceTellsSystemdWhatItDoes(t *testing.T) {
	t.Parallel()
	systemd := newNotifySocket(t)
	cmd := activated(t, t.TempDir(), "", nil, "NOTIFY_SOCKET="+systemd.path, "WATCHDOG_USEC=2000000")
	s := startActivated(t, cmd)
	const fed = `^WATCHDOG=1$`
	systemd.expect(t, `^READY=1\nSTATUS=serving on http://127\.0\.0\.1:[0-9]+$`)
	systemd.expect(t, fed)
	if err := s.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	systemd.expect(t, `^RELOADING=1\nMONOTONIC_USEC=[1-9][0-9]*\n`, fed)
	systemd.expect(t, `^READY=1\n`, fed)
	if err := s.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	systemd.expect(t, `^STOPPING=1\n`, fed)
	if state, err := s.Wait(octotest.Patient); err != nil || !state.Success() {
		t.Errorf("it ended with %v, %v", state, err)
	}
}

// A process that is stopped does not feed the watchdog: systemd would end it.
func TestServiceThatIsStuckDoesNotFeedTheWatchdog(t *testing.T) {
	t.Parallel()
	systemd := newNotifySocket(t)
	s := startActivated(t, activated(t, t.TempDir(), "", nil, "NOTIFY_SOCKET="+systemd.path, "WATCHDOG_USEC=400000"))
	systemd.expect(t, `^READY=1\n`)
	systemd.expect(t, `^WATCHDOG=1$`)
	if err := s.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for b := make([]byte, 4096); ; { // what was on its way
		_ = systemd.SetReadDeadline(time.Now().Add(time.Second)) // it is open
		if _, err := systemd.Read(b); errors.Is(err, os.ErrDeadlineExceeded) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
}
