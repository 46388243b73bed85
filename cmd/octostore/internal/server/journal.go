package server

import (
	"context"
	"log/slog"

	"github.com/octostore/octostore/cmd/octostore/internal/config"
	"github.com/octostore/octostore/cmd/octostore/internal/version"
	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/journal/archive"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/sqlite"
	"github.com/octostore/octostore/core/table"
	"github.com/octostore/octostore/hooks"
)

// storage is the durable state of a server.
type storage interface {
	journal.Store
	auth.Store
	hooks.CursorStore
	Sizes() (db, wal int64)
	Reserve() int64                          // bytes of the reserve for a full disk
	Used(ctx context.Context) (int64, error) // bytes without free pages
	// Full reports whether the last space is reserved for renewals and releases.
	Full() bool
	// Failed is closed when the storage has failed outside a commit. It then refuses every
	// commit.
	Failed() <-chan struct{}
	Close() error
}

// openStorage opens the storage at a path.
type openStorage func(ctx context.Context, path string, log *slog.Logger) (storage, error)

// stores are the two ways to a storage. The settings choose one.
type stores struct {
	file    openStorage
	cluster openCluster
}

// openTable opens the journal and the lock table.
func (t *term) openTable(ctx context.Context, s *server, cfg config.Config) (err error) {
	t.journal = journal.New(t.store)
	var rechecks func(lock.Name) bool
	if t.policies != nil {
		rechecks = core.Rechecks(t.policies)
	}
	keeps := table.Config{
		Rules: lock.Rules{
			MaxWaiters:           cfg.MaxWaiters,
			MaxWaitersPerLock:    cfg.MaxWaitersPerLock,
			MaxPerAccount:        cfg.AccountLocks,
			MaxWaitersPerAccount: cfg.AccountWaiters,
			Unlimited:            auth.LocalAccount,
			Level:                auditLevels[cfg.AuditLevel],
		},
		Full:      t.store.Full,
		Rechecks:  rechecks,
		Published: t.journal.Publish,
	}
	if t.claim != nil {
		keeps.Owns = t.claim.Owns
	}
	if s.tracer != nil {
		keeps.Tracer = s.tracer
	}
	if t.table, err = table.Open(ctx, t.journal, keeps); err != nil || cfg.AuditArchive == "" {
		return err
	}
	t.archive = archive.Open(archive.Config{Dir: string(cfg.AuditArchive), Journal: t.journal, Owns: t.owns, Logger: s.log})
	return nil
}

// quotaStore is a storage with a quota that others may use as well, such as etcd.
type quotaStore interface {
	Space(ctx context.Context) (inUse, quota int64, err error)
}

var auditLevels = map[config.AuditLevel]lock.Level{
	"changes":   lock.Changes,
	"decisions": lock.Decisions,
	"all":       lock.All,
}

// newKeeper starts the signing and pruning of the journal.
func newKeeper(t *term, cfg config.Config, log *slog.Logger) *journal.Keeper {
	keep := journal.KeepConfig{
		Journal:  t.journal,
		Recorder: t.table,
		Retention: journal.Retention{
			Age:  cfg.AuditRetention,
			Size: int64(cfg.AuditMaxSize),
		},
		LongestTTL: t.table.LongestTTL,
		Used:       t.store.Used,
		Logger:     log,
	}
	if store, ok := t.store.(quotaStore); ok {
		keep.Space = store.Space
	}
	if t.policies != nil {
		keep.BeforePrune = t.policies.keepOnRecord
	}
	return journal.Keep(keep)
}

// record puts a notice about the server itself into the journal.
func (t *term) record(kind lock.Kind) error {
	ctx, cancel := context.WithTimeout(context.Background(), answerTime)
	defer cancel()
	e := lock.Event{Kind: kind, Cause: "octostore " + version.Own() + t.at}
	if kind == lock.Stopped && t.policies != nil {
		e.Loaded = t.policies.PolicySet() // the next start may load another set
	}
	_, err := t.table.Append(ctx, e)
	return err
}

func openSQLite(ctx context.Context, path string, log *slog.Logger) (storage, error) {
	store, err := sqlite.Open(ctx, sqlite.Config{Path: path, Logger: log})
	if err != nil {
		return nil, err // not a nil *Store in a non-nil storage
	}
	return store, nil
}
