package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/octostore/octostore/cmd/octostore/internal/config"
)

func TestLogFormats(t *testing.T) {
	tests := []struct {
		format config.LogFormat
		json   bool
	}{
		{"json", true},
		{"auto", true}, // a buffer is no terminal
		{"text", false},
	}
	for _, tt := range tests {
		t.Run(string(tt.format), func(t *testing.T) {
			var out bytes.Buffer
			newLogger(&out, config.Config{LogFormat: tt.format, LogLevel: "info"}).Info("listening", "addr", "127.0.0.1:3000")
			if json.Valid(out.Bytes()) != tt.json {
				t.Errorf("JSON: got %v, want %v: %s", !tt.json, tt.json, out.String())
			}
			if !strings.Contains(out.String(), "127.0.0.1:3000") || strings.Contains(out.String(), "\x1b") {
				t.Errorf("got %q, want the address and no colours", out.String())
			}
		})
	}
}

func TestLogDurationsHaveUnits(t *testing.T) {
	for _, format := range []config.LogFormat{"json", "text"} {
		var out bytes.Buffer
		newLogger(&out, config.Config{LogFormat: format, LogLevel: "info"}).Info("this node serves", "took", 15*time.Millisecond)
		if !strings.Contains(out.String(), "15ms") {
			t.Errorf("%s: %s", format, out.String())
		}
	}
}

func TestLogLevels(t *testing.T) {
	tests := []struct {
		level config.LogLevel
		want  string
	}{
		{"debug", "d i w e"},
		{"info", "i w e"},
		{"warn", "w e"},
		{"error", "e"},
	}
	for _, tt := range tests {
		t.Run(string(tt.level), func(t *testing.T) {
			var out bytes.Buffer
			log := newLogger(&out, config.Config{LogFormat: "json", LogLevel: tt.level})
			log.Debug("d")
			log.Info("i")
			log.Warn("w")
			log.Error("e")
			var got []string
			for dec := json.NewDecoder(&out); dec.More(); {
				var line struct{ Msg string }
				if err := dec.Decode(&line); err != nil {
					t.Fatal(err)
				}
				got = append(got, line.Msg)
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// Text from a client cannot forge a line of the log, nor colour a terminal.
func TestLogHasNoForgedLines(t *testing.T) {
	const hostile = "/v1/locks/a\nApr 1 ERR \"the disk\" is=full\r\n\x1b[31m{\"level\":\"ERROR\"}\u2028\x00\u202e"
	for _, format := range []config.LogFormat{"text", "json"} {
		var out bytes.Buffer
		log := newLogger(&out, config.Config{LogFormat: format, LogLevel: "debug"})
		log.Debug("request", "path", hostile, "method", hostile, slog.Group("who", "holder", hostile))
		log.Error("request failed", "err", errors.New(hostile), "cause", fmt.Errorf("wrapped: %w", errors.New(hostile)))
		slog.NewLogLogger(log.Handler(), slog.LevelWarn).Printf("http: bad header from %q", hostile)
		if n := strings.Count(out.String(), "\n"); n != 3 {
			t.Errorf("%s: 3 lines became %d:\n%s", format, n, out.String())
		}
		bad := unicode.IsControl // in JSON, which programs read, the rest is as good as any text
		if format == "text" {
			bad = func(r rune) bool { return !unicode.IsPrint(r) }
		}
		if i := strings.IndexFunc(strings.ReplaceAll(out.String(), "\n", ""), bad); i >= 0 {
			t.Errorf("%s: there is something at %d that is not printable: %q", format, i, out.String())
		}
	}
}
