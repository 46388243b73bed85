// Package sqlite keeps the lock table and its journal in one SQLite file. A commit
// survives a power cut. A full disk loses nothing, and the store recovers by itself once
// there is space again.
//
// # Files
//
// Beside PATH lie PATH-wal and PATH-shm (SQLite's own, gone after a clean stop),
// PATH-lock (locked by the one process that may write; never deleted) and PATH-ballast
// (the reserve: space that is freed when the disk is full, so that leases can still be
// released). While a store is open, copy the database with [Backup], not with cp.
//
// # Connections
//
// One connection writes, under a mutex. A second one only checkpoints: it moves pages from
// the WAL into the database while commits go on. A few more read, each for as long as one
// call takes.
//
// # Parts
//
// The store decides when something is read or written, and what a failure means.
// internal/rows has the tables and their SQL, internal/conn the C interface of SQLite,
// internal/dbfile reads the files as bytes, and internal/host asks the operating system.
package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/sqlite/internal/dbfile"
	"github.com/octostore/octostore/core/store/sqlite/internal/host"
	"github.com/octostore/octostore/core/store/sqlite/internal/rows"
)

var _ journal.Store = (*Store)(nil)

// Reasons not to open a database.
var (
	ErrInUse   = host.ErrInUse
	ErrNewer   = rows.ErrNewer
	ErrForeign = rows.ErrForeign
	// ErrDamaged says that a database is not as it was written: the disk or another
	// program changed it. Nothing in it can be relied on, so a store neither serves it nor
	// writes to it.
	ErrDamaged = rows.ErrDamaged
	// ErrClosed is the answer of a closed store.
	ErrClosed = errors.New("the store is closed")
)

// Config says where a store is kept.
type Config struct {
	// Path is the database file. It is created, readable by its owner only, if
	// there is none.
	Path string
	// Reserve is the space kept for a full disk, in bytes; 0 means 20 MiB, less than 0
	// none. On a small disk the store keeps half of it, or a quarter, and so on.
	Reserve int64
	// Logger gets what an operator should know and no answer says: that the disk filled
	// up, that it has space again. Nil discards it.
	Logger *slog.Logger

	clocks      host.Clocks   // the system's
	walSize     int64         // 0: defaultWAL, less than 0: not extended
	refillPause time.Duration // before the first try to refill the reserve; 0: firstPause
	checkEvery  time.Duration // between checks of the files; 0: checkInterval

	freeSpace func() (free int64, known bool) // of the folder; nil: the system says
}

// Store is an open database. It is safe for use by many goroutines.
type Store struct {
	cfg  Config
	log  *slog.Logger
	path string // absolute, without symbolic links
	lock *host.SideLock

	inode host.InodeLock
	files []namedFile // that are open

	mu      sync.Mutex   // guards what follows, up to the blank line
	w       *rows.Writer // nil: closed
	head    lock.Seq
	hash    lock.Hash // of the line of head
	loaded  bool
	reserve reserve
	pace    pace
	stamp   uint32 // of the database file, see checkStamp

	openLog dbfile.OpenLog // guarded by mu, too

	failure atomic.Pointer[error] // why the store accepts nothing more
	failed  chan struct{}         // closed once there is a failure

	logStamped atomic.Bool // the present WAL has the stamp, see stampLog

	lastBackup atomic.Pointer[time.Time] // nil: none is on record

	checkpointing sync.Mutex // held during a checkpoint beside the commits; locked after mu

	readers  readers
	copies   copies
	wake     chan struct{} // to the upkeep, capacity 1
	stop     chan struct{} // closed when Close begins
	stopOnce sync.Once
	upkeep   sync.WaitGroup
}

// Open opens the database, creates it or migrates it as needed, and makes this process
// the one that may write to it.
//
// It looks for damage first. A database that it refuses stays as it is, and no new files
// stay beside it.
//
// Errors: [ErrInUse], [ErrNewer], [ErrForeign], [ErrDamaged], and those of the file
// system.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if err := host.Supported(); err != nil {
		return nil, err
	}
	path, err := host.Resolve(cfg.Path)
	if err != nil {
		return nil, fmt.Errorf("open database %q: %w", cfg.Path, err)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := checkLocation(path); err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	held, err := host.TakeSideLock(path)
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	s := newStore(cfg, path, held)
	if err := s.start(ctx); err != nil {
		s.abandon()
		return nil, fmt.Errorf("open database %s: %w", path, adviseAboutLog(path, rows.AsDamage(err)))
	}
	return s, nil
}

