package sqlite

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/sqlite/internal/conn"
	"github.com/octostore/octostore/core/store/sqlite/internal/rows"
	"github.com/octostore/octostore/core/store/storetest"
)

// The WAL starts over before it gets much longer than its usual size, whatever readers do.
func TestWALStaysBounded(t *testing.T) {
	t.Parallel()
	commits := 20_000
	if testing.Short() {
		commits = 2_000
	}
	s := open(t, Config{Path: newPath(t), walSize: defaultWAL})
	storetest.Load(t, s)

	cursors := make(chan lock.Seq) // from where to read next
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for after := range cursors {
				if _, err := s.Segments(t.Context(), after, 100); err != nil {
					t.Error(err)
				}
			}
		})
	}
	var line storetest.Line
	for range commits {
		seq := line.Head.Seq + 1
		line.Commit(t, s, 1, storetest.Row(lock.Name(fmt.Sprintf("l/%d", seq%500)), seq, time.Minute))
		select {
		case cursors <- seq / 2:
		default: // all are reading
		}
	}
	close(cursors)
	readers.Wait()
	if _, wal := s.Sizes(); wal > 4*defaultWAL {
		t.Errorf("the WAL takes %d bytes", wal)
	}
}

// A WAL that got long because of a long reader is truncated when it starts over: the space
// is free again, and later commits do not rely on it.
func TestWALGetsItsSizeBack(t *testing.T) {
	cfg := Config{Path: newPath(t), walSize: 64 << 10}
	s := open(t, cfg)
	storetest.Load(t, s)
	var line storetest.Line
	line.Commit(t, s, 1)
	reader, err := conn.Open(s.path, conn.ReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	for _, sql := range []string{"BEGIN", "SELECT count(*) FROM segments"} {
		if err := reader.Exec(sql); err != nil {
			t.Fatal(err)
		}
	}
	for long := false; !long; {
		line.Commit(t, s, 1, bulkyRow(line.Head.Seq%50))
		_, wal := s.Sizes()
		long = wal > 4*cfg.walSize
	}
	if err := reader.Exec("COMMIT"); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	s.checkpointNow()
	s.mu.Unlock()
	line.Commit(t, s, 1)
	if _, wal := s.Sizes(); wal != cfg.walSize {
		t.Errorf("the WAL takes %d bytes after it started over, want %d", wal, cfg.walSize)
	}
}

func TestWALHasItsSizeFromTheStart(t *testing.T) {
	cfg := Config{Path: newPath(t), walSize: 1 << 20}
	s := open(t, cfg)
	for range 2 {
		if _, wal := s.Sizes(); wal != cfg.walSize {
			t.Errorf("the WAL takes %d bytes, want %d", wal, cfg.walSize)
		}
		head := storetest.Load(t, s).Head
		line := storetest.Line{Head: head}
		for range 20 {
			line.Commit(t, s, 1)
		}
		if _, wal := s.Sizes(); wal != cfg.walSize {
			t.Errorf("the WAL takes %d bytes after commits, want %d", wal, cfg.walSize)
		}
		s = reopen(t, s, cfg)
	}
}

// A long reader makes the WAL grow; after it has left, the WAL gets back to its size.
func TestWALShrinksAfterALongReader(t *testing.T) {
	if testing.Short() {
		t.Skip("takes many commits")
	}
	t.Parallel()
	const kept = 256 << 10
	s := open(t, Config{Path: newPath(t), walSize: kept})
	storetest.Load(t, s)
	var line storetest.Line
	commit := func() {
		seq := line.Head.Seq + 1
		line.Commit(t, s, 1, storetest.Row(lock.Name(fmt.Sprintf("l/%d", seq%500)), seq, time.Minute))
	}
	commit()

	r, err := s.readers.take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r.Segments.BindInt(1, 0)
	if more, err := r.Segments.Step(); err != nil || !more {
		t.Fatalf("step = %v, %v", more, err)
	}
	wal := func() int64 { _, n := s.Sizes(); return n }
	for i := 0; wal() < 5*checkpointEvery*4096; i++ {
		if i > 20*checkpointEvery {
			t.Fatalf("the WAL takes only %d bytes", wal())
		}
		commit()
	}
	r.Segments.Reset()
	s.readers.put(r)

	for i := 0; wal() > kept; i++ {
		if i > 4*checkpointEvery {
			t.Fatalf("the WAL still takes %d bytes", wal())
		}
		commit()
	}
}

// A WAL that got long makes commits wait for readers, but not for long. If the readers
// leave in time, the WAL starts over.
func TestCheckpointInsists(t *testing.T) {
	s := open(t, Config{Path: newPath(t)})
	storetest.Load(t, s)
	var line storetest.Line
	for range 10 {
		line.Commit(t, s, 1)
	}
	insist := func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.pace = pace{frames: insistAt, insistAt: insistAt}
		return s.checkpointRest()
	}
	r, err := s.readers.take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r.Segments.BindInt(1, 0)
	if more, err := r.Segments.Step(); err != nil || !more {
		t.Fatalf("step = %v, %v", more, err)
	}
	line.Commit(t, s, 1) // which the reader does not see
	long := s.w.WALFrames()

	if err := insist(); !conn.FailedWith(err, conn.CodeBusy) || !retryable(err) {
		t.Errorf("beside a reader that stays: %v, want that it is busy", err)
	}
	for range 20 { // a busy machine may not let it leave in time
		left := make(chan struct{})
		time.AfterFunc(insistFor/4, func() {
			r.Segments.Reset()
			close(left)
		})
		err = insist()
		if <-left; err == nil {
			break
		}
		if more, err := r.Segments.Step(); err != nil || !more {
			t.Fatalf("step = %v, %v", more, err)
		}
	}
	s.readers.put(r)
	if err != nil {
		t.Errorf("beside a reader that leaves: %v", err)
	}
	line.Commit(t, s, 1)
	if now := s.w.WALFrames(); now >= long {
		t.Errorf("the WAL goes on at %d frames after %d", now, long)
	}
}

