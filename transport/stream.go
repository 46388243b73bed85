package transport

import (
	"compress/gzip"
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A stream is an answer without a known end. Each piece of it has a deadline of its
// own, so a client that stops reading holds no more than its connection, and not for
// long. Nothing of the journal is held while a piece is being written.

// Between two pieces that were waited for there is a pause, in which what happens
// gathers: readers at the tip are not woken by every commit. The more of them there
// are, the longer it is, so that all of them together leave the CPUs to the commits.
// No two pauses are the same, or all readers would come at once.
const (
	leastPause    = 20 * time.Millisecond
	pausePerOther = time.Millisecond
)

// stream is the answer of an exchange, as it goes out piece by piece.
type stream struct {
	x    *exchange
	pack *gzip.Writer // nil: as it is
}

// stream sends the header of a stream. The answer is compressed if packed.
func (x *exchange) stream(contentType []string, packed bool) *stream {
	s := &stream{x: x}
	h := x.w.Header()
	h["Content-Type"] = contentType
	h["X-Accel-Buffering"] = []string{"no"} // proxies are not to hold pieces back
	if packed {
		h["Content-Encoding"] = []string{"gzip"}
		s.pack, _ = gzip.NewWriterLevel(x, gzip.BestSpeed)
	}
	x.WriteHeader(http.StatusOK)
	return s
}

// write writes one piece. It may be kept back until the next flush.
func (s *stream) write(parts ...[]byte) error {
	s.arm()
	for _, part := range parts {
		var err error
		if s.pack != nil {
			_, err = s.pack.Write(part)
		} else {
			_, err = s.x.Write(part)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// flush sends what has been kept back.
func (s *stream) flush() error {
	s.arm()
	if s.pack != nil {
		if err := s.pack.Flush(); err != nil {
			return err
		}
	}
	err := http.NewResponseController(s.x.w).Flush()
	if errors.Is(err, http.ErrNotSupported) {
		return nil // not a connection, and nothing is buffered
	}
	return err
}

// close ends the stream in good order.
func (s *stream) close() error {
	if s.pack != nil {
		s.arm()
		return s.pack.Close()
	}
	return nil
}

func (s *stream) arm() {
	_ = http.NewResponseController(s.x.w).SetWriteDeadline(time.Now().Add(writeTimeout))
}

// untilStop returns a context that ends when the client leaves or the server begins to
// stop.
func (x *exchange) untilStop() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(x.context())
	stop := context.AfterFunc(x.api.service.UntilDrain(), cancel)
	x.api.followers.Add(1)
	return ctx, func() {
		x.api.followers.Add(-1)
		stop()
		cancel()
	}
}

// gathered lets what happens gather for a moment after the last piece.
func (a *API) gathered(ctx context.Context, last time.Time) {
	length := leastPause + time.Duration(a.followers.Load())*pausePerOther
	length = length/2 + rand.N(length)
	pause := time.NewTimer(length - time.Since(last))
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-ctx.Done():
	}
}

// acceptsGzip reports whether an Accept-Encoding header asks for gzip.
func acceptsGzip(lines []string) bool {
	for _, line := range lines {
		for part := range strings.SplitSeq(line, ",") {
			coding, params, _ := strings.Cut(part, ";")
			if !strings.EqualFold(strings.TrimSpace(coding), "gzip") {
				continue
			}
			weight, found := strings.CutPrefix(strings.TrimSpace(params), "q=")
			q, err := strconv.ParseFloat(weight, 64)
			return !found || err == nil && q > 0
		}
	}
	return false
}
