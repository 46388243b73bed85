package conn

import (
	"context"
	"net"
	"sync"
	"time"
)

// net/http reads one byte while a handler works, to learn that the client leaves. Once a
// client has sent that byte, the beginning of its next request perhaps, nobody reads the
// connection any more, and its end is noticed only by a write. For a waiter that would be
// the grant. So the connections of requests that wait are watched here, without reading.

const (
	// watchDelay is how old a request is before its connection is watched: most are
	// answered sooner, and cost nothing.
	WatchDelay = 25 * time.Millisecond
	// mostBehind is how many bytes a client may send behind a request that waits. The end
	// of a connection comes after them, and never if the system has no room for them, so a
	// client that sends more counts as gone.
	mostBehind = 32 << 10
)

// hangups watches the connections of requests that wait. It is safe for use by many
// goroutines; it starts one, which ends in close.
type Hangups struct {
	mu     sync.Mutex
	poller *poller // nil: there was nothing to watch yet
	closed bool
	last   uint64
	byID   map[uint64]*watchedConn
	peeked []byte // for happened, which only one goroutine calls
	ended  sync.WaitGroup
}

// watchedConn is the connection of one request.
type watchedConn struct {
	conn  *net.TCPConn
	gone  context.CancelFunc
	timer *time.Timer

	// Guarded by the mutex of hangups.
	id   uint64 // 0: not watched yet
	done bool
}

// watch calls gone when the client of a connection has left, or has sent too much to tell.
// The caller calls stop, after which gone is not called for what happens to the connection
// then; a call under way may go on. gone may be called more than once, also at the same
// time.
func (h *Hangups) Watch(conn *net.TCPConn, gone context.CancelFunc) (stop func()) {
	w := &watchedConn{conn: conn, gone: gone}
	w.timer = time.AfterFunc(WatchDelay, func() { h.add(w) })
	return func() { h.remove(w) }
}

func (h *Hangups) add(w *watchedConn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if w.done || h.closed || !h.open() {
		return
	}
	h.last++
	w.id = h.last
	h.byID[w.id] = w
	h.poller.add(w.conn, w.id)
}

// open begins to watch, and reports whether it can be done. The caller holds mu.
func (h *Hangups) open() bool {
	if h.poller != nil {
		return true
	}
	p, err := openPoller()
	if err != nil {
		return false // no more files, or another system; net/http notices most of them
	}
	h.poller, h.byID, h.peeked = p, map[uint64]*watchedConn{}, make([]byte, mostBehind)
	h.ended.Go(func() { p.run(h.happened) })
	return true
}

func (h *Hangups) remove(w *watchedConn) {
	w.timer.Stop()
	h.mu.Lock()
	defer h.mu.Unlock()
	w.done = true
	if w.id == 0 || h.closed {
		return
	}
	delete(h.byID, w.id)
	h.poller.remove(w.conn)
}

// happened is called when something has happened to a connection: left if that was its
// end, else bytes have come.
func (h *Hangups) happened(id uint64, left bool) {
	h.mu.Lock()
	w := h.byID[id]
	h.mu.Unlock()
	if w == nil {
		return // answered meanwhile
	}
	if left || fills(w.conn, h.peeked) {
		w.gone()
	}
}

// close watches nothing any more.
func (h *Hangups) Close() {
	h.mu.Lock()
	h.closed = true
	p := h.poller
	h.mu.Unlock()
	if p != nil {
		p.close()
	}
	h.ended.Wait()
}

// hasHungUp reports whether the client has closed the connection of a request that began
// at that time and has lasted a while, as far as can be told without reading.
func HasHungUp(conn *net.TCPConn, began time.Time) bool {
	return conn != nil && time.Since(began) >= WatchDelay && hungUp(conn)
}
