// Package archive keeps the audit log for good, in files of a folder. Each file is a
// complete export: it verifies by itself, and together with the files before and after it.
//
// A file begins after the record that its name has the number of, and is never changed. It
// gets its name only once its content is durable, and only if no file has that name: so a
// crash leaves a draft or a whole file, and two servers that share the folder cannot both
// write what follows a record. Files are written about once an hour, when they reach 64 MiB,
// and before records are pruned that are not in a file yet.
//
// All work in the folder is done by goroutines that no one waits for longer than they want:
// a network file system may hang for as long as it likes.
package archive

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/lock"
)

const (
	fileBytes    = 64 << 20         // of a file, about
	writeEvery   = time.Hour        // age of the oldest record that is not in a file
	checkEvery   = time.Minute      // between looks at that age, and at the folder
	retryEvery   = 5 * time.Second  // while the folder is gone, or not to be written to
	keepTime     = time.Minute      // for which Keep waits for the folder
	openTime     = 2 * time.Second  // for which Open waits for the folder
	closeTime    = time.Second      // for which Close waits for the folder
	staleAfter   = time.Hour        // drafts of that age are of a server that crashed
	repeatErrors = 15 * time.Minute // between log lines about one failure
)

// ErrOtherLog means that the folder has records that this journal does not have.
var ErrOtherLog = errors.New("the archive is not of this audit log")

var errSlow = errors.New("the folder does not answer")

// Config configures an [Archive].
type Config struct {
	// Dir is the folder. It is not created: a folder that is missing may be one that is not
	// mounted.
	Dir string
	// Journal is the journal that is archived. Load has been called.
	Journal *journal.Journal
	// Every is how old a record gets before it is in a file; 0 means an hour. It may be
	// twice as old.
	Every time.Duration
	// FileBytes is the size at which a file ends; 0 means 64 MiB. A file has at least one
	// segment.
	FileBytes int64
	// Owns reports whether the journal is certainly of the owner of the lock table. The next owner
	// writes into the same folder: its files are not of another log. nil: always.
	Owns   func() bool
	Logger *slog.Logger // nil: no log
}

// Archive is the archive of one journal. Create one with [Open]; it is safe for use by many
// goroutines.
type Archive struct {
	cfg  Config
	list atomic.Pointer[listing]
	// unlisted is why list may lack files, nil: it does not. What a reader does not find then
	// may be there all the same.
	unlisted atomic.Pointer[error]

	requests chan *request
	stop     context.CancelFunc
	done     chan struct{}
	listed   chan struct{} // closed after the first look at the folder
	reading  chan struct{} // a place for each read of a file
	verified sync.Map      // the files, by name, whose content was verified

	mu     sync.Mutex
	failed error
	since  time.Time
	logged time.Time

	hooks
}

// hooks are what tests replace.
type hooks struct {
	step func(point string) error // called between the steps of a write
	sync func(*os.File) error     // makes a file or a folder durable
}

// request asks for the records between two to be in the archive.
type request struct {
	from, upTo lock.Seq
	done       chan error // with room for the answer
}

// Open begins to archive the journal, whose readers and keeper use the archive from now on.
// It waits a moment for the folder, and goes on without it: what is wrong with the folder is
// logged and in [Archive.State], and nothing is pruned. The caller closes the archive after
// the keeper of the journal.
func Open(cfg Config) *Archive {
	return open(cfg.withDefaults(), hooks{step: func(string) error { return nil }, sync: (*os.File).Sync})
}

