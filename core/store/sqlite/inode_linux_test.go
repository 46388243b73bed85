package sqlite

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/storetest"
)

// serveBound mounts from as to in a mount namespace of its own, and starts the test binary
// there as a server of db. It returns the output of the server, which must fail.
func serveBound(t *testing.T, from, to, db string) string {
	t.Helper()
	unshare, err := exec.LookPath("unshare")
	if err != nil {
		t.Skip("there is no unshare, which makes a namespace of mounts")
	}
	flags := "-m"
	if os.Getuid() != 0 {
		flags = "-Urm"
	}
	if out, err := exec.Command(unshare, flags, "true").CombinedOutput(); err != nil {
		t.Skipf("a namespace of mounts is not to be had here: %v: %s", err, out)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second) // a server that starts goes on
	defer cancel()
	cmd := exec.CommandContext(ctx, unshare, flags, "sh", "-c", `mount --bind "$0" "$1" && exec "$2"`, from, to, os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+db)
	out, err := cmd.CombinedOutput()
	if err == nil || ctx.Err() != nil {
		t.Fatalf("the server was not refused: %s", out[:min(len(out), 200)])
	}
	if strings.Contains(string(out), "mount:") {
		t.Skipf("a file cannot be mounted here: %s", out)
	}
	return string(out)
}

// Only the database file is mounted into a container: its write-ahead log and its lock stay
// in the container.
func TestMountRefusesAFileMountedAlone(t *testing.T) {
	for _, suffix := range []string{"", "-wal"} {
		host, to := newPath(t), newPath(t)
		s := open(t, Config{Path: host})
		storetest.Load(t, s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		from := host
		if suffix == "" {
			writeFile(t, to, nil)
		} else {
			from = host + "-other"
			writeFile(t, from, nil)
			copyFile(t, host, to)
			writeFile(t, to+suffix, nil)
		}
		before := filesIn(t, filepath.Dir(to))
		said := serveBound(t, from, to+suffix, to)
		for _, want := range []string{to + suffix + " is mounted by itself", "mount the folder", filepath.Dir(to)} {
			if !strings.Contains(said, want) {
				t.Errorf("%q does not say %q", said, want)
			}
		}
		if after := filesIn(t, filepath.Dir(to)); after != before {
			t.Errorf("the folder had %s, and now has %s", before, after)
		}
	}
}

// A file has one server, whatever its name and whatever happened to the lock file.
func TestInodeLockRefusesASecondServer(t *testing.T) {
	for _, test := range []struct {
		name string
		make func(t *testing.T, path string) (second string)
	}{
		{"after the lock file was deleted", func(t *testing.T, path string) string {
			mustRemove(t, path+"-lock")
			return path
		}},
		{"after it was renamed", func(t *testing.T, path string) string {
			if err := os.Rename(path, path+"-moved"); err != nil {
				t.Fatal(err)
			}
			return path + "-moved"
		}},
		{"by a hard link whose other name was removed", func(t *testing.T, path string) string {
			link := newPath(t)
			if err := os.Link(path, link); err != nil {
				t.Fatal(err)
			}
			mustRemove(t, path)
			return link
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := newPath(t)
			s := open(t, Config{Path: path, checkEvery: never})
			storetest.Load(t, s)
			second := test.make(t, path)
			if who, running, err := Running(second); !running || err != nil || !strings.Contains(who, "under another name") {
				t.Errorf("Running = %q, %v, %v", who, running, err)
			}
			_, err := Open(t.Context(), Config{Path: second})
			if !errors.Is(err, ErrInUse) {
				t.Fatalf("second Open = %v, want ErrInUse", err)
			}
			if _, err := os.Stat(second + "-lock"); err == nil {
				t.Error("the refused start left a lock file")
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			open(t, Config{Path: second})
		})
	}
}

// A folder may be mounted: the lock file comes along.
func TestInodeLockOfAMountedFolder(t *testing.T) {
	path := newPath(t)
	s := open(t, Config{Path: path})
	storetest.Load(t, s)
	mounted := newPath(t)
	said := serveBound(t, filepath.Dir(path), filepath.Dir(mounted), mounted)
	if !strings.Contains(said, ErrInUse.Error()) {
		t.Errorf("a second server by a mount of the folder said %q", said)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, Config{Path: path})
}

// Other connections of this process open and close the file, too. None of them drops the
// locks of the server.
func TestInodeLockOutlastsOtherConnections(t *testing.T) {
	path := newPath(t)
	s := open(t, Config{Path: path, checkEvery: never})
	storetest.Load(t, s)
	new(storetest.Line).Commit(t, s, 1)
	if err := Backup(t.Context(), path, path+"-copy", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := Inspect(t.Context(), path, 0, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := Examine(t.Context(), path, func(Inspection) func(lock.Segment) error { return nil }); err != nil {
		t.Fatal(err)
	}
	mustRemove(t, path+"-lock")
	if _, err := Open(t.Context(), Config{Path: path}); !errors.Is(err, ErrInUse) {
		t.Errorf("second Open = %v, want ErrInUse", err)
	}
}
