// Package top shows at a terminal what a server does: the locks that others wait for, and the
// numbers of the last seconds. On a terminal it goes on until its user ends it, over outages of
// the server; elsewhere it prints one table.
package top

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/terminal"
	"github.com/octostore/octostore/cmd/octostore/internal/text"
	"github.com/octostore/octostore/core/sleep"
	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/client"
)

// Orders are the orders of locks, the default one first.
var Orders = []string{"waiters", "wait", "name"}

// Top is what to show, and where.
type Top struct {
	Client *client.Client
	Prefix string // only locks whose names begin with it
	Sort   string // one of Orders
	Limit  int    // of the locks that Once prints

	In  io.Reader // keys
	Out io.Writer
}

// State is what is shown. It is also what is printed as JSON.
type State struct {
	// Last is the newest step of the activity; nil: none has ended since the server started.
	Last    *api.ActivityBucket `json:"last"`
	Busiest []api.BusyLock      `json:"busiest"`
	Locks   []api.Lock          `json:"locks"`
	// Server is what the server says of itself; nil: only to an administrator.
	Server *Server `json:"server,omitempty"`

	step time.Duration // of the activity
	skew time.Duration // of the server's clock before this one
}

// Server is the part of [api.Server] that is shown.
type Server struct {
	Version   string     `json:"version"`
	StartedAt time.Time  `json:"started_at"`
	Status    api.Health `json:"status"`
	Held      int        `json:"held"`
	Waiters   int        `json:"waiters"`
}

// Once prints the state of now, as a table or as JSON.
func (t *Top) Once(ctx context.Context, asJSON bool) error {
	activity, err := t.Client.Activity(ctx)
	if err != nil {
		return err
	}
	list, err := t.Client.Locks(ctx, t.query(t.Limit))
	if err != nil {
		return err
	}
	server, err := t.Client.Server(ctx)
	if err != nil && !errors.Is(err, client.ErrForbidden) {
		return err
	}
	s := State{}
	s.addActivity(activity)
	s.setLocks(list, time.Now())
	if err == nil {
		s.setServer(server, time.Now())
	}
	if asJSON {
		return text.JSON(t.Out, s)
	}
	for _, line := range s.lines(view{order: t.Sort, prefix: t.Prefix}, time.Now()) {
		if _, err := fmt.Fprintln(t.Out, line.Text); err != nil {
			return err
		}
	}
	return nil
}

func (t *Top) query(limit int) client.LocksQuery {
	return client.LocksQuery{Prefix: t.Prefix, Sort: t.Sort, Limit: limit}
}

func (s *State) addActivity(a api.Activity) {
	s.Busiest = a.Busiest
	s.step = time.Duration(a.StepMS) * time.Millisecond
	if n := len(a.Buckets); n > 0 {
		s.Last = &a.Buckets[n-1]
	}
}

// setLocks takes a list that has just arrived. The end of a lease and the time that is left tell
// what the server's clock says.
func (s *State) setLocks(list api.List, now time.Time) {
	s.Locks = list.Locks
	for _, l := range list.Locks {
		if l.Lease != nil {
			left := time.Duration(l.Lease.ExpiresInMS) * time.Millisecond
			s.skew = l.Lease.ExpiresAt.Add(-left).Sub(now)
			return
		}
	}
}

// setServer takes the state of the server that has just arrived.
func (s *State) setServer(of api.Server, now time.Time) {
	s.Server = &Server{Version: of.Version, StartedAt: of.StartedAt, Status: of.Status, Held: of.Held, Waiters: of.Waiters}
	s.skew = of.StartedAt.Add(time.Duration(of.UptimeMS) * time.Millisecond).Sub(now)
}

// rows is how many locks are asked for: more than fit on most screens.
const rows = 200

// Run shows the state on a terminal, and draws it again each second, until the user or ctx ends
// it, which is no error, or the server refuses.
func (t *Top) Run(ctx context.Context) (err error) {
	updates := make(chan update)
	feeds := feeds{top: t, updates: updates, server: true}
	feeds.begin(ctx)
	defer func() { feeds.end() }()
	first := feeds.first(ctx) // or why there is none, before the terminal is taken
	if first.err != nil {
		return first.failure(ctx)
	}
	screen, err := terminal.OpenScreen(t.In, t.Out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, screen.Close()) }()
	shown := display{screen: screen, view: view{order: t.Sort, prefix: t.Prefix}}
	shown.take(first)
	ticks := time.NewTicker(time.Second)
	defer ticks.Stop()
	keys := screen.Keys()
	for {
		if err := shown.draw(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticks.C:
		case u := <-updates:
			switch {
			case feeds.withoutServer(ctx, u):
				shown.state.Server = nil
			case u.fatal():
				return u.failure(ctx)
			default:
				shown.take(u)
			}
		case key, open := <-keys:
			if !open {
				keys = nil // the input has ended: a signal ends the program
			}
			switch key {
			case 'q', 'Q', 3, 4: // ctrl-C, ctrl-D
				return nil
			case 's', 'S':
				t.Sort = Orders[(slices.Index(Orders, t.Sort)+1)%len(Orders)]
				shown.view.order = t.Sort
				feeds.end()
				feeds.begin(ctx)
			}
		}
	}
}