// defaultReserve is enough for a checkpoint, and a few MiB for what holders do after it.
const defaultReserve = 20 << 20

func newStore(cfg Config, path string, held *host.SideLock) *Store {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Reserve == 0 {
		cfg.Reserve = defaultReserve
	}
	if cfg.walSize == 0 {
		cfg.walSize = defaultWAL
	}
	if cfg.refillPause == 0 {
		cfg.refillPause = firstPause
	}
	if cfg.checkEvery == 0 {
		cfg.checkEvery = checkInterval
	}
	cfg.clocks = cfg.clocks.OrSystem()
	return &Store{
		cfg:     cfg,
		log:     cfg.Logger,
		path:    path,
		lock:    held,
		reserve: reserve{path: path + "-ballast", size: cfg.Reserve, first: cfg.refillPause},
		pace:    newPace(),
		readers: newReaders(path),
		failed:  make(chan struct{}),
		wake:    make(chan struct{}, 1),
		stop:    make(chan struct{}),
	}
}

func (s *Store) start(ctx context.Context) error {
	err := create(s.path)
	if err != nil {
		return err
	}
	if s.inode, err = host.TakeInodeLock(s.path); err != nil {
		return err
	}
	if err := checkWAL(s.path); err != nil {
		return err
	}
	err = s.retryWithoutReserve(func() (err error) {
		s.w, err = rows.OpenWriter(ctx, s.path, s.cfg.walSize)
		return err
	})
	if err != nil {
		return err
	}
	if err := s.loadLastBackup(); err != nil {
		return err
	}
	removeDraft(s.path)
	if err := stampDatabase(s.w, s.path); err != nil {
		return fmt.Errorf("stamp the database: %w", err)
	}
	if err := extendWAL(s.w, s.path+"-wal", s.cfg.walSize); err != nil {
		s.log.Warn("the write-ahead log could not be extended; commits will be slower", "path", s.path, "error", err)
	}
	s.fillReserve()
	if err := s.w.JoinWALWrites(); err != nil {
		return err
	}
	if err := s.rememberFiles(); err != nil {
		return err
	}
	if err := s.startLogWatch(); err != nil {
		return err
	}
	return s.startUpkeep()
}

func (s *Store) startUpkeep() error {
	mover, err := openCheckpointer(s.path)
	if err != nil {
		return err
	}
	s.readers.check = s.checkFiles
	s.upkeep.Go(func() { s.keepUp(mover) })
	s.upkeep.Go(s.watch)
	return nil
}

// abandon releases what a failed start had taken.
func (s *Store) abandon() {
	if s.w != nil {
		s.w.Close()
	}
	s.openLog.Close()
	s.inode.Release()
	s.lock.Abandon()
}

// create makes an empty file for a database that does not exist yet, so that only its
// owner can ever read it. SQLite gives its other files the same mode.
func create(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return checkNotTruncated(path)
	}
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return host.SyncDir(path)
}

// checkNotTruncated refuses an empty file beside a write-ahead log: the file was not always
// empty, and SQLite would delete the log.
func checkNotTruncated(path string) error {
	if host.SizeOf(path) == 0 && host.SizeOf(path+"-wal") > 0 {
		return rows.Damaged("the file is empty, but %s-wal is not", filepath.Base(path))
	}
	return nil
}

// Reserve returns the bytes of the reserve for a full disk, as it is on the disk.
func (s *Store) Reserve() int64 { return host.SizeOf(s.reserve.path) }

// Sizes returns the bytes the database file and its write-ahead log take, 0 for a
// file that is not there.
func (s *Store) Sizes() (db, wal int64) { return host.SizeOf(s.path), host.SizeOf(s.path + "-wal") }
