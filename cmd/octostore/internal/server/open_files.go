package server

import (
	"context"
	"log/slog"
	"math"
	"slices"

	"github.com/octostore/octostore/cmd/octostore/internal/config"
	"github.com/octostore/octostore/cmd/octostore/internal/filelimit"
)

// mostSpare is how many files are to be open besides the connections of those who
// wait: those of holders, who have to renew and release, and our own.
const mostSpare = 1000

// fitFiles lets no more wait, watch, export and connect than the limit of open files,
// which it raises if it may, leaves room for. Those who wait, watch and export are fewer
// than may connect: else they would take the last connection and no holder could release.
// It returns what to log about it once the server listens; nil: the settings hold.
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
	// An operator who asked for less than there is should know. A default is no wish.
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

// fittedSettings are those that a limit of open files lowers.
var fittedSettings = []string{"OCTOSTORE_MAX_WAITERS", "OCTOSTORE_MAX_WATCHES", "OCTOSTORE_MAX_EXPORTS", "OCTOSTORE_MAX_CONNECTIONS"}

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
