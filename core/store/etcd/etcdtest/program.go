package etcdtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"
)

// Variable names an etcd to use instead of bin/etcd of the repository.
const Variable = "OCTOSTORE_TEST_ETCD"

var found = sync.OnceValues(find)

// Program returns the path of etcd, or skips the test.
func Program(t testing.TB) string {
	t.Helper()
	path, err := found()
	if err != nil {
		t.Skipf("no etcd: %v", err)
	}
	return path
}

// find returns the etcd of [Variable], else bin/etcd, which it builds if it is not there.
func find() (string, error) {
	if path := os.Getenv(Variable); path != "" {
		return path, nil
	}
	if runtime.GOOS == "windows" {
		return "", errors.New("it is started with a POSIX shell")
	}
	root, err := root()
	if err != nil {
		return "", err
	}
	path := filepath.Join(root, "bin", "etcd")
	if isFile(path) {
		return path, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // a folder of programs
		return "", err
	}
	unlock, err := lockFile(path + ".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if isFile(path) { // built by another process meanwhile
		return path, nil
	}
	return path, build(root, path)
}

// root returns the folder of the module: tests run in the folder of their package.
func root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for !isFile(filepath.Join(dir, "go.mod")) {
		if dir == filepath.Dir(dir) {
			return "", errors.New("not in the repository")
		}
		dir = filepath.Dir(dir)
	}
	return dir, nil
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// buildTime is enough to compile etcd on a small machine.
const buildTime = 8 * time.Minute

// build builds etcd at the version of .ci/peers/go.mod.
func build(root, path string) error {
	ctx, cancel := context.WithTimeout(context.Background(), buildTime)
	defer cancel()
	draft := path + ".new"
	cmd := exec.CommandContext(ctx, "go", "build", "-modfile=.ci/peers/go.mod", "-trimpath", "-ldflags", "-s -w",
		"-o", draft, "go.etcd.io/etcd/server/v3")
	cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOOS=", "GOARCH=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build it: %w: %s", err, out[max(0, len(out)-500):])
	}
	return os.Rename(draft, path)
}
