package storetool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/octostore/octostore/cmd/octostore/internal/config"
	"github.com/octostore/octostore/cmd/octostore/internal/exitcode"
	"github.com/octostore/octostore/cmd/octostore/internal/preflight"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/content"
	"github.com/octostore/octostore/core/store/etcd"
	"github.com/octostore/octostore/core/store/sqlite"
)

// Parse returns the store that a URL names: sqlite://PATH, or etcd://HOST:PORT,…/PREFIX/. What
// the URL leaves out, and how to log in to etcd, the settings say.
func Parse(url string, cfg config.Config) (Store, error) {
	if path, is := strings.CutPrefix(url, "sqlite://"); is {
		if path == "" {
			path = string(cfg.DB)
		}
		return file(path), nil
	}
	if rest, is := strings.CutPrefix(url, "etcd://"); is {
		c, err := EtcdAt(rest, cfg)
		if err != nil {
			return Store{}, err
		}
		return inEtcd(c), nil
	}
	return Store{}, exitcode.Usagef("%q names no store; want sqlite://PATH or etcd://HOST:PORT/PREFIX/", url)
}

// EtcdAt returns how to reach the etcd of a URL without its scheme, see [Parse].
func EtcdAt(rest string, cfg config.Config) (etcd.Config, error) {
	hosts, prefix, hasPrefix := strings.Cut(rest, "/")
	if hosts != "" {
		scheme := "http://"
		if cfg.EtcdEndpoints.TLS() {
			scheme = "https://"
		}
		all := scheme + strings.ReplaceAll(hosts, ",", ","+scheme)
		if err := cfg.EtcdEndpoints.UnmarshalText([]byte(all)); err != nil {
			return etcd.Config{}, exitcode.Usagef("etcd://%s %v", rest, err)
		}
	}
	if hasPrefix && prefix != "" {
		if err := cfg.EtcdPrefix.UnmarshalText([]byte("/" + strings.Trim(prefix, "/") + "/")); err != nil {
			return etcd.Config{}, exitcode.Usagef("etcd://%s: the prefix %v", rest, err)
		}
	}
	if cfg.EtcdEndpoints == "" {
		return etcd.Config{}, exitcode.Usagef("etcd:// needs the host and port of etcd, or OCTOSTORE_STORE=etcd with its settings")
	}
	return preflight.EtcdConfig(cfg)
}

func file(path string) Store {
	return Store{
		Name: "sqlite://" + path,
		Read: func(ctx context.Context, begin func(content.Table) (func(lock.Segment) error, error)) error {
			err := sqlite.Read(ctx, path, begin)
			switch {
			case errors.Is(err, fs.ErrNotExist):
				return exitcode.As(exitcode.Missing, err)
			case errors.Is(err, sqlite.ErrInUse):
				return fmt.Errorf("%w; stop it first", err)
			}
			return err
		},
		Write: func(ctx context.Context, t content.Table) (content.Writer, error) {
			w, err := sqlite.NewImport(ctx, path, t)
			if err != nil {
				return nil, notNew(err)
			}
			return w, nil
		},
	}
}

func inEtcd(cfg etcd.Config) Store {
	return Store{
		Name: nameOf(cfg),
		Read: func(ctx context.Context, begin func(content.Table) (func(lock.Segment) error, error)) error {
			err := etcd.Read(ctx, cfg, begin)
			switch {
			case errors.Is(err, etcd.ErrEmpty):
				return exitcode.As(exitcode.Missing, err)
			case errors.Is(err, etcd.ErrServed):
				return fmt.Errorf("%w; stop all nodes first", err)
			}
			return err
		},
		Write: func(ctx context.Context, t content.Table) (content.Writer, error) {
			w, err := etcd.NewImport(ctx, cfg, t)
			if err != nil {
				return nil, notNew(err)
			}
			return w, nil
		},
	}
}

// BackupOf returns the copy of a table in etcd to a new database, whether a node serves the table
// or not. The database is of one revision of etcd.
func BackupOf(cfg etcd.Config, path string) Copy {
	served := inEtcd(cfg)
	served.Read = func(ctx context.Context, begin func(content.Table) (func(lock.Segment) error, error)) error {
		return etcd.Snapshot(ctx, cfg, begin)
	}
	return Copy{From: served, To: file(path), Backup: true}
}

// notNew says what to do about a target that is not new.
func notNew(err error) error {
	switch {
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%w; a copy never replaces a database: name another file", err)
	case errors.Is(err, etcd.ErrWithin):
		return fmt.Errorf("%w; name a prefix that is not within another table's", err)
	case errors.Is(err, etcd.ErrNotEmpty):
		return fmt.Errorf("%w; stop all nodes and name another prefix, or delete what is there with etcdctl del --prefix, if it may be lost", err)
	}
	return err
}

func hosts(endpoints []string) []string {
	var all []string
	for _, e := range endpoints {
		_, host, _ := strings.Cut(e, "://")
		all = append(all, host)
	}
	return all
}

// Table is a table that tools read while a server may be running on it.
type Table struct {
	name    string
	inspect func(ctx context.Context, after lock.Seq, each func(lock.Segment) error) (content.Inspection, error)
}

// FileTable returns the table of a database.
func FileTable(path string) Table {
	return Table{path, func(ctx context.Context, after lock.Seq, each func(lock.Segment) error) (content.Inspection, error) {
		if _, err := os.Stat(path); err != nil {
			return content.Inspection{}, err
		}
		return sqlite.Inspect(ctx, path, after, each)
	}}
}

// EtcdTable returns the table in etcd.
func EtcdTable(cfg etcd.Config) Table {
	return Table{nameOf(cfg), func(ctx context.Context, after lock.Seq, each func(lock.Segment) error) (content.Inspection, error) {
		return etcd.Inspect(ctx, cfg, after, each)
	}}
}

// String returns the path or the URL of the table.
func (t Table) String() string { return t.name }

// Inspect reads all of the table at one moment, and calls each with all segments after an event.
func (t Table) Inspect(ctx context.Context, after lock.Seq, each func(lock.Segment) error) (content.Inspection, error) {
	return t.inspect(ctx, after, each)
}

// nameOf returns the URL of a table in etcd.
func nameOf(cfg etcd.Config) string {
	return "etcd://" + strings.Join(hosts(cfg.Endpoints), ",") + cfg.Prefix
}
