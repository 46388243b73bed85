package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// WatchQuery selects events.
type WatchQuery struct {
	Prefix string // only locks whose names begin with it
	After  string // only events after this one: the ID of the last event before; empty: from now on
}

// WatchEvent is an event of a watch.
type WatchEvent struct {
	// ID is the cursor to go on with: the After of another watch.
	ID string
	// Kind is what happened, like granted or released. It is gap if events were pruned before
	// they could be sent, and empty if nothing happened: such an event comes at the beginning and
	// every 15 s, and has only an ID.
	Kind string
	// Data is the record of the event, as in the audit log; it is valid until the next event.
	Data json.RawMessage
}

// KindGap is the kind of the event that says that others were pruned before they could be sent.
const KindGap = "gap"

// silence is how long a watch may be silent. A server sends something every 15 s.
const silence = 45 * time.Second

var (
	errSilent = errors.New("the stream is silent")
	errEnded  = errors.New("the stream has ended")
)

// Watch streams the events of the locks that the account may read, from one request. The last pair
// has the error by which it ended: that of ctx, an [*Error], or an [*UnreachableError] if the
// connection was cut, the server stopped, or nothing came for 45 s. It never ends without one. A
// caller who wants to go on watches again after the last ID; it gets the events it has missed.
func (c *Client) Watch(ctx context.Context, q WatchQuery) iter.Seq2[WatchEvent, error] {
	return c.stream(ctx, streamRequest{
		path: "/v1/events", query: nonEmpty(map[string]string{"prefix": q.Prefix}), after: q.After, longest: 1 << 20,
	})
}

// streamRequest asks for a stream of server-sent events.
type streamRequest struct {
	path    string
	query   url.Values
	after   string // id of the last event that was received; empty: none
	longest int    // bytes of a line
}

// stream is the iteration of [Client.Watch].
func (c *Client) stream(ctx context.Context, q streamRequest) iter.Seq2[WatchEvent, error] {
	return func(yield func(WatchEvent, error) bool) {
		own, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		silent := time.AfterFunc(silence, func() { cancel(errSilent) })
		defer silent.Stop()
		err := c.watch(own, q, func(e WatchEvent) bool {
			silent.Stop() // a slow caller is not a silent server
			more := yield(e, nil)
			silent.Reset(silence)
			return more
		})
		switch {
		case err == nil: // the caller has enough
			return
		case ctx.Err() != nil:
			err = context.Cause(ctx)
		case own.Err() != nil:
			err = &UnreachableError{URL: c.shown, Err: context.Cause(own)}
		}
		yield(WatchEvent{}, err)
	}
}

// watch passes on events until the caller has enough; then it returns nil.
func (c *Client) watch(ctx context.Context, q streamRequest, each func(WatchEvent) bool) error {
	req, err := c.request(ctx, http.MethodGet, q.path, q.query)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "text/event-stream")
	if q.after != "" {
		req.Header.Set("Last-Event-ID", q.after)
	}
	resp, err := c.send(c.long, req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind != "text/event-stream" {
		return c.foreign()
	}
	s := eventStream{lines: bufio.NewReader(resp.Body), last: q.after, longest: q.longest}
	for {
		e, err := s.next()
		if errors.Is(err, io.EOF) {
			err = errEnded
		}
		if err != nil {
			return c.unreachable(ctx, err)
		}
		if !each(e) {
			return nil
		}
	}
}

// eventStream reads server-sent events.
type eventStream struct {
	lines *bufio.Reader
	last  string // id of the last block that had one

	longest int // bytes of a line
}

// next returns the next event: a block of lines up to an empty one. A block that the end of the
// stream cuts off is no event, and neither is a comment alone.
func (s *eventStream) next() (WatchEvent, error) {
	var e WatchEvent
	given := false
	for {
		line, err := s.line()
		if err != nil {
			return WatchEvent{}, err
		}
		if line == "" && given {
			s.last = e.ID
			e.Data = bytes.TrimSuffix(e.Data, []byte("\n"))
			return e, nil
		}
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "id":
			e.ID, given = value, true
		case "event":
			e.Kind = value
		case "data":
			e.Data = append(append(e.Data, value...), '\n')
			given = true
		}
		if most := 4 * s.longest; len(e.Data) > most {
			return WatchEvent{}, fmt.Errorf("an event of the stream is longer than %d MiB", most>>20)
		}
		if e.ID == "" {
			e.ID = s.last
		}
	}
}

// line returns the next line, without its end.
func (s *eventStream) line() (string, error) {
	var line []byte
	for {
		part, more, err := s.lines.ReadLine()
		if err != nil {
			return "", err
		}
		if line = append(line, part...); len(line) > s.longest {
			return "", fmt.Errorf("a line of the stream is longer than %d MiB", s.longest>>20)
		}
		if !more {
			return string(line), nil
		}
	}
}
