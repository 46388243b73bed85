package wire

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/octostore/octostore/core/lock"
)

// MaxPiece is about how much of a stream is produced before it is sent.
const MaxPiece = 16 << 10

// Between two pieces that a reader waited for there is a pause, in which events gather:
// readers that have everything are not woken by every commit. The pause grows with the
// number of those readers, so that all of them together leave the CPUs to the commits. It
// is random, or all readers would wake at once.
const (
	leastPause    = 20 * time.Millisecond
	pausePerOther = time.Millisecond
)

// StreamPool bounds the work for all streams of a server. A few of them produce pieces at a
// time, so that however many there are, they take no more than their share of the CPUs, and
// requests for locks do not queue behind them. No stream keeps a slot while its client reads.
// A pool is safe for use by many goroutines.
type StreamPool struct {
	slots     chan struct{}
	followers atomic.Int64 // streams that go on with new events
}

// NewStreamPool returns a pool in which that many streams may work at a time.
func NewStreamPool(slots int) *StreamPool {
	return &StreamPool{slots: make(chan struct{}, slots)}
}

// Slots returns how many streams may work at a time.
func (p *StreamPool) Slots() int { return cap(p.slots) }

// Working returns how many streams work now.
func (p *StreamPool) Working() int { return len(p.slots) }

// Followers returns how many streams go on with new events now.
func (p *StreamPool) Followers() int64 { return p.followers.Load() }

// Follow counts a stream that goes on with new events, until end is called.
func (p *StreamPool) Follow() (end func()) {
	p.followers.Add(1)
	return func() { p.followers.Add(-1) }
}

// Pause lets events gather for a moment after the last piece.
func (p *StreamPool) Pause(ctx context.Context, last time.Time) {
	length := leastPause + time.Duration(p.followers.Load())*pausePerOther
	length = length/2 + rand.N(length)
	pause := time.NewTimer(length - time.Since(last))
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-ctx.Done():
	}
}

// Stream is an answer without a known end. Each piece of it has a deadline of its own, so a
// client that stops reading holds its connection and a page of the journal, but not for
// long.
type Stream struct {
	pool    *StreamPool
	to      http.ResponseWriter
	conn    *net.TCPConn
	timeout time.Duration
	gzip    *gzip.Writer // into packed; nil: not compressed
	packed  bytes.Buffer
	working bool // it has a slot of the pool
}

// StreamConfig configures a stream.
type StreamConfig struct {
	ContentType []string
	Gzip        bool
	Timeout     time.Duration // of each piece
	// Conn is the connection of the stream; nil if there is none, or if other answers share
	// it. Of what its client does not read the system keeps about Unsent bytes: by default
	// it would keep megabytes, and with a thousand such clients so much that all connections
	// suffer, those of holders too.
	Conn   *net.TCPConn
	Unsent int
}

// Begin sends the header of a stream.
func (p *StreamPool) Begin(w http.ResponseWriter, cfg StreamConfig) *Stream {
	s := &Stream{pool: p, to: w, conn: cfg.Conn, timeout: cfg.Timeout}
	if s.conn != nil {
		// Without these the stream works all the same. Linger 0: when the connection is cut,
		// the system drops what the client did not read instead of keeping it for minutes.
		_ = s.conn.SetWriteBuffer(cfg.Unsent)
		_ = s.conn.SetLinger(0)
	}
	h := w.Header()
	h["Content-Type"] = cfg.ContentType
	h["X-Accel-Buffering"] = []string{"no"} // proxies must not hold pieces back
	if cfg.Gzip {
		h["Content-Encoding"] = []string{"gzip"}
		s.gzip, _ = gzip.NewWriterLevel(&s.packed, gzip.BestSpeed)
	}
	w.WriteHeader(http.StatusOK)
	return s
}

// Work waits for a slot, which the stream has until it waits for its client or calls Rest.
func (s *Stream) Work() {
	if !s.working {
		s.pool.slots <- struct{}{}
		s.working = true
	}
}

// Rest gives the slot to another stream.
func (s *Stream) Rest() {
	if s.working {
		s.working = false
		<-s.pool.slots
	}
}

// Write writes one piece. It may be held back until the next Flush.
func (s *Stream) Write(piece []byte) error {
	if s.gzip == nil {
		return s.send(piece)
	}
	if _, err := s.gzip.Write(piece); err != nil {
		return err
	}
	if s.packed.Len() < MaxPiece {
		return nil
	}
	return s.sendPacked()
}

func (s *Stream) sendPacked() error {
	err := s.send(s.packed.Bytes())
	s.packed.Reset()
	return err
}

// send gives bytes to the client, which may take its time; another stream has the slot
// meanwhile.
func (s *Stream) send(b []byte) error {
	if s.working {
		s.Rest()
		defer s.Work()
	}
	s.arm()
	if _, err := s.to.Write(b); err != nil {
		return gone(err)
	}
	return nil
}

// gone turns the error of a write into that of a client that has left, or as good as left.
func gone(err error) error { return fmt.Errorf("%w: %w", lock.ErrGone, err) }

// Flush sends what was held back.
func (s *Stream) Flush() error {
	if s.gzip != nil {
		if err := s.gzip.Flush(); err != nil {
			return err
		}
		if err := s.sendPacked(); err != nil {
			return err
		}
	}
	if s.working {
		s.Rest()
		defer s.Work()
	}
	s.arm()
	err := http.NewResponseController(s.to).Flush()
	if err == nil || errors.Is(err, http.ErrNotSupported) {
		return nil // not supported: it is no connection, and nothing is buffered
	}
	return gone(err)
}

// Close ends the stream in good order.
func (s *Stream) Close() error {
	if s.conn != nil {
		_ = s.conn.SetLinger(-1) // what was written is to arrive
	}
	if s.gzip == nil {
		return nil
	}
	if err := s.gzip.Close(); err != nil {
		return err
	}
	return s.sendPacked()
}

// arm bounds the time that writing a piece may take.
func (s *Stream) arm() {
	_ = http.NewResponseController(s.to).SetWriteDeadline(time.Now().Add(s.timeout))
}
