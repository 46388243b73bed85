// Package octotest runs octostore as its users do: as processes of one binary, which is
// built once for all tests. It starts servers on free ports, waits until they are ready,
// sends requests to them, and shows the log of a server whose test fails.
//
// Only tests import it.
package octotest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/filelock"
)

// started is the folder of the test's package: a test may change the working directory before
// it runs the first command.
var started, errStarted = os.Getwd()

// Root returns the folder of the repository.
var Root = sync.OnceValue(func() string {
	if errStarted != nil {
		panic("octotest: " + errStarted.Error())
	}
	for dir := started; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if filepath.Dir(dir) == dir {
			panic("octotest: no go.mod above the tests")
		}
	}
})

// Path returns the path of a file of the repository, which is named with slashes.
func Path(name string) string { return filepath.Join(Root(), filepath.FromSlash(name)) }

// Binary returns the path of octostore, built from the files as they are, with the race
// detector if the tests have it.
func Binary(t testing.TB) string {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// The folder below bin is ignored by git and removed by make clean. The go command leaves
// a binary alone that is up to date, so all packages of tests share one.
var binary = sync.OnceValues(func() (string, error) {
	dir, args := Path("bin/test"), []string{"build", "-buildvcs=false"}
	if raceEnabled {
		dir, args = dir+"-race", append(args, "-race")
	}
	path := filepath.Join(dir, "octostore")
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	for err = filelock.Try(lock); errors.Is(err, filelock.ErrLocked); err = filelock.Try(lock) {
		time.Sleep(20 * time.Millisecond) // another package builds it
	}
	if err != nil {
		return "", err
	}
	build := exec.Command("go", append(args, "-o", path, "./cmd/octostore")...)
	build.Dir = Root()
	if said, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("octotest: octostore does not build: %w\n%s", err, said)
	}
	return path, readSources()
})

// readSources looks at every file that the binary is built from: go test runs a test again
// when a file it has looked at has changed, and knows nothing of the build.
func readSources() error {
	list := exec.Command("go", "list", "-deps", "-json=Dir,GoFiles,EmbedFiles,Module", "./cmd/octostore")
	list.Dir = Root()
	out, err := list.Output()
	if err != nil {
		return fmt.Errorf("octotest: go list: %w", err)
	}
	for packages := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			Dir                 string
			GoFiles, EmbedFiles []string
			Module              *struct{ Main bool }
		}
		if err := packages.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return fmt.Errorf("octotest: go list: %w", err)
		}
		if p.Module == nil || !p.Module.Main {
			continue
		}
		for _, name := range append(p.GoFiles, p.EmbedFiles...) {
			if _, err := os.Stat(filepath.Join(p.Dir, name)); err != nil {
				return err
			}
		}
	}
	_, err = os.Stat(Path("go.sum"))
	return err
}
