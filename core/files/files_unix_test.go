//go:build unix

package files_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/octostore/octostore/core/files"
)

// Nothing but a regular file is read, and nothing is waited for to find that out.
func TestReadRefusesWhatIsNoRegularFile(t *testing.T) {
	dir := t.TempDir()
	pipe, socket, link := filepath.Join(dir, "pipe"), filepath.Join(dir, "socket"), filepath.Join(dir, "link")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if err := os.Symlink(pipe, link); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		pipe: "a named pipe (FIFO)", link: "a named pipe (FIFO)", socket: "a socket", dir: "a folder", "/dev/zero": "a device",
	} {
		done := make(chan error, 2)
		go func() {
			_, err := files.Read(path, 100)
			done <- err
			_, _, err = files.ReadSecret(path, 100)
			done <- err
		}()
		for range 2 {
			select {
			case err := <-done:
				if !errors.Is(err, files.ErrNotRegular) || !strings.Contains(err.Error(), path+" is "+want) {
					t.Errorf("%s: %v, want that it is %s", path, err, want)
				}
			case <-time.After(10 * time.Second):
				t.Fatalf("%s: still waiting", path)
			}
		}
	}
}

func TestReadIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("12345"), 0o600); err != nil {
		t.Fatal(err)
	}
	if text, err := files.Read(path, 5); string(text) != "12345" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	if _, err := files.Read(path, 4); !errors.Is(err, files.ErrTooLarge) || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v, want ErrTooLarge and the path", err)
	}
	if _, err := files.Read(path+"-none", 5); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	// It has no size, and is a regular file all the same.
	if text, err := files.Read("/proc/self/status", 1<<20); err == nil && len(text) == 0 {
		t.Error("a file of /proc is empty")
	}
}

// Secrets are for their owner and a group, as Kubernetes mounts them with defaultMode
// 0440 and fsGroup.
func TestReadSecretModes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for mode, want := range map[os.FileMode]bool{0o600: true, 0o400: true, 0o440: true, 0o640: true, 0o644: false, 0o444: false, 0o602: false, 0o666: false} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, _, err := files.ReadSecret(path, 10)
		if (err == nil) != want {
			t.Errorf("mode %04o: %v", mode, err)
		}
		if err == nil {
			continue
		}
		for _, say := range []string{path, "chmod 600", "defaultMode: 0440", "fsGroup"} {
			if !errors.Is(err, files.ErrExposed) || !strings.Contains(err.Error(), say) {
				t.Errorf("mode %04o: %v does not say %q", mode, err, say)
			}
		}
	}
}

// A private file is for its owner alone.
func TestReadPrivateModes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "private")
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for mode, want := range map[os.FileMode]bool{0o600: true, 0o400: true, 0o440: false, 0o620: false, 0o604: false, 0o602: false, 0o644: false} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		text, err := files.ReadPrivate(path, 10)
		if want && (err != nil || string(text) != "x") || !want && (!errors.Is(err, files.ErrShared) || !strings.Contains(err.Error(), path)) {
			t.Errorf("mode %04o: %q, %v", mode, text, err)
		}
	}
}
