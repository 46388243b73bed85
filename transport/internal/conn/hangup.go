package conn

import (
	"context"
	"net"
	"sync"
	"time"
)

// While a handler works, net/http reads one byte of the connection, to notice that the client
// leaves. Once the client has sent that byte, perhaps the first of its next request, net/http
// reads no further, and only a write notices the end of the connection. For a waiter that
// write would be the grant. So the connections of waiting requests are watched here, without
// reading from them.

const (
	// WatchDelay is the age of a request from which its connection is watched. Most requests
	// are answered sooner and cost nothing.
	WatchDelay = 25 * time.Millisecond
	// mostBehind is how many bytes a client may send after a request that waits. The end of
	// the connection comes after these bytes, and never if the system has no room for them.
	// So a client that sends more counts as gone.
	mostBehind = 32 << 10
)

// Hangups watches the connections of waiting requests. It is safe for use by many goroutines. It
// starts one goroutine, which ends in Close.
type Hangups struct {
	mu     sync.Mutex
	poller *poller // nil: nothing was watched yet
	closed bool
	last   uint64
	byID   map[uint64]*watchedConn
	peeked []byte // used by happened, which only one goroutine calls
	ended  sync.WaitGroup
}

// watchedConn is the connection of one request.
type watchedConn struct {
	conn  *net.TCPConn
	gone  context.CancelFunc
	timer *time.Timer // nil: it was watched at once

	// Guarded by the mutex of Hangups.
	id   uint64 // 0: not watched yet
	done bool
	left bool // gone was called
}

// Watch calls gone, from some time on, when the client of a connection has left, or has sent too
// many bytes to tell. The caller calls stop, which returns false if gone has been called; after
// that gone is not called for later events of the connection, but a call under way may go on.
// gone may be called more than once, and concurrently.
func (h *Hangups) Watch(conn *net.TCPConn, gone context.CancelFunc, after time.Duration) (stop func() bool) {
	w := &watchedConn{conn: conn, gone: gone}
	if after > 0 {
		w.timer = time.AfterFunc(after, func() { h.add(w) })
	} else {
		h.add(w)
	}
	return func() bool { return h.remove(w) }
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

// Open begins to watch before there is a connection, and reports whether that is possible here.
// Without a call of Open the first Watch does it.
func (h *Hangups) Open() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.closed && h.open()
}

// open starts the poller, and reports whether there is one. The caller holds mu.
func (h *Hangups) open() bool {
	if h.poller != nil {
		return true
	}
	p, err := openPoller()
	if err != nil {
		return false // no file descriptor left, or another system; net/http notices most hang-ups
	}
	h.poller, h.byID, h.peeked = p, map[uint64]*watchedConn{}, make([]byte, mostBehind)
	h.ended.Go(func() { p.run(h.happened) })
	return true
}

// remove ends a watch, and reports whether the client was there until then.
func (h *Hangups) remove(w *watchedConn) (stayed bool) {
	if w.timer != nil {
		w.timer.Stop()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	w.done = true
	if w.id != 0 && !h.closed {
		delete(h.byID, w.id)
		h.poller.remove(w.conn)
	}
	return !w.left
}

// happened is called for an event of a connection: left means that the client closed it,
// otherwise bytes have arrived.
func (h *Hangups) happened(id uint64, left bool) {
	h.mu.Lock()
	w := h.byID[id]
	h.mu.Unlock()
	if w == nil {
		return // the request was answered meanwhile
	}
	if left || fills(w.conn, h.peeked) {
		h.leave(w)
	}
}

// leave calls gone, unless the watch has ended meanwhile.
func (h *Hangups) leave(w *watchedConn) {
	h.mu.Lock()
	watched := !w.done
	w.left = w.left || watched
	h.mu.Unlock()
	if watched {
		w.gone()
	}
}

// Close stops watching.
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

// HasHungUp reports whether the client has closed its connection, as far as the system tells without
// reading. Without a connection it has not.
func HasHungUp(conn *net.TCPConn) bool { return conn != nil && hungUp(conn) }
