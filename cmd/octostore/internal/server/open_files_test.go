package server

import (
	"bytes"
	"log/slog"
	"math"
	"strings"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/config"
)

func TestWaitersLeaveFilesForOthers(t *testing.T) {
	for _, test := range []struct {
		files uint64
		want  int
	}{
		{20, 10},
		{256, 128},
		{300, 172},
		{1024, 896},
		{5000, 4500},
		{50_000, 49_000},
		{51_000, 50_000},
		{math.MaxUint64, math.MaxInt32}, // no limit
	} {
		if got := mostWaiters(test.files); got != test.want {
			t.Errorf("of %d files: %d waiters, want %d", test.files, got, test.want)
		}
	}
}

// Watches, exports and waiters leave files for holders, however low the limit is.
func TestReadersLeaveFilesForOthers(t *testing.T) {
	for _, files := range []uint64{8, 256, 1024, 20_000, math.MaxUint64} {
		readers := min(mostReaders(files), 1000) + min(mostReaders(files), 100)
		waiters := min(mostWaiters(files-uint64(readers)), 50_000)
		if left := files - uint64(readers) - uint64(waiters); waiters < 1 || left < min(128, files/3) {
			t.Errorf("of %d files: %d for readers, %d for waiters, %d left", files, readers, waiters, left)
		}
	}
}

// TestConnectionsLeaveFilesForTheServer adds up both listeners, floods included.
func TestConnectionsLeaveFilesForTheServer(t *testing.T) {
	const own = 40 // database, log, epoll, readers
	for _, files := range []uint64{128, 256, 1024, 4096, 20_000, 1 << 20} {
		main := mostConnections(files)
		admin := adminConnections(main)
		if all := main + main/16 + 16 + admin + admin/4; all+min(own, int(files/8)) > int(files) {
			t.Errorf("of %d files connections take %d", files, all)
		}
	}
}

// If as many files may be open as the settings ask for, no setting is lowered.
func TestFilesForTheSettingsAreEnough(t *testing.T) {
	for _, cfg := range []config.Config{
		{MaxWaiters: 100, MaxWatches: 1000, MaxExports: 100},
		{MaxWaiters: 50_000, MaxWatches: 1000, MaxExports: 100},
		{MaxWaiters: 1, MaxWatches: 1, MaxExports: 1, MaxConnections: 1},
		{MaxWaiters: 1, MaxWatches: 1, MaxExports: 1, MaxConnections: 100_000},
		{MaxWaiters: 1, MaxWatches: 1, MaxExports: 5000, MaxConnections: 100_000},
	} {
		files := filesFor(&cfg)
		if n := mostReaders(files); n < cfg.MaxWatches || n < cfg.MaxExports {
			t.Errorf("%+v: of %d files %d are for readers", cfg, files, n)
		}
		if n := mostWaiters(files - uint64(cfg.MaxWatches+cfg.MaxExports)); n < cfg.MaxWaiters {
			t.Errorf("%+v: of %d files %d are for waiters", cfg, files, n)
		}
		if n := mostConnections(files); n < cfg.MaxConnections {
			t.Errorf("%+v: of %d files %d are for connections", cfg, files, n)
		}
	}
}

// The operator who wishes for more than there can be is warned; a default is no wish. Both
// are told after "listening": the first line of a start says that it works.
func TestFewerFilesAreWarnedOfOnlyWhereTheyWereAskedFor(t *testing.T) {
	for _, test := range []struct {
		name    string
		environ []string
		want    string
	}{
		{"defaults", nil, "INFO"},
		{"another setting", []string{"OCTOSTORE_MAX_TTL=2h"}, "INFO"},
		{"asked for", []string{"OCTOSTORE_MAX_WAITERS=1000000"}, "WARN"},
	} {
		t.Run(test.name, func(t *testing.T) {
			loaded, err := config.Load(config.Sources{Environ: test.environ})
			if err != nil {
				t.Fatal(err)
			}
			loaded.MaxWaiters = math.MaxInt32 // no process may have as many files open
			tell := fitFiles(&loaded)
			if tell == nil {
				t.Skip("SKIP: this system has no limit of open files")
			}
			var out bytes.Buffer
			tell(slog.New(slog.NewTextHandler(&out, nil)))
			if !strings.Contains(out.String(), "level="+test.want) {
				t.Errorf("%s, want %s", out.String(), test.want)
			}
		})
	}
}
