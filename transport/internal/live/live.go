// Package live shares views of a server between streams. Streams that show the same have one
// [Feed]: it renders the view once for all of them, only when it has changed, and not more often
// than people can follow. A stream whose client is slow misses what was replaced meanwhile, and
// holds up nobody.
package live

import (
	"context"
	"sync"
	"time"
)

const (
	// tick is how often a feed looks whether its view has changed.
	tick = 100 * time.Millisecond
	// perFeed and perReader are how much longer the pause between two frames of a feed is for
	// each feed that there is, and for each reader of its own, where that is longer than Every.
	// So very many of them together leave the processors to requests: a hundred readers get a
	// frame a second.
	perFeed   = 5 * time.Millisecond
	perReader = 10 * time.Millisecond
	// share is how many times as long as a look for a change takes all feeds rest after it, so
	// that they take a quarter of a processor at most. A look takes long if the table has changed
	// but the view has not: a search through very many locks that finds none.
	share = 4
	// restMost is the longest rest, whatever made a look slow.
	restMost = 10 * time.Second
)

// Frame is an event of a stream: the state of a view.
type Frame struct {
	// Event are the bytes of the event. They are not changed any more.
	Event []byte
	// ID is the cursor of the event, and Before that of the frame which it continues; both are
	// empty if each frame has everything.
	ID, Before string
	// Since returns the event for a reader with another cursor than Before; empty: with none.
	Since func(cursor string) []byte
}

// Feed renders a view.
type Feed struct {
	// Every is the least time between two frames.
	Every time.Duration
	// Next returns the next frame, or false if nothing has changed since the last; it is cheap
	// then. One goroutine calls it.
	Next func(context.Context) (Frame, bool)
}

// Hub has the feeds of all streams. The zero Hub is ready; it is safe for use by many goroutines.
type Hub struct {
	mu    sync.Mutex
	feeds map[string]*feed
}

// feed is a feed with its readers.
type feed struct {
	Feed
	readers map[*Reader]bool // the mutex of the hub guards it

	mu     sync.Mutex
	frame  Frame
	number uint64 // of the frame, from 1
	whole  []byte // the frame for a reader without a cursor; nil: not made yet

	end  context.CancelFunc
	done chan struct{}
}

// Reader is the reader of a stream. One goroutine uses it.
type Reader struct {
	hub    *Hub
	wake   chan struct{}
	cursor string
	reads  []reading
}

// reading is a feed and the number of the frame that was read last.
type reading struct {
	key  string
	feed *feed
	read uint64
}

// Reader returns a reader without feeds. The cursor is that of the last event which the client
// received; empty: none. The caller closes the reader.
func (h *Hub) Reader(cursor string) *Reader {
	return &Reader{hub: h, wake: make(chan struct{}, 1), cursor: cursor}
}

// Follow adds a feed. Readers that give the same key share the feed which the first of them made.
func (r *Reader) Follow(key string, f Feed) {
	h := r.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.feeds == nil {
		h.feeds = map[string]*feed{}
	}
	shared := h.feeds[key]
	if shared == nil {
		ctx, end := context.WithCancel(context.Background())
		shared = &feed{Feed: f, readers: map[*Reader]bool{}, end: end, done: make(chan struct{})}
		h.feeds[key] = shared
		go h.run(ctx, shared)
	}
	shared.readers[r] = true
	r.reads = append(r.reads, reading{key: key, feed: shared})
	r.notify()
}

// Close takes the reader out of its feeds. A feed without readers has ended when Close returns.
func (r *Reader) Close() {
	for _, reading := range r.reads {
		if r.hub.leave(r, reading) {
			reading.feed.end()
			<-reading.feed.done
		}
	}
}

// leave reports whether the reader was the last of the feed.
func (h *Hub) leave(r *Reader, from reading) (last bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(from.feed.readers, r)
	if len(from.feed.readers) > 0 {
		return false
	}
	delete(h.feeds, from.key)
	return true
}

// Feeds returns how many different feeds there are.
func (h *Hub) Feeds() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.feeds)
}

// run renders a feed until ctx ends.
func (h *Hub) run(ctx context.Context, f *feed) {
	defer close(f.done)
	ticks := time.NewTimer(0)
	defer ticks.Stop()
	var last time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
		pace := h.pace(f)
		if wait := pace - time.Since(last); !last.IsZero() && wait > 0 {
			ticks.Reset(wait)
			continue
		}
		began := time.Now()
		frame, changed := f.Next(ctx)
		took := time.Since(began)
		if changed {
			last = time.Now()
			f.publish(frame)
			h.notify(f)
		}
		ticks.Reset(h.rest(took))
	}
}

// rest returns the time until a feed looks again, after a look that took so long.
func (h *Hub) rest(took time.Duration) time.Duration {
	return min(max(tick, share*took*time.Duration(h.Feeds())), restMost)
}

// pace returns the least time between two frames of a feed.
func (h *Hub) pace(f *feed) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return max(f.Every, time.Duration(len(h.feeds))*perFeed, time.Duration(len(f.readers))*perReader)
}

func (f *feed) publish(frame Frame) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.frame, f.whole = frame, nil
	f.number++
}

func (h *Hub) notify(f *feed) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for r := range f.readers {
		r.notify()
	}
}

func (r *Reader) notify() {
	select {
	case r.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// Next waits for frames that were not read yet, and returns their events; none if ctx ends first.
// Of a feed it returns the newest frame only. The events are shared: do not change them.
func (r *Reader) Next(ctx context.Context) [][]byte {
	for {
		if events := r.unread(); len(events) > 0 {
			return events
		}
		select {
		case <-ctx.Done():
			return nil
		case <-r.wake:
		}
	}
}

func (r *Reader) unread() (events [][]byte) {
	for i := range r.reads {
		if event := r.reads[i].next(&r.cursor); event != nil {
			events = append(events, event)
		}
	}
	return events
}

// next returns the newest frame for a reader with the cursor, and moves the cursor.
func (r *reading) next(cursor *string) []byte {
	f := r.feed
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.read == f.number {
		return nil
	}
	r.read = f.number
	if f.frame.Since == nil {
		return f.frame.Event
	}
	from := *cursor
	*cursor = f.frame.ID
	switch from {
	case "":
		if f.whole == nil {
			f.whole = f.frame.Since("")
		}
		return f.whole
	case f.frame.Before:
		return f.frame.Event
	}
	return f.frame.Since(from)
}
