package sqlite

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/storetest"
)

func TestFullDisk(t *testing.T) {
	for _, test := range []struct {
		name    string
		walSize int64
	}{
		{"with a WAL of its full size", 256 << 10},
		{"with a WAL that grows", -1},
	} {
		t.Run(test.name, func(t *testing.T) { testFullDisk(t, test.walSize) })
	}
}

func testFullDisk(t *testing.T, walSize int64) {
	dir := mountTmpfs(t, "8m")
	cfg := Config{Path: filepath.Join(dir, "octostore.db"), Reserve: 512 << 10, walSize: walSize, refillPause: time.Millisecond}
	s := open(t, cfg)
	storetest.Load(t, s)
	var line storetest.Line
	held := make(map[lock.Name]lock.Row)
	try := func(rows ...lock.Row) error {
		b := line.Batch(1, rows...)
		err := s.Commit(t.Context(), b)
		if err == nil {
			line.Head = b.Next
			for _, r := range rows {
				held[r.Name] = r
			}
		}
		return err
	}
	acquire := func() error {
		seq := line.Head.Seq + 1
		r := storetest.Row(lock.Name(fmt.Sprintf("l/%05d", seq)), seq, time.Minute)
		r.Lease.Reason = strings.Repeat("r", lock.MaxReason)
		return try(r)
	}
	until := func(what string, done func() bool) {
		t.Helper()
		for range 20_000 {
			if done() {
				return
			}
		}
		t.Fatalf("never: %s", what)
	}

	for range 100 {
		if err := acquire(); err != nil {
			t.Fatal(err)
		}
	}
	filler := filepath.Join(dir, "filler")
	fillDisk(t, filler)
	until("the disk is full", func() bool {
		err := acquire()
		if err != nil && err != lock.ErrFull {
			t.Fatalf("commit on a full disk = %v, want ErrFull", err)
		}
		return err != nil
	})
	if !s.Full() {
		t.Error("Full() = false")
	}

	// The reserve is free, so leases can be released. A release lengthens the WAL by some
	// 15 KiB, and the upkeep may not run before all of them are through.
	for i, name := 0, lock.Name(""); i < 50; i++ {
		name = lock.Name(fmt.Sprintf("l/%05d", i+1))
		if err := try(storetest.Free(name)); err != nil {
			t.Fatalf("release %d on a full disk: %v", i, err)
		}
		delete(held, name)
	}

	// Without any space left it still answers.
	fillDisk(t, filler+"-2")
	until("the ballast is used up", func() bool { return acquire() == lock.ErrFull })
	for range 20 {
		acquire()
	}
	if _, err := s.Segments(t.Context(), 0, 10); err != nil {
		t.Errorf("reading on a full disk: %v", err)
	}

	// It recovers by itself.
	for _, name := range []string{filler, filler + "-2"} {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	until("there is space again", func() bool {
		if err := acquire(); err != nil {
			t.Fatalf("commit with space = %v", err)
		}
		return !s.Full()
	})
	if fi, err := os.Stat(cfg.Path + "-ballast"); err != nil || fi.Size() != cfg.Reserve {
		t.Errorf("the ballast was not put back: %v", err)
	}

	snap := storetest.Load(t, reopen(t, s, cfg))
	if snap.Head != line.Head {
		t.Errorf("head = %v, want %v", snap.Head, line.Head)
	}
	if len(snap.Leases) != len(held) {
		t.Errorf("%d leases, want %d", len(snap.Leases), len(held))
	}
	for _, l := range snap.Leases {
		if _, ok := held[l.Lease.Name]; !ok {
			t.Errorf("%s is held", l.Lease.Name)
		}
	}
}

// A server must start on a full disk, so that its leases can be released.
func TestFullDiskAtTheStart(t *testing.T) {
	dir := mountTmpfs(t, "4m")
	cfg := Config{Path: filepath.Join(dir, "octostore.db"), Reserve: 256 << 10, walSize: 256 << 10}
	s := open(t, cfg)
	storetest.Load(t, s)
	var line storetest.Line
	for i := range 100 {
		line.Commit(t, s, 1, storetest.Row(lock.Name(fmt.Sprintf("l/%d", i)), lock.Token(i+1), time.Minute))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	fillDisk(t, filepath.Join(dir, "filler"))
	for _, id := range []string{"this boot", "another boot"} {
		fake := &fakeClocks{wall: time.Now(), boot: time.Hour, id: id}
		cfg.clocks = fake.clocks()
		s = open(t, cfg)
		if n := len(storetest.Load(t, s).Leases); n != 100 {
			t.Fatalf("%d leases, want 100", n)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// fillDisk writes a file until there is no space left.
func fillDisk(t *testing.T, name string) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size > 0; {
		if _, err := f.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
}

func TestReserveBacksOff(t *testing.T) {
	b := reserve{path: filepath.Join(t.TempDir(), "no", "such", "directory"), size: 1, first: time.Second}
	now := time.Now()
	var total time.Duration
	for _, want := range []time.Duration{1, 2, 4, 5, 5} {
		if err := b.restore(now.Add(total)); !errors.Is(err, os.ErrNotExist) {
			t.Fatalf("restore = %v", err)
		}
		total += want * time.Second
		if b.due(now.Add(total - 1)) {
			t.Errorf("due before %s", total)
		}
		if !b.due(now.Add(total)) {
			t.Errorf("not due after %s", total)
		}
	}
}
