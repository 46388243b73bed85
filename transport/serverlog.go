package transport

import (
	"bytes"
	"context"
	"log"
	"log/slog"
	"sync/atomic"
	"time"
)

// handshakeEvery is how often a failed handshake is worth a warning. Whoever reaches the
// port can make any number of them, and must not fill the log.
const handshakeEvery = time.Minute

// serverLog passes on what net/http has to say: as warnings, but of failed handshakes only
// one a minute; the rest are for debugging. It is safe for use by many goroutines.
type serverLog struct {
	log  *slog.Logger
	next atomic.Int64 // unix nanoseconds: when one is worth a warning again
}

func newServerLog(to *slog.Logger) *log.Logger { return log.New(&serverLog{log: to}, "", 0) }

// Write takes one line.
func (l *serverLog) Write(line []byte) (int, error) {
	level := slog.LevelWarn
	if bytes.HasPrefix(line, []byte("http: TLS handshake error")) && !l.due(time.Now()) {
		level = slog.LevelDebug
	}
	l.log.Log(context.Background(), level, string(bytes.TrimRight(line, "\n")))
	return len(line), nil
}

func (l *serverLog) due(now time.Time) bool {
	next := l.next.Load()
	return now.UnixNano() >= next && l.next.CompareAndSwap(next, now.Add(handshakeEvery).UnixNano())
}