func TestCheckpointPace(t *testing.T) {
	p := newPace()
	for _, step := range []struct {
		frames int
		want   bool
	}{
		{1, false},
		{checkpointEvery - 1, false},
		{checkpointEvery, true},
		{checkpointEvery + 1, false},
		{2 * checkpointEvery, true},
		{2*checkpointEvery + 10, false},
		{3 * checkpointEvery, true},
		{5, false}, // it started over
		{checkpointEvery, true},
	} {
		if got := p.after(step.frames); got != step.want {
			t.Errorf("at %d frames: move = %v, want %v", step.frames, got, step.want)
		}
	}
	for _, step := range []struct {
		frames int
		want   bool
	}{
		{insistAt - 1, false},
		{insistAt, true},
		{insistAt + checkpointEvery, false},
		{2 * insistAt, true},
		{3 * insistAt, false},
		{4 * insistAt, true},
	} {
		p.after(step.frames)
		if got := p.insists(); got != step.want {
			t.Errorf("at %d frames: insist = %v, want %v", step.frames, got, step.want)
		}
	}
}

// A checkpoint needs both steps: the bulk moves beside the commits, and what commits added
// meanwhile between two of them.
func TestCheckpointMovesTheWAL(t *testing.T) {
	s := open(t, Config{Path: newPath(t)})
	storetest.Load(t, s)
	var line storetest.Line
	for range 10 {
		line.Commit(t, s, 1)
	}
	mover, err := openCheckpointer(s.path)
	if err != nil {
		t.Fatal(err)
	}
	defer mover.Close()
	if err := mover.Checkpoint(conn.Passive); err != nil {
		t.Fatal(err)
	}
	alone := newPath(t)
	copyFile(t, s.path, alone) // without its WAL
	if got := storetest.Load(t, open(t, Config{Path: alone})).Head; got != line.Head {
		t.Errorf("head in the database file = %v, want %v", got, line.Head)
	}

	line.Commit(t, s, 1)
	line.Commit(t, s, 1)
	long := s.w.WALFrames()
	line.Commit(t, s, 1)
	s.mu.Lock()
	err = s.checkpointRest()
	s.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	line.Commit(t, s, 1)
	if now := s.w.WALFrames(); now >= long {
		t.Errorf("the WAL goes on at %d frames after %d", now, long)
	}
}

// A process that still reads, as for a backup, does not make Close fail: the rest of the
// log is left to the next start.
func TestCloseBesideAReader(t *testing.T) {
	var told strings.Builder
	cfg := Config{Path: newPath(t), Logger: slog.New(slog.NewTextHandler(&told, nil))}
	s := open(t, cfg)
	storetest.Load(t, s)
	var line storetest.Line
	line.Commit(t, s, 1)
	backup, err := rows.OpenReader(s.path)
	if err != nil {
		t.Fatal(err)
	}
	backup.Segments.BindInt(1, 0)
	if more, err := backup.Segments.Step(); err != nil || !more {
		t.Fatalf("step = %v, %v", more, err)
	}
	line.Commit(t, s, 1)

	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if !strings.Contains(told.String(), s.path+"-wal") {
		t.Errorf("the log says %q, and nothing of the WAL that is left", told.String())
	}
	s = open(t, cfg)
	if got := storetest.Load(t, s).Head; got != line.Head {
		t.Errorf("head = %v, want %v", got, line.Head)
	}
	backup.Segments.Reset()
	backup.Close()
	line.Commit(t, s, 1)
}
