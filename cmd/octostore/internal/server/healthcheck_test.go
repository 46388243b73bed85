package server

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/memory"
)

// healthy runs the command against a server, and returns its exit code and what it said.
func healthy(t *testing.T, s *server, flags ...string) (int, string) {
	t.Helper()
	out := octotest.RunWith(t, []string{"OCTOSTORE_ADDR=" + s.listener.Addr().String()}, append([]string{"healthcheck", "--timeout=20s"}, flags...)...)
	return out.Code, out.Stdout + out.Stderr
}

// What a probe means: a full disk is no reason to restart a server or to keep clients from it,
// a stop is none to restart it, and a failure is all of that.
func TestHealthcheckOfAServerInEveryState(t *testing.T) {
	full, broken := lock.ErrFull, os.ErrInvalid
	for state, c := range map[string]struct {
		make                func(s *server, on *shelf)
		alive, ready, grant int
		says                string
	}{
		"well":     {func(*server, *shelf) {}, 0, 0, 0, "ok http://127.0.0.1:"},
		"full":     {func(_ *server, on *shelf) { on.fail.Store(&full) }, 0, 0, 1, "storage_full"},
		"draining": {func(s *server, _ *shelf) { s.serving().table.Drain() }, 0, 1, 1, "draining"},
		"failed": {func(s *server, on *shelf) {
			on.fail.Store(&broken)
			s.call("POST", "/v1/locks/a/acquire")
			<-s.serving().table.Done()
		}, 1, 1, 1, "failing"},
	} {
		t.Run(state, func(t *testing.T) {
			on := &shelf{Store: memory.New()}
			s := startTest(t, on)
			defer func() { _ = s.stop() }() // of a failed one it fails
			c.make(s, on)
			for flag, want := range map[string]int{"": c.alive, "--ready": c.ready, "--grants": c.grant} {
				var flags []string
				if flag != "" {
					flags = []string{flag}
				}
				code, said := healthy(t, s, flags...)
				if code != want {
					t.Errorf("%s exits with %d, want %d: %s", flag, code, want, said)
				}
				if code != 0 && !strings.Contains(said, c.says) {
					t.Errorf("%s says %q, want %q", flag, said, c.says)
				}
			}
		})
	}
}

// The own server is asked whatever names its certificate is for; another one has to be trusted.
func TestHealthcheckOfAServerWithTLS(t *testing.T) {
	dir := t.TempDir()
	cert, key := octotest.WriteCertificate(t, dir, "octostore", time.Now().Add(time.Hour))
	s := octotest.Start(t, dir, "OCTOSTORE_TLS_CERT="+cert, "OCTOSTORE_TLS_KEY="+key)
	own := []string{"OCTOSTORE_ADDR=" + s.Addr, "OCTOSTORE_TLS_CERT=" + cert, "OCTOSTORE_TLS_KEY=" + key}
	if out := octotest.RunWith(t, own, "healthcheck", "--timeout=20s"); out.Code != 0 {
		t.Errorf("the own server: %+v", out)
	}
	args := []string{"healthcheck", "--timeout=20s", "--url=https://" + s.Addr}
	if out := octotest.RunWith(t, nil, args...); out.Code != 1 || !strings.Contains(out.Stderr, "certificate") {
		t.Errorf("a server that is not trusted: %+v", out)
	}
	if out := octotest.RunWith(t, []string{"OCTOSTORE_CA_FILE=" + cert}, args...); out.Code != 0 {
		t.Errorf("a server that is trusted: %+v", out)
	}
}

// A server that expects a PROXY header from this machine, in clear and before TLS, gets one from the
// probe; otherwise it would be restarted for being well.
func TestHealthcheckOfAServerBehindAProxyOfThisMachine(t *testing.T) {
	dir := t.TempDir()
	cert, key := octotest.WriteCertificate(t, dir, "octostore", time.Now().Add(time.Hour))
	for trusted, tls := range map[string][]string{
		"127.0.0.0/8": nil,
		"192.0.2.1":   nil,
		"127.0.0.1":   {"OCTOSTORE_TLS_CERT=" + cert, "OCTOSTORE_TLS_KEY=" + key},
	} {
		settings := append([]string{"OCTOSTORE_TRUSTED_PROXIES=" + trusted, "OCTOSTORE_PROXY_HEADER=proxy-protocol"}, tls...)
		s := octotest.Start(t, t.TempDir(), settings...)
		if out := octotest.RunWith(t, append(settings, "OCTOSTORE_ADDR="+s.Addr), "healthcheck", "--timeout=20s"); out.Code != 0 {
			t.Errorf("trusting %s: %+v", trusted, out)
		}
	}
}
