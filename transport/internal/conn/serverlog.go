package conn

import (
	"bytes"
	"log"
	"log/slog"

	"github.com/octostore/octostore/core/sparselog"
)

// serverLog logs what net/http reports. Any client can cause such lines, with a failed handshake
// for example, so one line of each kind is a warning per minute; all of them are debug lines. It
// is safe for use by many goroutines.
type serverLog struct {
	log    *slog.Logger
	sparse *sparselog.Log
}

// NewServerLog returns the ErrorLog of an [http.Server].
func NewServerLog(to *slog.Logger, sparse *sparselog.Log) *log.Logger {
	return log.New(&serverLog{to, sparse}, "", 0)
}

// Write logs one line. Its first words are its kind; addresses follow.
func (l *serverLog) Write(line []byte) (int, error) {
	text := string(bytes.TrimRight(line, "\n"))
	l.log.Debug(text)
	l.sparse.Log(slog.LevelWarn, "net/http "+firstWords(text, 3), text)
	return len(line), nil
}

func firstWords(text string, most int) string {
	for i, c := range text {
		if c != ' ' {
			continue
		}
		if most--; most == 0 {
			return text[:i]
		}
	}
	return text
}
