package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/config"
	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/hooks"
	"github.com/octostore/octostore/transport"
	"github.com/octostore/octostore/transport/login"
)

// How long each part of an orderly stop may take. Together they stay below
// stopTime, after which the process gives up on a disk that does not answer.
const (
	answerTime   = time.Second     // to answer everybody who waits
	shutdownTime = 2 * time.Second // to finish the requests under way
	stopTime     = 4500 * time.Millisecond
)

// storage is what a server keeps its locks in.
type storage interface {
	journal.Store
	auth.Store
	hooks.Places
	Sizes() (db, wal int64)
	Used(ctx context.Context) (int64, error) // bytes that hold something
	// Full reports whether its last space has to be saved for those who hold a lock.
	Full() bool
	Close() error
}

// openStorage opens the storage at a path.
type openStorage func(ctx context.Context, path string, log *slog.Logger) (storage, error)

// serve runs a server until ctx ends, then stops it in good order. An error means it
// could not start, could not go on, or could not stop in good order.
func serve(ctx context.Context, cfg config.Config, log *slog.Logger, open openStorage) error {
	s, err := startServer(ctx, cfg, log, open)
	if err != nil {
		return err
	}
	failure := s.wait(ctx)
	if failure == nil {
		log.Info("stopping", "cause", context.Cause(ctx))
	}
	if err := s.stop(); failure == nil {
		failure = err
	}
	if failure == nil {
		log.Info("stopped")
	}
	return failure
}

// server is a running OctoStore: its parts, opened from the inside out and closed
// from the outside in.
type server struct {
	listener net.Listener
	store    storage
	journal  *journal.Journal
	table    *lock.Table
	policies *policies // nil: there are none
	tokens   *tokens
	login    *login.GitHub // nil: nobody can log in
	keeper   *journal.Keeper
	http     *http.Server
	served   chan error // what ended the accepting of connections
}

// startServer opens all parts and begins to accept connections. The caller stops the
// server.
func startServer(ctx context.Context, cfg config.Config, log *slog.Logger, open openStorage) (_ *server, err error) {
	s := &server{served: make(chan error, 1)}
	defer func() {
		if err != nil {
			_ = s.close() // what went wrong first is what counts
		}
	}()
	// First of all, since it changes nothing on the disk if the port is taken.
	if s.listener, err = listen(string(cfg.Addr)); err != nil {
		return nil, err
	}
	exposed := !isLoopback(s.listener)
	if exposed && cfg.TokensFile == "" && !cfg.LoginByGitHub() && !exists(string(cfg.DB)) {
		return nil, &exposedError{cfg.Addr} // before a database is made
	}
	if cfg.Policies != "" {
		if s.policies, err = openPolicies(ctx, string(cfg.Policies), log); err != nil {
			return nil, err
		}
	}
	if s.store, err = open(ctx, string(cfg.DB), log); err != nil {
		return nil, err // it names the file
	}
	if err := s.openTable(ctx, cfg); err != nil {
		return nil, fmt.Errorf("open the lock table: %w", err)
	}
	if s.tokens, err = openTokens(ctx, s, cfg, log); err != nil {
		return nil, err
	}
	if s.login, err = openLogin(cfg, s, log); err != nil {
		return nil, err
	}
	switch {
	case exposed && !s.tokens.Closed():
		return nil, &exposedError{cfg.Addr}
	case exposed:
		log.Warn("others can reach this address, and tokens go over it as they are; put a proxy with TLS before it", "addr", s.listener.Addr().String())
	case !s.tokens.Closed():
		log.Info("there are no tokens: everybody on this machine may do everything; octostore token create --admin makes the first")
	}
	// A full disk does not stop those who hold a lock from giving it back.
	if err := s.record(lock.Started); errors.Is(err, lock.ErrFull) {
		log.Warn("the start is not recorded", "err", err)
	} else if err != nil {
		return nil, fmt.Errorf("record the start: %w", err)
	}
	if s.policies != nil {
		if err := s.policies.begin(ctx, s); errors.Is(err, lock.ErrFull) {
			log.Warn("which policies rule is not recorded", "err", err)
		} else if err != nil {
			return nil, fmt.Errorf("record the policies: %w", err)
		}
	}
	s.keeper = newKeeper(s, cfg, log)
	s.http = newHTTPServer(s, cfg, log)
	go func() { s.served <- s.http.Serve(s.listener) }()
	log.Info("listening", "addr", s.listener.Addr().String(), "db", string(cfg.DB), "version", ownVersion())
	return s, nil
}

// listen binds the address.
func listen(addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("listen on %s: the port is taken, perhaps by another octostore; OCTOSTORE_ADDR names another", addr)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	return l, nil
}