func (cfg Config) withDefaults() Config {
	if cfg.Every == 0 {
		cfg.Every = writeEvery
	}
	if cfg.FileBytes == 0 {
		cfg.FileBytes = fileBytes
	}
	if cfg.Owns == nil {
		cfg.Owns = func() bool { return true }
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return cfg
}

func open(cfg Config, h hooks) *Archive {
	ctx, stop := context.WithCancel(context.Background())
	a := &Archive{
		cfg: cfg, requests: make(chan *request), stop: stop, done: make(chan struct{}), listed: make(chan struct{}),
		reading: make(chan struct{}, 4), hooks: h,
	}
	a.list.Store(new(listing))
	go func() {
		defer close(a.done)
		a.run(ctx)
	}()
	select {
	case <-a.listed:
	case <-time.After(openTime):
	}
	cfg.Journal.SetArchive(a)
	return a
}

// Close ends the archiving. It waits for a write under way for a second only: a folder that
// hangs must not hold up a stop, and a file that appears later is a good one.
func (a *Archive) Close() error {
	a.stop()
	select {
	case <-a.done:
		return nil
	case <-time.After(closeTime):
		return fmt.Errorf("%s: %w", a.cfg.Dir, errSlow)
	}
}

// Keep implements [journal.Archive]. It waits a minute at most. [lock.ErrDeposed] means that the next
// owner of the lock table has gone on in the folder.
func (a *Archive) Keep(ctx context.Context, from, upTo lock.Seq) error {
	ctx, cancel := context.WithTimeoutCause(ctx, keepTime, fmt.Errorf("%s: %w", a.cfg.Dir, errSlow))
	defer cancel()
	r := &request{from: from, upTo: upTo, done: make(chan error, 1)}
	select {
	case a.requests <- r:
	case <-a.done:
		return journal.ErrClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case err := <-r.done:
		return err
	case <-a.done:
		return journal.ErrClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// run does all writing, until ctx ends.
func (a *Archive) run(ctx context.Context) {
	a.report(ctx, a.relist(ctx))
	close(a.listed)
	for {
		timer := time.NewTimer(min(a.pause(), a.cfg.Every))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case r := <-a.requests:
			err := a.keep(ctx, r)
			a.report(ctx, err)
			r.done <- err
		case <-timer.C:
			a.report(ctx, a.writeDue(ctx))
		}
		timer.Stop()
	}
}

// pause returns how long to wait until the next look at the folder. What is wrong with a folder that
// can be used is a file in it, or a write, and another try may read or write a lot.
func (a *Archive) pause() time.Duration {
	if a.State().Err != nil && usable(a.cfg.Dir) != nil {
		return retryEvery
	}
	return checkEvery
}

// keep has the records of a request in the archive, and finds them there.
func (a *Archive) keep(ctx context.Context, r *request) error {
	if err := a.check(ctx, r.from, r.upTo); err != nil {
		return err
	}
	if at, _ := a.list.Load().reach(lock.Head{Seq: r.from}); at.Seq >= r.upTo {
		return nil
	}
	if err := a.writeAll(ctx); err != nil {
		return err
	}
	if at, _ := a.list.Load().reach(lock.Head{Seq: r.from}); at.Seq < r.upTo {
		return fmt.Errorf("%s: the archive ends at record %d", a.cfg.Dir, at.Seq)
	}
	return nil
}

// writeDue writes files if the oldest record that is in none is old enough.
func (a *Archive) writeDue(ctx context.Context) error {
	if err := usable(a.cfg.Dir); err != nil {
		return err
	}
	if a.State().Err != nil {
		if err := a.relist(ctx); err != nil {
			return err
		}
	}
	at, _ := a.list.Load().reach(a.cfg.Journal.Pruned())
	page, err := a.cfg.Journal.Scan(ctx, at.Seq, 1)
	if err != nil || len(page) == 0 || time.Since(page[0].Time) < a.cfg.Every {
		return err
	}
	return a.writeAll(ctx)
}

// report keeps the error of the newest attempt, and logs when it is another one, or has
// lasted.
func (a *Archive) report(ctx context.Context, err error) {
	if ctx.Err() != nil || errors.Is(err, lock.ErrDeposed) {
		return // the archive is being closed, or will be
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	switch {
	case err == nil && a.failed != nil:
		a.cfg.Logger.Info("the audit log is archived again", "dir", a.cfg.Dir)
	case err == nil:
	case a.failed == nil, a.failed.Error() != err.Error(), now.Sub(a.logged) >= repeatErrors:
		a.cfg.Logger.Error("the audit log cannot be archived, so nothing of it is pruned", "dir", a.cfg.Dir, "err", err)
		a.logged = now
	}
	if err != nil && a.failed == nil {
		a.since = now
	}
	a.failed = err
}

// State implements [journal.Archive].
func (a *Archive) State() journal.ArchiveState {
	l := a.list.Load()
	s := journal.ArchiveState{Files: len(l.files), Bytes: l.bytes()}
	if n := len(l.files); n > 0 {
		newest := &l.files[n-1]
		s.Newest = journal.Mark{Seq: newest.last.Seq, Time: newest.newest}
		s.Oldest = l.begin(newest.last.Seq)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if s.Err = a.failed; s.Err != nil {
		s.Since = a.since
	}
	return s
}

// Oldest implements [journal.Archive].
func (a *Archive) Oldest(upTo lock.Seq) lock.Seq { return a.list.Load().begin(upTo) }
