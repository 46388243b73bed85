package server

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/sqlite"
	"github.com/octostore/octostore/core/table"
	"github.com/octostore/octostore/transport"
)

// copier is a storage that makes copies of itself.
type copier interface {
	Copy(ctx context.Context) (*sqlite.Copy, error)
	RecordBackup(at time.Time) error
	LastBackup() time.Time
}

// backups makes copies of the database for administrators.
type backups struct {
	store copier
	table *table.Table // records them
	log   *slog.Logger
}

// newBackups returns nil if the storage cannot be copied.
func newBackups(t *term, log *slog.Logger) transport.Backups {
	store, can := t.store.(copier)
	if !can {
		return nil
	}
	return &backups{store: store, table: t.table, log: log}
}

// Begin implements [transport.Backups].
func (b *backups) Begin(ctx context.Context, by lock.Origin) (*transport.Backup, error) {
	begun := time.Now()
	c, err := b.store.Copy(ctx)
	if err != nil {
		return nil, err
	}
	_, err = b.table.Append(ctx, lock.Event{
		Kind: lock.BackedUp, Actor: by.Actor, RequestID: by.RequestID, TraceID: by.TraceID,
		Cause: fmt.Sprintf("%d bytes, SHA-256 %x", c.Size, c.SHA256),
	})
	if err != nil {
		_ = c.Close()
		return nil, fmt.Errorf("record the backup: %w", err)
	}
	b.log.Info("backup made", "bytes", c.Size, "account", by.Actor.Account, "took", time.Since(begun).Round(time.Millisecond))
	return &transport.Backup{At: begun, Size: c.Size, SHA256: c.SHA256, Content: c}, nil
}

// Delivered implements [transport.Backups].
func (b *backups) Delivered(at time.Time) {
	if err := b.store.RecordBackup(at); err != nil {
		b.log.Warn("the time of the backup is not on record", "err", err)
	}
}

// Last implements [transport.Backups].
func (b *backups) Last() time.Time { return b.store.LastBackup() }
