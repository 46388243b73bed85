package server

import (
	"context"
	"log/slog"
	"math"
	"slices"

	"github.com/octostore/octostore/cmd/octostore/internal/config"
	"github.com/octostore/octostore/cmd/octostore/internal/filelimit"
)

// mostSpare is the number of file descriptors kept free of waiters: for the connections of
// holders, which renew and release, and for the server's own files.
const mostSpare = 1000

// fitFiles raises the file descriptor limit as far as it may, and lowers the limits of
// waiters, watches, exports and connections to fit it. Waiters, watches and exports
// together stay below the connections, so that a holder can always connect and release.
// It returns a function that logs the lowered limits, or nil if the settings fit.
func fitFiles(loaded *config.Loaded) (tell func(*slog.Logger)) {
	cfg := &loaded.Config
	limit := filelimit.Raise(filesFor(cfg))
	if cfg.MaxConnections == 0 {
		cfg.MaxConnections = mostConnections(limit)
	}
	asked := *cfg
	cfg.MaxWatches = min(asked.MaxWatches, mostReaders(limit))
	cfg.MaxExports = min(asked.MaxExports, mostReaders(limit))
	cfg.MaxWaiters = min(asked.MaxWaiters, mostWaiters(limit-uint64(cfg.MaxWatches)-uint64(cfg.MaxExports)))
	cfg.MaxConnections = min(asked.MaxConnections, mostConnections(limit))
	if *cfg == asked {
		return nil
	}
	// Warn only about a limit that the operator has set: a lowered default is no surprise.
	level := slog.LevelInfo
	for _, v := range loaded.Values {
		if v.Source != config.FromDefault && slices.Contains(fittedSettings, v.Name) {
			level = slog.LevelWarn
		}
	}
	fitted := *cfg
	return func(log *slog.Logger) {
		log.Log(
			context.Background(),
			level,
			"the limit of open files leaves room for fewer waiters, watches, exports or connections than the settings say",
			"max_waiters", asked.MaxWaiters,
			"may_wait", fitted.MaxWaiters,
			"max_watches", asked.MaxWatches,
			"may_watch", fitted.MaxWatches,
			"max_exports", asked.MaxExports,
			"may_export", fitted.MaxExports,
			"max_connections", asked.MaxConnections,
			"may_connect", fitted.MaxConnections,
			"open_files", limit,
		)
	}
}

// fittedSettings are the settings that the file descriptor limit lowers.
var fittedSettings = []string{"OCTOSTORE_MAX_WAITERS", "OCTOSTORE_MAX_WATCHES", "OCTOSTORE_MAX_EXPORTS", "OCTOSTORE_MAX_CONNECTIONS"}

// filesFor returns the file descriptor limit that the settings need.
func filesFor(cfg *config.Config) uint64 {
	all := cfg.MaxWaiters + cfg.MaxWatches + cfg.MaxExports + mostSpare
	return uint64(max(all, 8*cfg.MaxWatches, 8*cfg.MaxExports, 2*ownFiles+cfg.MaxConnections+cfg.MaxConnections/8))
}

// ownFiles is the number of files that the server itself opens, including connections to
// the admin listener and a few for clients that get the error for too many connections.
const ownFiles = 128

// adminConnections returns the connection limit of the admin listener for that of the main
// one. Probes, scrapes and administrators need few, and must leave files for holders.
func adminConnections(main int) int { return min(max(4, main/8), 32) }

// mostConnections returns the connection limit for a file descriptor limit.
func mostConnections(files uint64) int {
	return int(min(files-min(files/16+ownFiles, files/2), math.MaxInt32))
}

// mostReaders returns the limit of watches, and of exports, for a file descriptor limit.
func mostReaders(files uint64) int { return int(min(files/8, math.MaxInt32)) }

// mostWaiters returns the limit of waiters for a file descriptor limit.
func mostWaiters(files uint64) int {
	spare := min(max(files/10, 128), mostSpare, files/2)
	return int(min(files-spare, math.MaxInt32))
}
