package transport

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/input"
	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/transport/internal/wire"
	"github.com/octostore/octostore/transport/problem"
)

// heartbeat is how often a watch sends something although nothing happens. Proxies close
// connections that are silent for half a minute.
const heartbeat = 15 * time.Second

// watch streams the events of the locks the caller may read, as server-sent events, until the
// client leaves, its token ends, or the server begins to stop.
func (x *exchange) watch() error {
	if err := core.MaySome(x.principal, "watch locks", auth.Read); err != nil {
		return err
	}
	defer x.endWithToken()()
	return x.cause(x.follow())
}

func (x *exchange) follow() error {
	w := watcher{x: x}
	after, err := w.begin()
	if err != nil {
		return err
	}
	if !x.api.watches.Begin(x.principal.Account) {
		return problem.ErrTooManyReaders
	}
	defer x.api.watches.End(x.principal.Account)
	w.reader = x.api.journal.From(after)
	if w.stream, err = x.beginStream(wire.TypeSSE, false, watchUnsent); err != nil {
		return err
	}
	if x.r.Method == http.MethodHead {
		return nil
	}
	ctx, done := x.followUntilStop()
	defer done()
	defer w.stream.Rest()
	for ctx.Err() == nil {
		if err := w.page(ctx); err != nil && ctx.Err() == nil {
			return err
		}
	}
	if err := x.context().Err(); err != nil {
		return err
	}
	return w.stream.Close()
}

// watcher is the state of one watch.
type watcher struct {
	x      *exchange
	reader *journal.Reader
	stream *wire.Stream
	filter journal.Filter
	last   time.Time // when something was sent
	woken  time.Time
}

// begin returns the event after which the watch begins: the one in Last-Event-ID, else the
// newest.
func (w *watcher) begin() (lock.Seq, error) {
	x := w.x
	prefix, err := x.params.Prefix()
	if err != nil {
		return 0, err
	}
	w.filter.Prefix = prefix
	w.filter.Visible = x.sees(auth.Read)
	newest := x.api.journal.Head()
	text, err := x.params.LastEventID()
	if err != nil || text == "" {
		return newest, err
	}
	unknown := &input.Error{
		Field:   "Last-Event-ID",
		Problem: "is not the id of an event here",
		Want:    "the id of the last event that was received, or no such header; the database may have been replaced by a backup",
	}
	seq, err := record.ParseCursor(text)
	if err != nil {
		return 0, unknown
	}
	known, err := x.api.journal.Knows(x.context(), seq)
	if _, pruned := errors.AsType[*journal.PrunedError](err); pruned {
		return seq, nil // the client is told of the gap
	}
	if err == nil && !known {
		return 0, unknown
	}
	return seq, err
}

// page sends the next page of events, or waits for one.
func (w *watcher) page(ctx context.Context) error {
	w.stream.Work()
	page, err := w.reader.Next(ctx)
	var pruned *journal.PrunedError
	if errors.As(err, &pruned) {
		return w.gap(pruned.Oldest)
	}
	if err != nil {
		return err
	}
	w.x.buf = w.x.buf[:0]
	for _, s := range page {
		if err := w.events(s); err != nil {
			return err
		}
	}
	if len(w.x.buf) > 0 {
		return w.send()
	}
	if len(page) > 0 && !w.overdue() {
		return nil // the page has nothing for this client
	}
	return w.wait(ctx)
}

// events sends the events of a segment that the client may see; the last few stay in the buffer.
// Events that are not about a lock are in the audit log only.
func (w *watcher) events(s lock.Segment) error {
	for l := range record.Lines(s, 0) {
		if len(l.Name) == 0 || !w.filter.Selects(&l) {
			continue
		}
		w.x.buf = wire.AppendEvent(w.x.buf, record.FormatCursor(l.Seq), string(l.Kind), l.Bytes)
		if len(w.x.buf) < wire.MaxPiece {
			continue
		}
		if err := w.send(); err != nil {
			return err
		}
	}
	return nil
}

// gap tells the client that events after its cursor were pruned, and goes on with the oldest
// left.
func (w *watcher) gap(oldest lock.Seq) error {
	w.reader = w.x.api.journal.From(oldest)
	w.x.buf = wire.AppendGap(w.x.buf[:0], record.FormatCursor(oldest))
	return w.send()
}

// wait waits for an event, and sends a heartbeat if none comes. The first heartbeat is sent at
// once, so that the client has a cursor to come back with.
func (w *watcher) wait(ctx context.Context) error {
	w.stream.Rest()
	if w.overdue() {
		w.x.buf = wire.AppendHeartbeat(w.x.buf[:0], record.FormatCursor(w.reader.After()))
		return w.send()
	}
	w.x.api.streams.Pause(ctx, w.woken)
	soon, cancel := context.WithDeadline(ctx, w.last.Add(heartbeat))
	defer cancel()
	err := w.reader.Wait(soon)
	w.woken = time.Now()
	if soon.Err() != nil {
		return nil
	}
	return err
}

func (w *watcher) overdue() bool { return time.Since(w.last) >= heartbeat }

func (w *watcher) send() error {
	if err := w.stream.Write(w.x.buf); err != nil {
		return err
	}
	w.x.buf = w.x.buf[:0]
	w.last = time.Now()
	return w.stream.Flush()
}
