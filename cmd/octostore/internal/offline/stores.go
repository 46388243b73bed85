package offline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/store/etcd"
	"github.com/octostore/octostore/core/store/sqlite"
)

// Store is what a table and its tokens are kept in. Close lets others use it again.
type Store interface {
	journal.Store
	auth.Store
	Full() bool
	Close() error
}

// File opens a database, and creates it if it does not exist. It fails while a server runs on
// it.
func File(ctx context.Context, path string) (Store, error) {
	store, err := sqlite.Open(ctx, sqlite.Config{Path: path, Logger: slog.New(slog.DiscardHandler)})
	if errors.Is(err, sqlite.ErrInUse) {
		return nil, fmt.Errorf(
			"%w; to ask the server that runs on it, set OCTOSTORE_URL to where it is and OCTOSTORE_TOKEN to an admin token",
			err,
		)
	}
	if err != nil {
		return nil, err
	}
	return store, nil
}

// takeTime is how long a term is waited for, beyond the time of a lease.
const takeTime = 5 * time.Second

// Etcd takes the term of a table in etcd until the store is closed. It fails while a node
// serves the table.
func Etcd(ctx context.Context, cfg etcd.Config) (Store, error) {
	cfg.Node, cfg.URL = "octostore token", "" // other nodes do not forward to it
	cfg.Logger = slog.New(slog.DiscardHandler)
	cluster, err := etcd.Open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	store, err := take(ctx, cluster, cfg.Lease)
	if err != nil {
		return nil, errors.Join(err, cluster.Close())
	}
	return &term{store, cluster}, nil
}

func take(ctx context.Context, cluster *etcd.Cluster, lease time.Duration) (*etcd.Store, error) {
	if owner, _ := cluster.Owner(); owner.Node != "" {
		return nil, served(owner)
	}
	ctx, cancel := context.WithTimeout(ctx, lease+takeTime)
	defer cancel()
	store, err := cluster.Take(ctx)
	if owner, _ := cluster.Owner(); err != nil && owner.Node != "" {
		return nil, served(owner)
	}
	return store, err
}

// served says which node to ask.
func served(o etcd.Owner) error {
	if o.Node == etcd.CopyingNode {
		return errors.New("a table is being copied there; if that copy was killed, delete what it has written with etcdctl del --prefix")
	}
	if o.URL == "" {
		return fmt.Errorf("%q is at work there; try again", o.Node)
	}
	return fmt.Errorf("node %q serves this table; to ask it, set OCTOSTORE_URL=%s and OCTOSTORE_TOKEN to an admin token", o.Node, o.URL)
}

// term is the store of a term, together with the connection.
type term struct {
	*etcd.Store
	cluster *etcd.Cluster
}

const handOverTime = 5 * time.Second

// Close gives the term back, so that a node can take it at once.
func (t *term) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), handOverTime)
	defer cancel()
	return errors.Join(t.HandOver(ctx), t.Store.Close(), t.cluster.Close())
}

// OpenFile opens the tokens of a database, see [File] and [Open].
func OpenFile(ctx context.Context, path string) (*Tokens, error) {
	store, err := File(ctx, path)
	if err != nil {
		return nil, err
	}
	return Open(ctx, store)
}
