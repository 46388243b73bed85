package main

import (
	"context"
	"log/slog"
	"os"
	"runtime"

	"github.com/spf13/cobra"

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
		cut := fitFiles(&loaded)
		floor := heapFloor()
		defer runtime.KeepAlive(floor)
		if err := serve(cmd.Context(), loaded.Config, log, openSQLite, cut); err != nil {
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

// heapFloor returns memory that is to be kept alive as long as the server runs. It is
// never touched, so it takes no memory. It counts as live, though: with so little
// else on the heap the garbage collector would run many times a second under load; so
// it runs each time 64 MiB and what is live have been allocated.
func heapFloor() []byte { return make([]byte, 64<<20) }
