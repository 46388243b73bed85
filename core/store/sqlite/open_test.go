package sqlite

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/sqlite/internal/conn"
	"github.com/octostore/octostore/core/store/storetest"
)

func TestStoreIsTheOnlyOneOfItsFile(t *testing.T) {
	path := newPath(t)
	s := open(t, Config{Path: path})

	link := filepath.Join(t.TempDir(), "link.db")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, link} {
		_, err := Open(t.Context(), Config{Path: name})
		if !errors.Is(err, ErrInUse) {
			t.Fatalf("second Open of %s = %v, want ErrInUse", name, err)
		}
		for _, want := range []string{path, fmt.Sprintf("process %d", os.Getpid())} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("error %q does not say %q", err, want)
			}
		}
	}

	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path + "-lock"); err != nil {
		t.Errorf("the lock file must stay: %v", err)
	}
	open(t, Config{Path: path})
}

func TestFilesArePrivate(t *testing.T) {
	path := newPath(t)
	s := open(t, Config{Path: path, Reserve: 4096})
	storetest.Load(t, s)
	new(storetest.Line).Commit(t, s, 1)
	for _, suffix := range []string{"", "-wal", "-shm", "-lock", "-ballast"} {
		fi, err := os.Stat(path + suffix)
		if err != nil {
			t.Error(err)
		} else if fi.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %s", fi.Name(), fi.Mode())
		}
	}
}

func TestStoreClosed(t *testing.T) {
	s := open(t, Config{Path: newPath(t)})
	storetest.Load(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, loadErr := s.Load(t.Context())
	_, readErr := s.Segments(t.Context(), 0, 1)
	for call, err := range map[string]error{
		"Close":    s.Close(),
		"Load":     loadErr,
		"Segments": readErr,
		"Commit":   s.Commit(t.Context(), new(storetest.Line).Batch(1)),
	} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s = %v, want ErrClosed", call, err)
		}
	}
}

func TestCommitMistakesAreNoOutcomes(t *testing.T) {
	s := open(t, Config{Path: newPath(t)})
	var line storetest.Line
	if err := s.Commit(t.Context(), line.Batch(1)); err == nil {
		t.Error("commit before load succeeded")
	}
	storetest.Load(t, s)
	unsealed := line.Batch(1)
	unsealed.Segment = lock.Segment{}
	backwards := line.Batch(1)
	backwards.Segment.First = 0
	for name, b := range map[string]*lock.Batch{"unsealed": unsealed, "backwards": backwards} {
		if err := s.Commit(t.Context(), b); err == nil {
			t.Errorf("commit of a batch that is %s succeeded", name)
		}
	}
	line.Commit(t, s, 1)
}

// A store does not write to a file that another program has changed, for example a second
// server on a file system without locks.
func TestDeposedByAnotherWriter(t *testing.T) {
	s := open(t, Config{Path: newPath(t)})
	storetest.Load(t, s)
	var line storetest.Line
	line.Commit(t, s, 1)

	other, err := conn.Open(s.path, conn.ReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := other.Exec("INSERT INTO segments VALUES (500, 10, 11, 0, x'7b7d0a', 0)"); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(t.Context(), line.Batch(1, storetest.Row("a", 2, time.Minute))); !errors.Is(err, lock.ErrDeposed) {
		t.Fatalf("commit = %v, want ErrDeposed", err)
	}
	if n, err := s.w.IntOf("SELECT count(*) FROM leases"); err != nil || n != 0 {
		t.Errorf("%d leases, error %v, want none", n, err)
	}
}

// childEnv makes the test binary a server of the database that it names: it commits, and
// prints the number of each durable commit.
const childEnv = "OCTOSTORE_TEST_CHILD"

func child(path string) {
	ctx := context.Background()
	s, err := Open(ctx, Config{Path: path})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	if _, err := s.Load(ctx); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	var line storetest.Line
	for {
		seq := line.Head.Seq + 1
		b := line.Batch(1, storetest.Row(lock.Name(fmt.Sprintf("l/%d", seq%50)), seq, time.Minute))
		if err := s.Commit(ctx, b); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		line.Head = b.Next
		fmt.Println(seq)
	}
}

func TestKilled(t *testing.T) {
	path := newPath(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()

	lines := bufio.NewScanner(out)
	var told lock.Seq
	read := func() bool {
		if !lines.Scan() {
			return false
		}
		n, err := strconv.ParseUint(lines.Text(), 10, 64)
		if err != nil {
			t.Fatalf("the child said %q", lines.Text())
		}
		told = lock.Seq(n)
		return true
	}
	for told < 200 && read() {
	}

	_, err = Open(t.Context(), Config{Path: path})
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), fmt.Sprintf("process %d", cmd.Process.Pid)) {
		t.Errorf("Open beside the child = %v, want ErrInUse and its number, %d", err, cmd.Process.Pid)
	}
	cmd.Process.Kill()
	for read() {
	}
	cmd.Wait()

	snap := storetest.Load(t, open(t, Config{Path: path}))
	// The child may have been killed between a commit and its line.
	if snap.Head.Seq < told || snap.Head.Seq > told+1 {
		t.Errorf("head = %d after the child was told %d", snap.Head.Seq, told)
	}
	if len(snap.Leases) != 50 {
		t.Errorf("%d leases, want 50", len(snap.Leases))
	}
}
