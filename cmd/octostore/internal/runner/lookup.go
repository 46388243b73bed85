package runner

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/octostore/octostore/cmd/octostore/internal/exitcode"
)

// lookUp returns the path of a command. Its errors carry the exit codes of a shell.
func lookUp(command string) (string, error) {
	path, err := exec.LookPath(command)
	switch {
	case err == nil:
		return path, nil
	case errors.Is(err, exec.ErrDot):
		return "", exitcode.As(exitcode.NotFound, fmt.Errorf("%s: found in the working directory only; want ./%s if it is meant", command, command))
	case errors.Is(err, exec.ErrNotFound) && onPath(command):
		err = fs.ErrPermission
	}
	return "", notStarted(command, err)
}

// onPath reports whether a folder of PATH has a file of this name.
func onPath(command string) bool {
	if strings.ContainsRune(command, filepath.Separator) {
		return false
	}
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if info, err := os.Stat(filepath.Join(dir, command)); err == nil && !info.IsDir() {
			return true
		}
	}
	return false
}

// notStarted is the error for a command that cannot be started.
func notStarted(command string, err error) error {
	if reason, is := errors.AsType[*exec.Error](err); is {
		err = reason.Err
	}
	if reason, is := errors.AsType[*fs.PathError](err); is {
		err = reason.Err
	}
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		return exitcode.As(exitcode.NotFound, fmt.Errorf("%s: command not found", command))
	}
	return exitcode.As(exitcode.NotExecutable, fmt.Errorf("%s: %w", command, err))
}
