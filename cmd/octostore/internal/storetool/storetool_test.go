package storetool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/config"
	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/content"
	"github.com/octostore/octostore/core/store/etcd"
	"github.com/octostore/octostore/core/store/etcd/etcdtest"
	"github.com/octostore/octostore/core/store/sqlite"
	"github.com/octostore/octostore/core/table"
)

var prefixes atomic.Int64

// settings are those of a node whose etcd has no table yet.
func settings(t *testing.T) config.Config {
	t.Helper()
	return config.Config{
		Store: config.Etcd, EtcdEndpoints: config.Endpoints(strings.Join(etcdtest.Shared(t).Endpoints(), ",")),
		EtcdPrefix: config.KeyPrefix(fmt.Sprintf("/%s/%d/", t.Name(), prefixes.Add(1))), EtcdLease: 2 * time.Second,
		DB: config.Path(filepath.Join(t.TempDir(), "octostore.db")),
	}
}

// served is a store in use.
type served interface {
	journal.Store
	auth.Store
	Full() bool
}

// use acquires locks, releases some and creates a token, as a server does.
func use(t *testing.T, store served, locks int) {
	t.Helper()
	j := journal.New(store)
	tbl, err := table.Open(t.Context(), j, table.Config{Full: store.Full, Published: j.Publish})
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := auth.Open(t.Context(), auth.Config{Store: store, Recorder: tbl})
	if err != nil {
		t.Fatal(err)
	}
	scopes, err := auth.ParseScopes("admin")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := tokens.Create(t.Context(), lock.Origin{}, auth.TokenSpec{Account: "admin", Scopes: scopes}); err != nil {
		t.Fatal(err)
	}
	for i := range locks {
		a := lock.Acquisition{Name: lock.Name(fmt.Sprintf("job/%d", i)), Holder: "h", TTL: time.Hour, Metadata: map[string]string{"n": fmt.Sprint(i)}}
		a.Actor.Account = "ci"
		if _, err := tbl.Acquire(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(tokens.Close(), tbl.Close(), j.Close()); err != nil {
		t.Fatal(err)
	}
}

func useFile(t *testing.T, path string, locks int) {
	t.Helper()
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path, Reserve: -1})
	if err != nil {
		t.Fatal(err)
	}
	use(t, s, locks)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func copyStore(t *testing.T, cfg config.Config, from, to string, drop bool) (string, error) {
	t.Helper()
	c := Copy{DropOldest: drop}
	var err error
	if c.From, err = Parse(from, cfg); err != nil {
		t.Fatal(err)
	}
	if c.To, err = Parse(to, cfg); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	err = c.Run(t.Context(), &out, &errs)
	return out.String(), err
}

func TestStoreCopyMovesATableToEtcdAndBack(t *testing.T) {
	cfg := settings(t)
	useFile(t, string(cfg.DB), 20)
	out, err := copyStore(t, cfg, "sqlite://", "etcd://", false)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(out, "copied 20 leases, 1 token and an audit log of 21 records from sqlite://") {
		t.Errorf("it says %q", out)
	}

	// A node goes on with it.
	c, err := Parse("etcd://", cfg)
	if err != nil {
		t.Fatal(err)
	}
	in, err := EtcdAt("", cfg)
	if err != nil {
		t.Fatal(err)
	}
	in.Node = "n1"
	cluster, err := etcd.Open(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	term, err := cluster.Take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Read(t.Context(), func(content.Table) (func(lock.Segment) error, error) { return nil, nil }); !errors.Is(err, etcd.ErrServed) {
		t.Errorf("a table that is served is copied: %v", err)
	}
	func() {
		j := journal.New(term)
		tbl, err := table.Open(t.Context(), j, table.Config{Published: j.Publish})
		if err != nil {
			t.Fatal(err)
		}
		defer j.Close()
		defer tbl.Close()
		if view := tbl.Get("job/7"); view.Lease == nil || view.Lease.Account != "ci" || view.Lease.Metadata["n"] != "7" {
			t.Errorf("job/7 is %+v", view)
		}
		a := lock.Acquisition{Name: "job/7", TTL: time.Minute}
		if _, err := tbl.Acquire(t.Context(), a); err == nil {
			t.Error("a lock that is held was granted")
		}
		a.Name = "job/new"
		if _, err := tbl.Acquire(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}()
	if err := errors.Join(term.HandOver(t.Context()), term.Close(), cluster.Close()); err != nil {
		t.Fatal(err)
	}

	back := filepath.Join(t.TempDir(), "back.db")
	out, err = copyStore(t, cfg, "etcd://", "sqlite://"+back, false)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(out, "copied 21 leases, 1 token and an audit log of 22 records from etcd://") {
		t.Errorf("it says %q", out)
	}
	useFile(t, back, 0)
}

func TestStoreBackupOfATableThatIsServed(t *testing.T) {
	cfg := settings(t)
	in, err := EtcdAt("", cfg)
	if err != nil {
		t.Fatal(err)
	}
	in.Node = "n1"
	cluster, err := etcd.Open(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	term, err := cluster.Take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer term.Close()
	use(t, term, 5)
	path := filepath.Join(t.TempDir(), "backup.db")
	var out, errs bytes.Buffer
	if err := BackupOf(in, path).Run(t.Context(), &out, &errs); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(out.String(), "copied 5 leases, 1 token and an audit log of 6 records from etcd://") || strings.Contains(out.String(), "Never start") || !term.Owns() {
		t.Errorf("it says %q; the node serves: %t", out.String(), term.Owns())
	}
	useFile(t, path, 0)
}

func TestStoreCopyRefusesATargetThatIsNotNew(t *testing.T) {
	cfg := settings(t)
	useFile(t, string(cfg.DB), 1)
	for range 2 {
		_, err := copyStore(t, cfg, "sqlite://", "etcd://", false)
		if err != nil && (!errors.Is(err, etcd.ErrNotEmpty) || strings.Contains(err.Error(), "read ")) {
			t.Errorf("got %v, want that the target is not empty", err)
		}
	}
	if _, err := copyStore(t, cfg, "etcd://", "sqlite://", false); !errors.Is(err, os.ErrExist) || strings.Contains(err.Error(), "read ") {
		t.Errorf("got %v, want that the database exists", err)
	}
	cfg.EtcdPrefix += "t/"
	if _, err := copyStore(t, cfg, "sqlite://", "etcd://", false); !errors.Is(err, etcd.ErrWithin) {
		t.Errorf("got %v, want that the prefix lies within another table's", err)
	}
}

// brokenWriter takes nothing.
type brokenWriter struct{ content.Writer }

func (brokenWriter) Add(context.Context, lock.Segment) error { return errors.New("no space") }

func TestStoreCopySaysWhichStoreHasFailed(t *testing.T) {
	cfg := settings(t)
	useFile(t, string(cfg.DB), 1)
	to := file(filepath.Join(t.TempDir(), "copy.db"))
	write := to.Write
	to.Write = func(ctx context.Context, t content.Table) (content.Writer, error) {
		w, err := write(ctx, t)
		return brokenWriter{w}, err
	}
	var out, errs bytes.Buffer
	err := Copy{From: file(string(cfg.DB)), To: to}.Run(t.Context(), &out, &errs)
	if want := "write to " + to.Name + ": no space"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %q", err, want)
	}
}

func TestStoreCopyRefusesASourceInUse(t *testing.T) {
	cfg := settings(t)
	useFile(t, string(cfg.DB), 1)
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: string(cfg.DB), Reserve: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := copyStore(t, cfg, "sqlite://", "etcd://", false); !errors.Is(err, sqlite.ErrInUse) {
		t.Errorf("got %v, want that it is in use", err)
	}
}

// cramped is a store with less room than the audit log has bytes.
func cramped(s Store, room func(all int64) int64) Store {
	write := s.Write
	s.Write = func(ctx context.Context, t content.Table) (content.Writer, error) {
		w, err := write(ctx, t)
		return crampedWriter{w, room(t.Bytes)}, err
	}
	return s
}

type crampedWriter struct {
	content.Writer
	room int64
}

func (c crampedWriter) Room() int64 { return c.room }

func TestStoreCopyLeavesOutOldRecordsOnlyIfAsked(t *testing.T) {
	cfg := settings(t)
	useFile(t, string(cfg.DB), 20)
	from, to := file(string(cfg.DB)), file(filepath.Join(t.TempDir(), "half.db"))
	half := Copy{From: from, To: cramped(to, func(all int64) int64 { return all / 2 })}
	var out, errs bytes.Buffer
	if err := half.Run(t.Context(), &out, &errs); err == nil || !strings.Contains(err.Error(), "--drop-oldest") {
		t.Errorf("got %v, want the flag that helps", err)
	}
	half.DropOldest = true
	if err := half.Run(t.Context(), &out, &errs); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "20 leases") || !strings.Contains(out.String(), "Left out: the oldest 11 records, up to ") {
		t.Errorf("it says %q", out.String())
	}
	useFile(t, strings.TrimPrefix(to.Name, "sqlite://"), 0)
}

func TestStoreCopyNoticesACopyThatDiffers(t *testing.T) {
	cfg := settings(t)
	useFile(t, string(cfg.DB), 3)
	to := file(filepath.Join(t.TempDir(), "copy.db"))
	write := to.Write
	to.Write = func(ctx context.Context, t content.Table) (content.Writer, error) {
		t.Leases = t.Leases[1:]
		return write(ctx, t)
	}
	c := Copy{From: file(string(cfg.DB)), To: to}
	var out, errs bytes.Buffer
	if err := c.Run(t.Context(), &out, &errs); err == nil || !strings.Contains(err.Error(), "its leases differ") {
		t.Errorf("got %v, want that the leases differ", err)
	}
}

func TestStoreURLs(t *testing.T) {
	cfg := config.Config{DB: "octostore.db", EtcdPrefix: "/octostore/", EtcdLease: 10 * time.Second}
	for url, want := range map[string]string{
		"sqlite://":                 "sqlite://octostore.db",
		"sqlite:///var/lib/o.db":    "sqlite:///var/lib/o.db",
		"etcd://a:2379":             "etcd://a:2379/octostore/",
		"etcd://a:2379,b:2379/x/y/": "etcd://a:2379,b:2379/x/y/",
	} {
		if got, err := Parse(url, cfg); err != nil || got.Name != want {
			t.Errorf("%s: got %q, %v; want %q", url, got.Name, err, want)
		}
	}
	for _, url := range []string{"octostore.db", "etcd://", "etcd://a", "etcd://a:2379/x y/", "postgres://a"} {
		if got, err := Parse(url, cfg); err == nil {
			t.Errorf("%s was taken for %q", url, got.Name)
		}
	}
}
