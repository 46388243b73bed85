package runner

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/octostore/octostore/cmd/octostore/internal/exitcode"
)

// Variables of the command.
const (
	envLock    = "OCTOSTORE_LOCK"
	envToken   = "OCTOSTORE_FENCING_TOKEN"
	envWaited  = "OCTOSTORE_WAITED_MS"
	envLeaseID = "OCTOSTORE_LEASE_ID_FILE"
)

// environ returns the environment of the command. In a run within a run the command sees the
// inner lock only.
func (h *held) environ() ([]string, error) {
	ours := []string{
		envLock + "=" + h.lease.Name(),
		envToken + "=" + strconv.FormatUint(h.lease.Token(), 10),
		envWaited + "=" + strconv.FormatInt(h.lease.Waited().Milliseconds(), 10),
	}
	if h.run.ExposeLease {
		path, err := h.file.write(h.lease.ID())
		if err != nil {
			return nil, exitcode.As(exitcode.Failed, fmt.Errorf("%s: the command was not started: write the lease id: %w", h.run.Name, err))
		}
		ours = append(ours, envLeaseID+"="+path)
	}
	outer := slices.DeleteFunc(os.Environ(), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return name == envLock || name == envToken || name == envWaited || name == envLeaseID
	})
	return append(outer, ours...), nil
}

// leaseFile has the lease id in a folder of its own, which only the user can read.
type leaseFile struct{ dir string }

// write creates the file and returns its path.
func (f *leaseFile) write(id string) (string, error) {
	dir, err := os.MkdirTemp("", "octostore-run-")
	if err != nil {
		return "", err
	}
	f.dir = dir
	path := filepath.Join(dir, "lease-id")
	return path, os.WriteFile(path, []byte(id+"\n"), 0o600)
}

// remove removes the file, if there is one. What a command has put beside it stays, and so does
// the folder.
func (f *leaseFile) remove() {
	if f.dir == "" {
		return
	}
	if err := os.Remove(filepath.Join(f.dir, "lease-id")); err == nil || errors.Is(err, fs.ErrNotExist) {
		_ = os.Remove(f.dir) // not empty: it is not all ours
	}
}
