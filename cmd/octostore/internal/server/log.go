package server

import (
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/lmittmann/tint"

	"github.com/octostore/octostore/cmd/octostore/internal/config"
	"github.com/octostore/octostore/cmd/octostore/internal/terminal"
)

// newLogger returns the logger the settings ask for.
func newLogger(w io.Writer, cfg config.Config) *slog.Logger {
	level := logLevels[cfg.LogLevel]
	onTerminal := terminal.Is(w)
	if cfg.LogFormat == "json" || cfg.LogFormat == "auto" && !onTerminal {
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: readable}))
	}
	return slog.New(tint.NewTextHandler(w, &tint.Options{
		Level:      level,
		TimeFormat: time.TimeOnly,
		NoColor:    !onTerminal || os.Getenv("NO_COLOR") != "",
	}))
}

// readable makes text of durations, which JSON would show as nanoseconds without a unit.
func readable(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}

var logLevels = map[config.LogLevel]slog.Level{
	"debug": slog.LevelDebug,
	"info":  slog.LevelInfo,
	"warn":  slog.LevelWarn,
	"error": slog.LevelError,
}
