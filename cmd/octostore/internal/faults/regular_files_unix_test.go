//go:build unix

package faults_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/core/auth"
)

func mkfifo(t *testing.T, path string) {
	t.Helper()
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A setting that names a pipe ends the start with a sentence; it does not wait for a
// writer that never comes.
func TestRegularFilesOnlyAtTheStart(t *testing.T) {
	t.Parallel()
	github := []string{"OCTOSTORE_GITHUB_CLIENT_ID=x", "OCTOSTORE_GITHUB_ALLOW=user:alice@1=acquire:**"}
	for _, test := range []struct {
		file    string
		environ []string
	}{
		{"tokens", []string{"OCTOSTORE_TOKENS_FILE=tokens"}},
		{"secret", append(github, "OCTOSTORE_GITHUB_CLIENT_SECRET_FILE=secret")},
		{"cert.pem", []string{"OCTOSTORE_TLS_CERT=cert.pem", "OCTOSTORE_TLS_KEY=key.pem"}},
		{"policies.json", []string{"OCTOSTORE_POLICIES=policies.json"}},
		{"rule.wasm", []string{"OCTOSTORE_POLICIES=manifest.json"}},
		{".env", nil},
		{"octostore.db", nil},
	} {
		t.Run(test.file, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			mkfifo(t, filepath.Join(dir, test.file))
			manifest := `{"policies": [{"name": "rule", "module": "rule.wasm", "match": ["**"]}]}`
			if err := os.WriteFile(filepath.Join(dir, "manifest.json"), []byte(manifest), 0o600); err != nil {
				t.Fatal(err)
			}
			p, err := octotest.TryStart(dir, test.environ...)
			if err == nil {
				p.Kill()
				t.Fatal("it started")
			}
			if !strings.Contains(err.Error(), test.file+" is a named pipe (FIFO), not a regular file") {
				t.Errorf("got %v", err)
			}
		})
	}
}

// A pipe in the place of the tokens file does not hold up the reload, which says that
// tokens that were taken out are still good; nor the stop.
func TestRegularFilesOnlyAtAReload(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "tokens")
	secret := auth.NewSecret()
	if err := os.WriteFile(path, []byte("alice:"+secret+":admin\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := octotest.Start(t, dir, "OCTOSTORE_TOKENS_FILE=tokens")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	mkfifo(t, path)
	if err := p.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	said, err := p.WaitLog("the tokens file cannot be used: all tokens are as they were, and those that were taken out of the file are still good", octotest.Patient)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.EqualFold(said.Level, "error") || !strings.Contains(said.Err, "tokens is a named pipe (FIFO), not a regular file") {
		t.Errorf("the log says %+v", said)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("bob:"+auth.NewSecret()+":admin\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := p.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if _, err := p.WaitLog("tokens file read", octotest.Patient); err != nil {
		t.Error(err)
	}
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if ended, err := p.Wait(octotest.Patient); err != nil || !ended.Success() {
		t.Errorf("the stop: %v, %v", ended, err)
	}
}

// Kubernetes changes a mounted secret by moving the link ..data to another folder. A
// reload reads what is there then.
func TestRegularFilesBehindTheLinksOfKubernetes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	old, next := auth.NewSecret(), auth.NewSecret()
	mount := func(name, text string) {
		t.Helper()
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name, "tokens"), []byte(text), 0o440); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(name, filepath.Join(dir, "..data_tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	mount("..2026_11_27_08_00", "ci:"+old+"\n")
	if err := os.Symlink("..data/tokens", filepath.Join(dir, "tokens")); err != nil {
		t.Fatal(err)
	}
	p := octotest.Start(t, t.TempDir(), "OCTOSTORE_TOKENS_FILE="+filepath.Join(dir, "tokens"))
	octotest.Expect(t, octotest.CallAs(old, "GET", p.Addr, "/v1/locks"), 200, "")

	mount("..2026_11_27_09_00", "ci:"+next+"\n")
	if err := os.RemoveAll(filepath.Join(dir, "..2026_11_27_08_00")); err != nil {
		t.Fatal(err)
	}
	octotest.Expect(t, octotest.CallAs(old, "GET", p.Addr, "/v1/locks"), 200, "") // until it is told to look
	if err := p.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if _, err := p.WaitLog("tokens file read", octotest.Patient); err != nil {
		t.Fatal(err)
	}
	octotest.Expect(t, octotest.CallAs(old, "GET", p.Addr, "/v1/locks"), 401, "")
	octotest.Expect(t, octotest.CallAs(next, "GET", p.Addr, "/v1/locks"), 200, "")
}
