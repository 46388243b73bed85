package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/config"
	"github.com/octostore/octostore/cmd/octostore/internal/preflight"
	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/sqlite"
	"github.com/octostore/octostore/core/table"
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
	hooks.CursorStore
	Sizes() (db, wal int64)
	Used(ctx context.Context) (int64, error) // bytes that hold something
	// Full reports whether its last space has to be saved for those who hold a lock.
	Full() bool
	// Failed is closed when the storage has found by itself that it cannot go on, and
	// refuses every commit.
	Failed() <-chan struct{}
	Close() error
}

// openStorage opens the storage at a path.
type openStorage func(ctx context.Context, path string, log *slog.Logger) (storage, error)

// serve runs a server until ctx ends, then stops it in good order; listening, if not nil,
// is called once it accepts connections. An error means it could not start, could not go
// on, or could not stop in good order.
func serve(ctx context.Context, cfg config.Config, log *slog.Logger, open openStorage, listening func(*slog.Logger)) error {
	s, err := startServer(ctx, cfg, log, open)
	if err != nil && ctx.Err() != nil {
		log.Info("stopped before the server listened", "cause", context.Cause(ctx), "err", err)
		return nil
	}
	if err != nil {
		return err
	}
	if listening != nil {
		listening(log)
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
	log         *slog.Logger
	certificate *preflight.Certificate // nil: no TLS
	listener    net.Listener
	admin       net.Listener // nil: there is none
	store       storage
	journal     *journal.Journal
	table       *table.Table
	policies    *policies // nil: there are none
	tokens      *tokens
	login       *login.GitHub // nil: nobody can log in
	keeper      *journal.Keeper
	api         *transport.API
	http        []*http.Server
	served      chan error // what ended the accepting of connections
	hangups     *hangups
}

// startServer opens all parts and begins to accept connections. The caller stops the
// server.
func startServer(ctx context.Context, cfg config.Config, log *slog.Logger, open openStorage) (_ *server, err error) {
	s := &server{log: log, served: make(chan error, 2)} // one for each listener
	defer func() {
		if err != nil {
			_ = s.close() // what went wrong first is what counts
		}
	}()
	parts, err := preflight.Prepare(cfg)
	if err != nil {
		return nil, err
	}
	s.listener, s.admin, s.certificate = parts.Listener, parts.Admin, parts.Certificate
	if cfg.Policies != "" {
		if s.policies, err = openPolicies(ctx, cfg, log); err != nil {
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
	exposed := parts.Exposed(cfg)
	switch {
	case exposed != "" && !s.tokens.TokensRequired():
		return nil, &preflight.ExposedError{Addr: exposed}
	case exposed != "" && s.certificate == nil:
		log.Warn("others can reach this address, and tokens go over it as they are; set OCTOSTORE_TLS_CERT, or put a proxy with TLS before it", "addr", exposed)
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
	s.api = newAPI(s, cfg, log)
	s.serveHTTP()
	s.hangups = onHangup(s.reload)
	log.Info("listening", "addr", s.listener.Addr().String(), "tls", s.certificate != nil, "db", string(cfg.DB), "version", ownVersion())
	if s.admin != nil {
		log.Info("listening for administration", "addr", s.admin.Addr().String())
	}
	warnVolatile(log, string(cfg.DB))
	if !s.tokens.TokensRequired() {
		log.Info("there are no tokens: everybody on this machine may do everything; this makes the first one: " + firstToken(s.url()))
	}
	return s, nil
}

// url is where a client on this machine finds the server.
func (s *server) url() string {
	if s.certificate != nil {
		return "https://" + s.listener.Addr().String()
	}
	return "http://" + s.listener.Addr().String()
}

// firstToken is the command that makes a token while the server runs: the database is
// locked then.
func firstToken(url string) string { return "OCTOSTORE_URL=" + url + " octostore token create --admin" }

func (s *server) openTable(ctx context.Context, cfg config.Config) error {
	s.journal = journal.New(s.store)
	var rechecks func(lock.Name) bool
	if s.policies != nil {
		rechecks = core.Rechecks(s.policies)
	}
	table, err := table.Open(ctx, s.journal, table.Config{
		Rules: lock.Rules{
			MaxWaiters:           cfg.MaxWaiters,
			MaxWaitersPerLock:    cfg.MaxWaitersPerLock,
			MaxPerAccount:        cfg.AccountLocks,
			MaxWaitersPerAccount: cfg.AccountWaiters,
			Unlimited:            auth.LocalAccount,
			Level:                auditLevels[cfg.AuditLevel],
		},
		Full:      s.store.Full,
		Rechecks:  rechecks,
		Published: s.journal.Publish,
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
	keep := journal.KeepConfig{
		Journal:  s.journal,
		Recorder: s.table,
		Retention: journal.Retention{
			Age:  cfg.AuditRetention,
			Size: int64(cfg.AuditMaxSize),
		},
		LongestTTL: s.table.LongestTTL,
		Used:       s.store.Used,
		Logger:     log,
	}
	if s.policies != nil {
		keep.BeforePrune = s.policies.keepOnRecord
	}
	return journal.Keep(keep)
}

func newAPI(s *server, cfg config.Config, log *slog.Logger) *transport.API {
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

		MetricsOn: listenersOf[cfg.MetricsOn],
		ReadyOn:   listenersOf[cfg.ReadyOn],
		Limits: transport.Limits{
			Rate:        cfg.AccountRate,
			InFlight:    cfg.AccountInFlight,
			AddressRate: cfg.AddressRate,
			NewTokens:   cfg.NewTokens,
			Connections: cfg.MaxConnections,

			AdminConnections: adminConnections(cfg.MaxConnections),
		},
		MaxWatches: cfg.MaxWatches,
		MaxExports: cfg.MaxExports,
	}
	if s.policies != nil {
		shown.Policies = administered{s.policies}
	}
	return transport.New(shown)
}

// reload reads again what may change while the server runs. What cannot be used stays
// as it was.
func (s *server) reload() {
	if s.certificate != nil {
		if err := s.certificate.Reload(); err != nil {
			s.log.Error("the certificate is as it was", "err", err)
		} else {
			s.log.Info("the certificate was read again", "expires", s.certificate.Expires())
		}
	}
	if s.tokens.file != "" {
		s.tokens.reload()
	}
	if s.policies != nil {
		s.policies.reloadAtHangup()
	}
}

// record puts a notice about the server itself into the journal.
func (s *server) record(kind lock.Kind) error {
	ctx, cancel := context.WithTimeout(context.Background(), answerTime)
	defer cancel()
	e := lock.Event{Kind: kind, Cause: "octostore " + ownVersion()}
	if kind == lock.Stopped && s.policies != nil {
		e.Loaded = s.policies.PolicySet() // others may rule at the next start
	}
	_, err := s.table.Append(ctx, e)
	return err
}

// wait returns nil when ctx ends, else what keeps the server from going on.
func (s *server) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-s.table.Done():
		return s.stopped()
	case <-s.store.Failed():
		return s.failTable()
	case err := <-s.served:
		return fmt.Errorf("accept connections: %w", err)
	}
}

func (s *server) stopped() error {
	return fmt.Errorf("the lock table has stopped: %w", s.table.Err())
}

// failTable has the table find out that its store has failed. Until its next commit it
// would answer what it can from memory, and that may not be so any more.
func (s *server) failTable() error {
	_ = s.record(lock.Stopped) // it is refused
	select {
	case <-s.table.Done():
		return s.stopped()
	case <-time.After(answerTime):
		return errors.New("the database has failed, and a change to it that is under way does not end")
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
	if s.policies != nil {
		s.policies.stop()
	}
	s.table.Drain()
	for giveUp := time.Now().Add(answerTime); s.table.Stats().Waiters > 0 && time.Now().Before(giveUp); {
		time.Sleep(5 * time.Millisecond)
	}
}

// shutdown finishes the requests under way, and hangs up on those that take too long.
func (s *server) shutdown() {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTime)
	defer cancel()
	for _, on := range s.http {
		if on.Shutdown(ctx) != nil {
			_ = on.Close()
		}
	}
	_ = s.api.Close()    // it always says nil
	_ = s.keeper.Close() // so does this
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
	for _, l := range []net.Listener{s.listener, s.admin} {
		if l != nil {
			_ = l.Close() // again, mostly
		}
	}
	if s.hangups != nil {
		s.hangups.end()
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
		all = append(all, s.policies.close())
	}
	if s.store != nil {
		all = append(all, s.store.Close())
	}
	return errors.Join(all...)
}

// warnVolatile tells that a restart of the machine forgets every lease.
func warnVolatile(log *slog.Logger, db string) {
	if dir := filepath.Dir(absolute(db)); sqlite.Volatile(dir) {
		log.Log(context.Background(), slog.LevelWarn, preflight.VolatilePlace, "dir", dir)
	}
}
