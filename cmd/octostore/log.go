package main

import (
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/lmittmann/tint"
	"golang.org/x/term"

	"github.com/octostore/octostore/cmd/octostore/internal/config"
)

// newLogger returns the logger the settings ask for.
func newLogger(w io.Writer, cfg config.Config) *slog.Logger {
	level := logLevels[cfg.LogLevel]
	terminal := isTerminal(w)
	if cfg.LogFormat == "json" || cfg.LogFormat == "auto" && !terminal {
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level}))
	}
	return slog.New(tint.NewTextHandler(w, &tint.Options{
		Level:      level,
		TimeFormat: time.TimeOnly,
		NoColor:    !terminal || os.Getenv("NO_COLOR") != "",
	}))
}

var logLevels = map[config.LogLevel]slog.Level{
	"debug": slog.LevelDebug,
	"info":  slog.LevelInfo,
	"warn":  slog.LevelWarn,
	"error": slog.LevelError,
}

// isTerminal reports whether somebody looks at what is written. What is not a file may
// say so itself.
func isTerminal(w io.Writer) bool {
	w = raw(w)
	if t, is := w.(interface{ IsTerminal() bool }); is {
		return t.IsTerminal()
	}
	file, is := w.(*os.File)
	return is && term.IsTerminal(int(file.Fd()))
}
