package server

import (
	"context"
	"io"
	"log/slog"
	"runtime"

	"github.com/octostore/octostore/cmd/octostore/internal/config"
	"github.com/octostore/octostore/cmd/octostore/internal/systemd"
)

// Run runs a server with these settings until ctx ends, then stops it in good order. It
// writes its log to w, including the error that it returns.
func Run(ctx context.Context, loaded config.Loaded, w io.Writer) error {
	log := newLogger(w, loaded.Config)
	for _, u := range loaded.Unknown {
		log.Warn("not a setting", "variable", u.Name, "source", u.Source)
	}
	unit, err := systemd.Open(log)
	if err == nil {
		Tune()
		cut := fitFiles(&loaded)
		floor := heapFloor()
		defer runtime.KeepAlive(floor)
		err = serve(ctx, unit, loaded.Config, log, stores{file: openSQLite, cluster: openEtcd}, cut, loaded.Values...)
	}
	if err != nil {
		log.Error("the server has failed", "err", err)
	}
	return err
}

// serve runs a server until ctx ends, then stops it in good order; listening, if not nil,
// is called once it accepts connections. An error means it could not start, could not go
// on, or could not stop in good order.
func serve(
	ctx context.Context, unit *systemd.Unit, cfg config.Config, log *slog.Logger, from stores, listening func(*slog.Logger),
	settings ...config.Value,
) error {
	s, err := start(ctx, unit, cfg, log, from, settings...)
	if err != nil && ctx.Err() != nil {
		log.Info("stopped before the server listened", "cause", context.Cause(ctx), "err", err)
		return nil
	}
	if err != nil {
		return err
	}
	if listening != nil {
		listening(log)
	}
	unit.Ready(s.status())
	endWatch := unit.Watch(s.progress())
	failure := s.wait(ctx)
	endWatch()
	unit.Stopping()
	if failure == nil {
		log.Info("stopping", "cause", context.Cause(ctx))
	}
	if err := s.stop(); failure == nil {
		failure = err
	}
	if failure == nil {
		log.Info("stopped")
	}
	return failure
}