// update is a change of what is shown.
type update struct {
	event client.WatchEvent
	err   error // the connection was lost, or the server refuses
}

// fatal reports whether a later request would fail, too.
func (u update) fatal() bool {
	if u.err == nil {
		return false
	}
	if down, is := errors.AsType[*client.UnreachableError](u.err); is {
		return down.Untrusted()
	}
	answered, is := errors.AsType[*client.Error](u.err)
	return !is || answered.Status < 500 && answered.Status != http.StatusTooManyRequests
}

// failure is the error to end with; none if ctx ended.
func (u update) failure(ctx context.Context) error {
	if ctx.Err() != nil {
		return nil
	}
	return u.err
}

// feeds reads the live stream, and connects again when it ends.
type feeds struct {
	top     *Top
	updates chan update
	server  bool // the state of the server is asked for
	cancel  context.CancelFunc
	done    chan struct{}
}

func (f *feeds) begin(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	f.cancel, f.done = cancel, make(chan struct{})
	query := client.LiveQuery{Show: []string{client.ShowActivity, client.ShowLocks}, Locks: f.top.query(rows)}
	if f.server {
		query.Show = append(query.Show, client.ShowServer)
	}
	go f.read(ctx, query, f.done)
}

// first waits for the first update.
func (f *feeds) first(ctx context.Context) update {
	for {
		select {
		case u := <-f.updates:
			if !f.withoutServer(ctx, u) {
				return u
			}
		case <-ctx.Done():
			return update{err: ctx.Err()}
		}
	}
}

// withoutServer asks again without the state of the server if that is what may not be seen, and
// reports whether it does.
func (f *feeds) withoutServer(ctx context.Context, u update) bool {
	if !f.server || !errors.Is(u.err, client.ErrForbidden) {
		return false
	}
	f.end()
	f.server = false
	f.begin(ctx)
	return true
}

// end ends the reading, and drops what has not been taken.
func (f *feeds) end() {
	f.cancel()
	<-f.done
}

const retryAfter = time.Second

func (f *feeds) read(ctx context.Context, q client.LiveQuery, done chan struct{}) {
	defer close(done)
	send := func(u update) {
		select {
		case f.updates <- u:
		case <-ctx.Done():
		}
	}
	for ctx.Err() == nil {
		for e, err := range f.top.Client.Live(ctx, q) {
			if err != nil {
				send(update{err: err})
				break
			}
			e.Data = slices.Clone(e.Data) // it is valid until the next event only
			send(update{event: e})
		}
		_ = sleep.For(ctx, retryAfter)
	}
}

// display is what is on the screen.
type display struct {
	screen *terminal.Screen
	view   view
	state  State
}

func (d *display) take(u update) {
	d.view.lost = u.err
	if u.err != nil {
		return
	}
	switch u.event.Kind {
	case client.ShowActivity:
		var a api.Activity
		if json.Unmarshal(u.event.Data, &a) == nil {
			d.state.addActivity(a)
		}
	case client.ShowServer:
		var s api.Server
		if json.Unmarshal(u.event.Data, &s) == nil {
			d.state.setServer(s, time.Now())
		}
	case client.ShowLocks:
		var list api.List
		if json.Unmarshal(u.event.Data, &list) == nil {
			d.state.setLocks(list, time.Now())
		}
	}
}

func (d *display) draw() error {
	lines := d.state.lines(d.view, time.Now())
	_, height := d.screen.Size()
	help := "q quit   s sort by " + Orders[(slices.Index(Orders, d.view.order)+1)%len(Orders)]
	if d.view.lost != nil {
		help = "octostore: the connection is lost; connecting again: " + d.view.lost.Error()
	}
	for len(lines) < height-1 {
		lines = append(lines, terminal.Line{})
	}
	lines = append(lines[:max(0, height-1)], terminal.Line{Text: help, Bold: d.view.lost != nil})
	return d.screen.Draw(lines)
}
