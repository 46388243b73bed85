package server

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/config"
	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/core/store/memory"
)

// startTLS starts a server with both listeners and a certificate in dir.
func startTLS(t *testing.T, dir string, log io.Writer) *server {
	t.Helper()
	certFile, keyFile := octotest.WriteCertificate(t, dir, "first", time.Now().Add(time.Hour))
	cfg := testConfig(t)
	cfg.TLSCert, cfg.TLSKey, cfg.AdminAddr = config.File(certFile), config.File(keyFile), "127.0.0.1:0"
	s, err := startServer(t.Context(), cfg, slog.New(slog.NewTextHandler(log, nil)),
		func(context.Context, string, *slog.Logger) (storage, error) { return &shelf{Store: memory.New()}, nil })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestTLSOnBothListeners(t *testing.T) {
	dir := t.TempDir()
	s := startTLS(t, dir, io.Discard)
	c := octotest.Trusting(t, filepath.Join(dir, "cert.pem"))
	for _, l := range []net.Listener{s.listener, s.admin} {
		resp, err := c.Get("https://" + l.Addr().String() + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 200 || resp.Proto != "HTTP/2.0" {
			t.Errorf("%s %s, want 200 over HTTP/2.0", resp.Status, resp.Proto)
		}
	}
	page := bodyOf(t, c, "https://"+s.listener.Addr().String()+"/")
	if !strings.Contains(page, "'https://127.0.0.1:") || strings.Contains(page, "'http://") {
		t.Errorf("the front page shows another scheme:\n%s", page)
	}
	old := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	if conn, err := tls.Dial("tcp", s.listener.Addr().String(), old); err == nil {
		conn.Close()
		t.Error("TLS 1.1 is spoken")
	}
	if _, err := http.Get("https://" + s.listener.Addr().String() + "/"); err == nil {
		t.Error("an untrusted certificate is trusted")
	}
	if got := octotest.Call("GET", s.listener.Addr().String(), "/healthz"); got.Status != 400 || !strings.Contains(got.Body, "HTTPS") {
		t.Errorf("without TLS: %d %q", got.Status, got.Body)
	}
}

func bodyOf(t *testing.T, c *http.Client, url string) string {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// shown returns whose certificate a server shows to a new connection.
func shownBy(t *testing.T, s *server) string {
	t.Helper()
	conn, err := tls.Dial("tcp", s.listener.Addr().String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].Subject.CommonName
}

func TestSIGHUPReadsTheCertificateAgain(t *testing.T) {
	dir := t.TempDir()
	var log syncedBuilder
	s := startTLS(t, dir, &log)
	hangUp := func() {
		if err := hangUp(); err != nil {
			t.Fatal(err)
		}
	}
	octotest.WriteCertificate(t, dir, "second", time.Now().Add(time.Hour))
	hangUp()
	octotest.WaitUntil(t, "the new one is shown", func() bool { return shownBy(t, s) == "second" })

	for n, spoil := range []func(){
		func() { octotest.WriteCertificate(t, dir, "expired", time.Now().Add(-time.Hour)) },
		func() { os.WriteFile(filepath.Join(dir, "cert.pem"), []byte("no certificate"), 0o600) },
		func() { os.Remove(filepath.Join(dir, "key.pem")) },
	} {
		spoil()
		hangUp()
		octotest.WaitUntil(t, "it is refused", func() bool { return strings.Count(log.String(), "the certificate is as it was") == n+1 })
		if got := shownBy(t, s); got != "second" {
			t.Errorf("the certificate of %s is shown", got)
		}
	}
	for _, want := range []string{"the certificate expired on", "OCTOSTORE_TLS_CERT and OCTOSTORE_TLS_KEY", "OCTOSTORE_TLS_KEY: open "} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not say %q:\n%s", want, log.String())
		}
	}
}

// Over HTTP/2 many requests share a connection. One that is cancelled gives its place up
// while the others wait on, and no lease is left without a holder.
func TestOverHTTP2AWaiterWhoHangsUpFreesItsPlace(t *testing.T) {
	dir := t.TempDir()
	s := startTLS(t, dir, io.Discard)
	c := octotest.Trusting(t, filepath.Join(dir, "cert.pem"))
	base := "https://" + s.listener.Addr().String() + "/v1/locks/a"
	send := func(ctx context.Context, path string) octotest.Answer {
		r, err := http.NewRequestWithContext(ctx, "POST", base+path, nil)
		if err != nil {
			return octotest.Answer{Err: err}
		}
		resp, err := c.Do(r)
		if err != nil {
			return octotest.Answer{Err: err}
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		return octotest.Answer{Status: resp.StatusCode, Body: string(body), After: time.Now(), Err: err}
	}
	waiting := func(n int) {
		t.Helper()
		octotest.WaitUntil(t, "the queue is right", func() bool { return s.serving().table.Stats().Waiters == n })
	}
	first := send(t.Context(), "/acquire?ttl=1h")
	octotest.Expect(t, first, 200, "lease_id")
	leaves, leave := context.WithCancel(t.Context())
	ended := make(chan octotest.Answer, 2)
	go func() { ended <- send(leaves, "/acquire?wait=1m") }()
	waiting(1)
	go func() { ended <- send(t.Context(), "/acquire?wait=1m&holder=patient") }()
	waiting(2)
	leave()
	if got := <-ended; got.Err == nil {
		t.Errorf("who left was answered %d %s", got.Status, got.Body)
	}
	waiting(1)
	octotest.Expect(t, send(t.Context(), "/release?lease_id="+octotest.Member(t, first.Body, "lease_id")), 200, "")
	octotest.Expect(t, <-ended, 200, `"patient"`)
	if n := s.serving().table.Stats().Held; n != 1 {
		t.Errorf("%d leases, want that of who waited", n)
	}
}
