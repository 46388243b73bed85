package server

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/config"
	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/store/memory"
)

// startWatched starts a server that looks at its files often.
func startWatched(t *testing.T, cfg config.Config, log *syncedBuilder) *server {
	t.Helper()
	cfg.WatchFiles = 10 * time.Millisecond
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

// swap gives a folder of the files of a Kubernetes secret another version of them.
func swap(t *testing.T, dir, version string, files map[string]string) {
	t.Helper()
	if err := os.Mkdir(filepath.Join(dir, version), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, version, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	next := filepath.Join(dir, "..data_tmp")
	if err := os.Symlink(version, next); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, filepath.Join(dir, "..data")); err != nil {
		t.Fatal(err)
	}
}

// A renewed certificate is shown without a signal, whether its two files are replaced at
// once or one after the other. A bad one changes nothing, and the log says so once.
func TestWatchedCertificate(t *testing.T) {
	dir := t.TempDir()
	var log syncedBuilder
	cfg := testConfig(t)
	certFile, keyFile := octotest.WriteCertificate(t, dir, "first", time.Now().Add(time.Hour))
	cfg.TLSCert, cfg.TLSKey = config.File(certFile), config.File(keyFile)
	s := startWatched(t, cfg, &log)

	ends := time.Now().Add(2 * time.Hour)
	octotest.WriteCertificate(t, dir, "written in place", ends)
	octotest.WaitUntil(t, "it is shown", func() bool { return shownBy(t, s) == "written in place" })
	c := octotest.Trusting(t, certFile)
	want := fmt.Sprintf("octostore_certificate_expires_timestamp_seconds %.10e", float64(ends.Unix()))
	if metrics := bodyOf(t, c, s.url()+"/metrics"); !strings.Contains(metrics, strings.TrimRight(strings.Split(want, "e+")[0], "0")) {
		t.Errorf("the metrics do not say when it ends: want %s", want)
	}

	other := t.TempDir()
	newCert, newKey := octotest.WriteCertificate(t, other, "one after the other", time.Now().Add(time.Hour))
	before := strings.Count(log.String(), "the certificate is as it was")
	if err := os.Rename(newCert, certFile); err != nil {
		t.Fatal(err)
	}
	octotest.WaitUntil(t, "the half is refused", func() bool { return strings.Count(log.String(), "the certificate is as it was") > before })
	if got := shownBy(t, s); got != "written in place" {
		t.Errorf("the certificate of %s is shown", got)
	}
	refused := strings.Count(log.String(), "the certificate is as it was")
	time.Sleep(10 * cfg.WatchFiles)
	for range 20 { // looks, at least
		s.watched.certificate.Check()
	}
	if now := strings.Count(log.String(), "the certificate is as it was"); now != refused {
		t.Errorf("the same half was refused %d times", now-refused+1)
	}
	if err := os.Rename(newKey, keyFile); err != nil {
		t.Fatal(err)
	}
	octotest.WaitUntil(t, "the whole is shown", func() bool { return shownBy(t, s) == "one after the other" })
}

// Kubernetes updates a secret by pointing a link at another folder. A token that is gone
// stops working, and one that is new works. A file that is missing or has a mistake changes
// nothing.
func TestWatchedTokensFile(t *testing.T) {
	dir := t.TempDir()
	alice, bob := auth.NewSecret(), auth.NewSecret()
	file := filepath.Join(dir, "tokens")
	if err := os.Symlink("..data/tokens", file); err != nil {
		t.Fatal(err)
	}
	swap(t, dir, "..1", map[string]string{"tokens": "alice:" + alice + "\n"})
	var log syncedBuilder
	cfg := testConfig(t)
	cfg.TokensFile = config.File(file)
	s := startWatched(t, cfg, &log)
	works := func(secret string) bool { return s.as(secret, "GET", "/v1/locks").Status == 200 }
	refusals := func() int { return strings.Count(log.String(), "the tokens file cannot be used") }
	if !works(alice) || works(bob) {
		t.Fatal("the first version is not in force")
	}

	swap(t, dir, "..2", map[string]string{"tokens": "bob:" + bob + "\n"})
	octotest.WaitUntil(t, "the second version is in force", func() bool { return works(bob) && !works(alice) })
	swap(t, dir, "..3", map[string]string{"tokens": "nonsense"})
	octotest.WaitUntil(t, "the mistake is logged", func() bool { return refusals() == 1 })
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	octotest.WaitUntil(t, "that it is gone is logged", func() bool { return refusals() == 2 })
	if !works(bob) {
		t.Error("a mistake took a token away")
	}
	if err := os.WriteFile(file+".new", []byte("alice:"+alice+"\nbob:"+bob+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
	octotest.WaitUntil(t, "it is back", func() bool { return works(alice) && works(bob) })
	if n := refusals(); n != 2 {
		t.Errorf("%d refusals, want 2", n)
	}
}

// What a full disk leaves of a tokens file revokes nothing; a signal does.
func TestWatchedTokensFileThatIsEmpty(t *testing.T) {
	file, secret := filepath.Join(t.TempDir(), "tokens"), auth.NewSecret()
	if err := os.WriteFile(file, []byte("alice:"+secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var log syncedBuilder
	cfg := testConfig(t)
	cfg.TokensFile = config.File(file)
	s := startWatched(t, cfg, &log)
	if err := os.Truncate(file, 0); err != nil {
		t.Fatal(err)
	}
	octotest.WaitUntil(t, "it is logged", func() bool { return strings.Contains(log.String(), "the tokens file is empty") })
	octotest.Expect(t, s.as(secret, "GET", "/v1/locks"), 200, "")
	s.reload()
	octotest.Expect(t, s.as(secret, "GET", "/v1/locks"), 401, "")
	if n := strings.Count(log.String(), "the tokens file is empty"); n != 1 {
		t.Errorf("it is logged %d times", n)
	}
}

// A manifest or a module that changes is loaded, once; after a reload by hand it is not
// loaded again.
func TestWatchedPolicies(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, content []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name+".new"), content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, name+".new"), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	allow, deny := policyCode("check", "i32.const 0"), closed()
	write("p.wasm", allow)
	cfg := withPolicies(t, dir, `{"policies": [{"name": "p", "module": "p.wasm", "match": ["a/**"]}]}`)
	cfg.Addr = "127.0.0.1:0"
	var log syncedBuilder
	s := startWatched(t, cfg, &log)
	loads := func() int { return strings.Count(log.String(), "policies loaded") }
	ask := func() int { return s.call("POST", "/v1/locks/a/b/acquire?ttl=1s").Status }
	if got := ask(); got != 200 {
		t.Fatalf("at first: %d", got)
	}
	write("p.wasm", deny)
	octotest.WaitUntil(t, "the new module denies", func() bool { return ask() == 403 })
	write("policies.json", []byte(`{"policies": []}`))
	octotest.WaitUntil(t, "the new manifest is in force", func() bool { return ask() != 403 })
	if n := loads(); n != 3 {
		t.Errorf("%d loads, want 3:\n%s", n, log.String())
	}
	write("policies.json", []byte(`{"policies": [{"name": "p", "module": "absent.wasm", "match": ["a/**"]}]}`))
	octotest.WaitUntil(t, "the mistake is logged", func() bool { return strings.Contains(log.String(), "the policies are as they were") })
	write("absent.wasm", deny)
	octotest.WaitUntil(t, "the module is there now", func() bool { return ask() == 403 })
	if n := strings.Count(log.String(), "the policies are as they were"); n != 1 {
		t.Errorf("the mistake is logged %d times", n)
	}
	before := loads()
	octotest.Expect(t, s.call("POST", "/v1/policies/reload"), 200, "")
	for range 20 {
		s.watched.policies.Check()
	}
	if n := loads(); n != before+1 {
		t.Errorf("after a reload by hand they were loaded %d times", n-before)
	}
}
