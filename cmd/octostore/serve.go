package main

import (
	"context"
	"log/slog"
	"math"
	"os"
	"runtime"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/octostore/octostore/cmd/octostore/internal/config"
	"github.com/octostore/octostore/core/store/sqlite"
)

func serveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: "Run the server with the settings of the environment and of a .env file; see\n" +
			"octostore config. SIGTERM or an interrupt stops it in good order: waiters are\n" +
			"told, requests under way are answered. A second one ends it at once.",
		Args: cobra.NoArgs,
	}
	envFile := envFileFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		loaded, err := loadConfig(*envFile)
		if err != nil {
			warnUnknown(cmd.ErrOrStderr(), loaded)
			return err
		}
		log := newLogger(os.Stderr, loaded.Config)
		for _, u := range loaded.Unknown {
			log.Warn("not a setting", "variable", u.Name, "source", u.Source)
		}
		tuneProcess()
		fitFiles(log, &loaded.Config)
		floor := heapFloor()
		defer runtime.KeepAlive(floor)
		if err := serve(cmd.Context(), loaded.Config, log, openSQLite); err != nil {
			log.Error("the server has failed", "err", err)
			return errLogged
		}
		return nil
	}
	return cmd
}

func openSQLite(ctx context.Context, path string, log *slog.Logger) (storage, error) {
	store, err := sqlite.Open(ctx, sqlite.Config{Path: path, Logger: log})
	if err != nil {
		return nil, err // not a nil *Store in a non-nil storage
	}
	return store, nil
}

// tuneProcess sets what the process as a whole needs to serve well.
func tuneProcess() {
	// A thread in fsync keeps its place among the running ones for a while. With few
	// CPUs that stalls requests that could be decided meanwhile, so there are a few
	// more places than CPUs.
	const places = 4
	if os.Getenv("GOMAXPROCS") == "" && runtime.GOMAXPROCS(0) < places {
		runtime.GOMAXPROCS(places)
	}
}

// mostSpare is how many files are to be open besides the connections of those who
// wait: those of holders, who have to renew and release, and our own.
const mostSpare = 1000

// fitFiles lets no more wait, watch, export and connect than the limit of open files,
// which it raises if it may, leaves room for. Those who wait, watch and export are fewer
// than may connect: else they would take the last connection and no holder could release.
func fitFiles(log *slog.Logger, cfg *config.Config) {
	limit := raiseFileLimit(filesFor(cfg))
	if cfg.MaxConnections == 0 {
		cfg.MaxConnections = mostConnections(limit)
	}
	asked := *cfg
	cfg.MaxWatches = min(asked.MaxWatches, mostReaders(limit))
	cfg.MaxExports = min(asked.MaxExports, mostReaders(limit))
	cfg.MaxWaiters = min(asked.MaxWaiters, mostWaiters(limit-uint64(cfg.MaxWatches)-uint64(cfg.MaxExports)))
	cfg.MaxConnections = min(asked.MaxConnections, mostConnections(limit))
	if *cfg == asked {
		return
	}
	log.Warn("fewer requests may wait, watch, export or connect than the settings say, because the process may have too few files open",
		"max_waiters", asked.MaxWaiters, "may_wait", cfg.MaxWaiters, "max_watches", asked.MaxWatches, "may_watch", cfg.MaxWatches,
		"max_exports", asked.MaxExports, "may_export", cfg.MaxExports, "max_connections", asked.MaxConnections, "may_connect", cfg.MaxConnections, "open_files", limit)
}

// filesFor returns how many files have to be open at most for all settings to hold.
func filesFor(cfg *config.Config) uint64 {
	all := cfg.MaxWaiters + cfg.MaxWatches + cfg.MaxExports + mostSpare
	return uint64(max(all, 8*cfg.MaxWatches, 8*cfg.MaxExports, 2*ownFiles+cfg.MaxConnections+cfg.MaxConnections/8))
}

// ownFiles is how many files the server itself has open, connections to the admin listener
// included, and a few more for clients that are told that there are too many connections.
const ownFiles = 128

// adminConnections returns how many connections there may be to the admin listener, given
// how many to the main one. They are probes, scrapes and a few people, and must leave
// files for those who hold locks.
func adminConnections(main int) int { return min(max(4, main/8), 32) }

// mostConnections returns how many of the files that may be open connections may take.
func mostConnections(files uint64) int {
	return int(min(files-min(files/16+ownFiles, files/2), math.MaxInt32))
}

// mostReaders returns how many of the files that may be open those who watch may take,
// or those who export.
func mostReaders(files uint64) int { return int(min(files/8, math.MaxInt32)) }

// mostWaiters returns how many of the files that may be open waiters may take.
func mostWaiters(files uint64) int {
	spare := min(max(files/10, 128), mostSpare, files/2)
	return int(min(files-spare, math.MaxInt32))
}

// heapFloor returns memory that is to be kept alive as long as the server runs. It is
// never touched, so it takes no memory. It counts as live, though: with so little
// else on the heap the garbage collector would run many times a second under load; so
// it runs each time 64 MiB and what is live have been allocated.
func heapFloor() []byte { return make([]byte, 64<<20) }

// raiseFileLimit tries to let the process have need files open, one for each
// connection, and returns how many it may have. Going over the hard limit takes a
// privilege; up to there the Go runtime has gone already.
func raiseFileLimit(need uint64) uint64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur >= need {
		return need
	}
	raised := syscall.Rlimit{Cur: need, Max: max(need, limit.Max)}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised); err != nil {
		return limit.Cur
	}
	return need
}
