package sqlite

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/sqlite/internal/host"
	"github.com/octostore/octostore/core/store/storetest"
)

// told is a log for many goroutines.
type told struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *told) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *told) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *told) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// eventually waits for something that a store does by itself.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for limit := time.Now().Add(30 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("never: %s", what)
		}
	}
}

// openAsUsual opens a store with the sizes of a server.
func openAsUsual(t *testing.T, dir string, log *told) *Store {
	t.Helper()
	cfg := Config{Path: filepath.Join(dir, "octostore.db"), Logger: log.logger(), walSize: defaultWAL, Reserve: defaultReserve, refillPause: time.Millisecond}
	s := open(t, cfg)
	storetest.Load(t, s)
	return s
}

// bulkyRow is a large lease: few of them fit on a page.
func bulkyRow(seq lock.Seq) lock.Row {
	r := storetest.Row(lock.Name(fmt.Sprintf("l/%07d", seq)), seq, time.Minute)
	r.Lease.Reason = strings.Repeat("r", lock.MaxReason)
	r.Lease.Metadata = map[string]string{"much": strings.Repeat("v", 2000)}
	return r
}

// A store reports a full disk while every commit still finds space in the WAL, and keeps
// the reserve for holders: the first operation without space is a checkpoint, and the
// reserve has space for that, too.
func TestReserveOutlastsACheckpoint(t *testing.T) {
	t.Parallel()
	dir := mountTmpfs(t, "64m")
	var log told
	s := openAsUsual(t, dir, &log)
	if got := host.SizeOf(s.path + "-ballast"); got != defaultReserve {
		t.Fatalf("the reserve has %d bytes, want %d", got, defaultReserve)
	}
	fillDisk(t, filepath.Join(dir, "filler"))
	var line storetest.Line
	for !s.Full() {
		seq := line.Head.Seq + 1
		line.Commit(t, s, 1, bulkyRow(seq))
	}
	held := line.Head.Seq
	t.Logf("full after %d commits", held)

	for range 2000 {
		renewed := bulkyRow(held)
		renewed.Lease.TTL += time.Duration(line.Head.Seq)
		line.Commit(t, s, 1, renewed)
	}
	for i := range held {
		line.Commit(t, s, 1, storetest.Free(lock.Name(fmt.Sprintf("l/%07d", i+1))))
	}
	if !s.Full() {
		t.Error("Full() = false, and the disk is full")
	}
	if n := strings.Count(log.String(), "using the reserve"); n != 1 {
		t.Errorf("told %d times that the reserve is given up:\n%s", n, log.String())
	}
}

// While the disk is full, every few commits run the checkpoint themselves, however busy the
// upkeep is: a longer WAL would use up the reserve.
func TestReserveIsNotSpentOnTheWAL(t *testing.T) {
	const most = 2 * checkpointEveryFull // a commit has a few frames
	s := open(t, Config{Path: newPath(t), walSize: -1})
	storetest.Load(t, s)
	s.mu.Lock()
	s.giveUpReserve(errors.New("no space"))
	s.reserve.again = time.Now().Add(time.Hour) // it is not put back
	s.mu.Unlock()
	var line storetest.Line
	for range 200 {
		line.Commit(t, s, 1, bulkyRow(line.Head.Seq%50))
		s.mu.Lock()
		frames := s.w.WALFrames()
		s.mu.Unlock()
		if frames > most {
			t.Fatalf("the WAL has %d frames, want at most %d", frames, most)
		}
	}
}

// When the store frees the reserve, the WAL starts over at once: its content then needs
// none of the reserve.
func TestReserveIsGivenUpForACheckpoint(t *testing.T) {
	s := open(t, Config{Path: newPath(t)})
	storetest.Load(t, s)
	var line storetest.Line
	for range 30 {
		line.Commit(t, s, 1, bulkyRow(line.Head.Seq%50))
	}
	s.mu.Lock()
	before := s.w.WALFrames()
	s.freeSpace(errors.New("no space"))
	s.mu.Unlock()
	line.Commit(t, s, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if after := s.w.WALFrames(); after >= before {
		t.Errorf("the WAL had %d frames, and has %d after it was moved", before, after)
	}
}

// A disk without space for the reserve is not full as long as commits succeed. The store
// fills the reserve when there is space, without a commit.
func TestReserveMissingCommitsGoOn(t *testing.T) {
	t.Parallel()
	dir := mountTmpfs(t, "2m")
	filler := filepath.Join(dir, "filler")
	if err := os.WriteFile(filler, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	var log told
	s := open(t, Config{Path: filepath.Join(dir, "octostore.db"), Logger: log.logger(), Reserve: 768 << 10, refillPause: time.Millisecond})
	storetest.Load(t, s)
	if s.Full() || !strings.Contains(log.String(), "no space for the whole reserve") {
		t.Fatalf("Full() = %v; the log says %q", s.Full(), log.String())
	}
	var line storetest.Line
	line.Commit(t, s, 1)
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the reserve is made", func() bool { return host.SizeOf(s.path+"-ballast") == 768<<10 })
	eventually(t, "the log says so", func() bool { return strings.Contains(log.String(), "more of the reserve") })
}

// A small disk has a smaller reserve.
func TestReserveOfASmallDisk(t *testing.T) {
	t.Parallel()
	var log told
	s := openAsUsual(t, mountTmpfs(t, "40m"), &log)
	if got := host.SizeOf(s.path + "-ballast"); got != defaultReserve/2 || s.Full() {
		t.Errorf("the reserve has %d bytes, Full() = %v; want %d, false", got, s.Full(), defaultReserve/2)
	}
	if !strings.Contains(log.String(), "no space for the whole reserve") {
		t.Errorf("the log says %q", log.String())
	}
}

// While acquires are refused there may be no commits at all. The store stops being full
// when the reserve is as large as before, and not earlier.
func TestFullDiskEndsByItself(t *testing.T) {
	t.Parallel()
	dir := mountTmpfs(t, "8m")
	s := open(t, Config{Path: filepath.Join(dir, "octostore.db"), walSize: 256 << 10, Reserve: 1 << 20, refillPause: time.Millisecond})
	storetest.Load(t, s)
	fillers := []string{filepath.Join(dir, "filler-1"), filepath.Join(dir, "filler-2")}
	if err := os.WriteFile(fillers[0], make([]byte, 512<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	fillDisk(t, fillers[1])
	var line storetest.Line
	for {
		b := line.Batch(1, bulkyRow(line.Head.Seq+1))
		err := s.Commit(t.Context(), b)
		if errors.Is(err, lock.ErrFull) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		line.Head = b.Next
	}
	fillDisk(t, filepath.Join(dir, "filler-3")) // what was given up is gone too
	if err := os.Remove(fillers[0]); err != nil {
		t.Fatal(err)
	}
	tries := func() time.Time {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.reserve.again
	}
	for range 3 {
		before := tries()
		eventually(t, "another try", func() bool { return tries().After(before) })
	}
	if !s.Full() {
		t.Error("Full() = false with half the space it needs")
	}
	if err := os.Remove(fillers[1]); err != nil {
		t.Fatal(err)
	}
	eventually(t, "there is space again", func() bool { return !s.Full() })
	if got := host.SizeOf(s.path + "-ballast"); got != 1<<20 {
		t.Errorf("the reserve has %d bytes", got)
	}
	line.Commit(t, s, 1)
}
