package transport

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/sleep"
)

// A stream is an answer without a known end. Each piece of it has a deadline of its
// own, so a client that stops reading holds its connection and a page of the journal,
// and not for long.

// How many bytes of a stream the system may keep for a client that does not read them.
// It would take megabytes, and with a thousand such clients so much that all
// connections suffer, those of holders too. Exports are long and may have a long way.
//
// maxPiece is about how much is made for a client before it is given to it.
const (
	maxPiece     = 16 << 10
	watchUnsent  = 64 << 10
	exportUnsent = 512 << 10
)

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
	x       *exchange
	pack    *gzip.Writer // into packed; nil: as it is
	packed  bytes.Buffer
	working bool // it has its turn
}

// What streams do for their clients they do by turns, a few at a time: however many
// there are, they take no more than their share of the CPUs, and those who lock do not
// queue behind a thousand of them. Nobody keeps a turn while a client takes its time.

// work waits for a turn, which the stream has until it waits for something else.
func (s *stream) work() {
	if !s.working {
		s.x.api.turns <- struct{}{}
		s.working = true
	}
}

// rest gives the turn to others.
func (s *stream) rest() {
	if s.working {
		s.working = false
		<-s.x.api.turns
	}
}

// stream sends the header of a stream. The answer is compressed if packed; of what the
// client does not read about so many bytes are kept.
func (x *exchange) stream(contentType []string, packed bool, unsent int) *stream {
	s := &stream{x: x}
	if c := x.connection(); c != nil && x.r.Method != http.MethodHead { // which leaves the connection to other requests
		// If they fail, it is as it was. A connection that is cut is not to leave behind
		// what the client did not read, which the system would keep for minutes.
		_ = c.SetWriteBuffer(unsent)
		_ = c.SetLinger(0)
	}
	h := x.w.Header()
	h["Content-Type"] = contentType
	h["X-Accel-Buffering"] = []string{"no"} // proxies are not to hold pieces back
	if packed {
		h["Content-Encoding"] = []string{"gzip"}
		s.pack, _ = gzip.NewWriterLevel(&s.packed, gzip.BestSpeed)
	}
	x.WriteHeader(http.StatusOK)
	return s
}

// write writes one piece. It may be kept back until the next flush.
func (s *stream) write(piece []byte) error {
	if s.pack == nil {
		return s.send(piece)
	}
	if _, err := s.pack.Write(piece); err != nil {
		return err
	}
	if s.packed.Len() < maxPiece {
		return nil
	}
	return s.sendPacked()
}

func (s *stream) sendPacked() error {
	err := s.send(s.packed.Bytes())
	s.packed.Reset()
	return err
}

// send gives bytes to the client, which may take its time. The turn is another's
// meanwhile.
func (s *stream) send(b []byte) error {
	if s.working {
		s.rest()
		defer s.work()
	}
	s.arm()
	if _, err := s.x.Write(b); err != nil {
		return lost(err)
	}
	return nil
}

// lost turns what a write said into the error of a client that is gone, or as good as
// gone.
func lost(err error) error { return fmt.Errorf("%w: %w", lock.ErrGone, err) }

// flush sends what has been kept back.
func (s *stream) flush() error {
	if s.pack != nil {
		if err := s.pack.Flush(); err != nil {
			return err
		}
		if err := s.sendPacked(); err != nil {
			return err
		}
	}
	if s.working {
		s.rest()
		defer s.work()
	}
	s.arm()
	err := http.NewResponseController(s.x.w).Flush()
	if err == nil || errors.Is(err, http.ErrNotSupported) {
		return nil // or it is not a connection, and nothing is buffered
	}
	return lost(err)
}

// close ends the stream in good order.
func (s *stream) close() error {
	if c := s.x.connection(); c != nil {
		_ = c.SetLinger(-1) // what was written is to arrive
	}
	if s.pack == nil {
		return nil
	}
	if err := s.pack.Close(); err != nil {
		return err
	}
	return s.sendPacked()
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
	_ = sleep.For(ctx, length-time.Since(last))
}
