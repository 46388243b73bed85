package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/storetest"
)

func TestBackupOfALiveStore(t *testing.T) {
	s := open(t, Config{Path: newPath(t)})
	secret := storetest.Load(t, s).Secret
	var line storetest.Line
	commit := func() {
		seq := line.Head.Seq + 1
		line.Commit(t, s, 1, storetest.Row(lock.Name(fmt.Sprintf("l/%d", seq%50)), seq, time.Minute))
	}
	for range 500 {
		commit()
	}
	before := line.Head.Seq

	target := newPath(t)
	done := make(chan struct{})
	var work sync.WaitGroup
	work.Go(func() {
		defer close(done)
		if err := Backup(t.Context(), s.path, target, nil); err != nil {
			t.Error(err)
		}
	})
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
			commit()
		}
	}
	work.Wait()

	if fi, err := os.Stat(target); err != nil || fi.Mode().Perm() != 0o600 {
		t.Fatalf("target: %v, %v", fi, err)
	}
	copied := open(t, Config{Path: target})
	snap := storetest.Load(t, copied)
	if string(snap.Secret) != string(secret) || len(snap.Leases) != 50 {
		t.Errorf("the copy has another secret or %d leases, not 50", len(snap.Leases))
	}
	if snap.Head.Seq < before || snap.Head.Seq > line.Head.Seq {
		t.Errorf("the copy ends at %d, want between %d and %d", snap.Head.Seq, before, line.Head.Seq)
	}
}

func TestBackupOfAStoppedStore(t *testing.T) {
	s := open(t, Config{Path: newPath(t)})
	storetest.Load(t, s)
	var line storetest.Line
	line.Commit(t, s, 3)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	target := newPath(t)
	if err := Backup(t.Context(), s.path, target, nil); err != nil {
		t.Fatal(err)
	}
	if got := storetest.Load(t, open(t, Config{Path: target})).Head; got != line.Head {
		t.Errorf("head = %v, want %v", got, line.Head)
	}
}

func TestBackupAfterACrash(t *testing.T) {
	s := open(t, Config{Path: newPath(t)})
	storetest.Load(t, s)
	var line storetest.Line
	line.Commit(t, s, 3)
	crashed := newPath(t)
	copyFile(t, s.path, crashed)
	copyFile(t, s.path+"-wal", crashed+"-wal")

	target := newPath(t)
	if err := Backup(t.Context(), crashed, target, nil); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{target, crashed} {
		if got := storetest.Load(t, open(t, Config{Path: path})).Head; got != line.Head {
			t.Errorf("head = %v, want %v", got, line.Head)
		}
	}
}

func TestBackupRefuses(t *testing.T) {
	s := open(t, Config{Path: newPath(t)})
	storetest.Load(t, s)
	new(storetest.Line).Commit(t, s, 1)

	existing := newPath(t)
	if err := os.WriteFile(existing, []byte("precious"), 0o644); err != nil {
		t.Fatal(err)
	}
	text := newPath(t)
	if err := os.WriteFile(text, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, test := range []struct {
		name           string
		ctx            context.Context
		source, target string
		want           error
	}{
		{"a target that exists", t.Context(), s.path, existing, os.ErrExist},
		{"itself", t.Context(), s.path, s.path, os.ErrExist},
		{"a source that is not ours", t.Context(), text, newPath(t), ErrForeign},
		{"a source that is not there", t.Context(), newPath(t), newPath(t), nil},
		{"a call whose context has ended", ended, s.path, newPath(t), context.Canceled},
	} {
		t.Run(test.name, func(t *testing.T) {
			kept, _ := os.ReadFile(test.target)
			err := Backup(test.ctx, test.source, test.target, nil)
			if err == nil || test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("Backup = %v, want %v", err, test.want)
			}
			after, _ := os.ReadFile(test.target)
			if test.target != s.path && string(after) != string(kept) {
				t.Errorf("the target was left as %q", after)
			}
			if kept == nil {
				if _, err := os.Stat(test.target); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("a target was left: %v", err)
				}
			}
		})
	}
}
