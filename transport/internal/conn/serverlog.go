package conn

import (
	"bytes"
	"log"
	"log/slog"

	"github.com/octostore/octostore/core/sparselog"
)

// serverLog passes on what net/http has to say, as warnings. Anybody who reaches the port
// can have it say something any number of times, a failed handshake for example, so it is
// one line of each kind a minute; all of them are for debugging. It is safe for use by many
// goroutines.
type serverLog struct {
	log    *slog.Logger
	sparse *sparselog.Log
}

func NewServerLog(to *slog.Logger, sparse *sparselog.Log) *log.Logger {
	return log.New(&serverLog{to, sparse}, "", 0)
}

// Write takes one line. The first words of it say what it is about; then come addresses.
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