// isLoopback reports whether only this machine reaches a listener. What counts is what
// is bound: a hosts file may say anything about localhost.
func isLoopback(l net.Listener) bool {
	bound, is := l.Addr().(*net.TCPAddr)
	return is && bound.IP.IsLoopback()
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// exposedError means that strangers could reach a server that asks nobody for a token.
type exposedError struct{ addr config.Address }

func (e *exposedError) Error() string {
	return fmt.Sprintf("listen on %s: this is not a loopback address, and without tokens whoever reaches the server may take and break any lock; "+
		"make a first token with octostore token create --admin, name a file of tokens by OCTOSTORE_TOKENS_FILE, or let people log in by GitHub", e.addr)
}

func (s *server) openTable(ctx context.Context, cfg config.Config) error {
	s.journal = journal.New(s.store)
	table, err := lock.Open(ctx, s.journal, lock.Config{
		MaxWaiters:        cfg.MaxWaiters,
		MaxWaitersPerLock: cfg.MaxWaitersPerLock,
		Level:             auditLevels[cfg.AuditLevel],
		Full:              s.store.Full,
		Published:         s.journal.Publish,
	})
	s.table = table
	return err
}

var auditLevels = map[config.AuditLevel]lock.Level{
	"changes":   lock.Changes,
	"decisions": lock.Decisions,
	"all":       lock.All,
}

// newKeeper has the journal signed and pruned.
func newKeeper(s *server, cfg config.Config, log *slog.Logger) *journal.Keeper {
	return journal.Keep(journal.KeepConfig{
		Journal:  s.journal,
		Recorder: s.table,
		Retention: journal.Retention{
			Age:  cfg.AuditRetention,
			Size: int64(cfg.AuditMaxSize),
			Keep: 2 * cfg.MaxTTL, // every live lease has its grant or a renewal on record
		},
		Used:   s.store.Used,
		Logger: log,
	})
}

func newHTTPServer(s *server, cfg config.Config, log *slog.Logger) *http.Server {
	rules := core.Config{
		DefaultTTL: cfg.DefaultTTL,
		MaxTTL:     cfg.MaxTTL,
		MaxWait:    cfg.MaxWait,
	}
	if s.policies != nil {
		rules.Guard = s.policies
	}
	shown := transport.Config{
		Service: core.New(s.table, rules),
		Journal: s.journal,
		Logger:  log,
		Version: ownVersion(),
		Sizes:   s.store.Sizes,
		Tokens:  s.tokens.Tokens,
		Login:   s.login,

		MaxWatches: cfg.MaxWatches,
		MaxExports: cfg.MaxExports,
	}
	if s.policies != nil {
		shown.Policies = administered{s.policies}
	}
	return transport.New(shown).Server()
}

// record puts a notice about the server itself into the journal.
func (s *server) record(kind lock.Kind) error {
	ctx, cancel := context.WithTimeout(context.Background(), answerTime)
	defer cancel()
	_, err := s.table.Append(ctx, lock.Event{Kind: kind, Cause: "octostore " + ownVersion()})
	return err
}

// wait returns nil when ctx ends, else what keeps the server from going on.
func (s *server) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-s.table.Done():
		return fmt.Errorf("the lock table has stopped: %w", s.table.Err())
	case err := <-s.served:
		return fmt.Errorf("accept connections: %w", err)
	}
}

// stop refuses acquires, answers everybody who waits, finishes what is under way, and
// closes all parts. After nil the database is complete in its one file.
func (s *server) stop() error {
	done := make(chan error, 1)
	go func() {
		s.drain()
		s.shutdown()
		done <- s.close()
	}()
	select {
	case err := <-done:
		return err
	case <-time.After(stopTime):
		return fmt.Errorf("not stopped after %s; the disk may not answer", stopTime)
	}
}

// drain has everybody who waits answered. Renewals and releases go on.
func (s *server) drain() {
	s.table.Drain()
	for giveUp := time.Now().Add(answerTime); s.table.Stats().Waiters > 0 && time.Now().Before(giveUp); {
		time.Sleep(5 * time.Millisecond)
	}
}

// shutdown finishes the requests under way, and hangs up on those that take too long.
func (s *server) shutdown() {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTime)
	defer cancel()
	if s.http.Shutdown(ctx) != nil {
		_ = s.http.Close()
	}
	_ = s.keeper.Close() // it always says nil
	if s.login != nil {
		_ = s.login.Close() // so does this
	}
	_ = s.tokens.Close() // so does this
	// Nobody is left to lock anything. If this is not recorded, the next start says
	// enough.
	_ = s.record(lock.Stopped)
}

// close closes the parts that are open, the outermost first.
func (s *server) close() error {
	if s.listener != nil {
		_ = s.listener.Close() // again, mostly
	}
	var all []error
	if s.keeper != nil {
		all = append(all, s.keeper.Close()) // again, mostly
	}
	if s.login != nil {
		all = append(all, s.login.Close()) // again, mostly
	}
	if s.tokens != nil {
		all = append(all, s.tokens.Close()) // again, mostly
	}
	if s.table != nil {
		all = append(all, s.table.Close(), s.journal.Close())
	}
	if s.policies != nil {
		s.policies.end()
		all = append(all, s.policies.Close())
	}
	if s.store != nil {
		all = append(all, s.store.Close())
	}
	return errors.Join(all...)
}
