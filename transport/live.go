package transport

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/input"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/table"
	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/internal/live"
	"github.com/octostore/octostore/transport/internal/param"
	"github.com/octostore/octostore/transport/internal/wire"
	"github.com/octostore/octostore/transport/problem"
)

// Views of a live stream.
const (
	showLocks    = "locks"
	showLock     = "lock"
	showActivity = "activity"
	showPolicies = "policies"
	showServer   = "server"
)

var liveViews = []string{showLocks, showLock, showActivity, showPolicies, showServer}

var liveFields = param.SetOf(param.Show, param.Prefix, param.Account, param.Sort, param.After, param.Limit, param.Name)

const (
	liveEvery = 500 * time.Millisecond // at least between two events of locks
	slowEvery = 2 * time.Second        // and of what takes more to collect
	// liveWaiters is how many waiters of one lock are shown.
	liveWaiters = 100
	// topLocks is how many locks an activity names.
	topLocks = 20
)

// activity shows the last hour.
func (a *API) activity(_ context.Context, c *caller, _ *param.Values) (wire.JSON, error) {
	if err := core.MaySome(c.principal, "see the activity of locks", auth.Read); err != nil {
		return wire.JSON{}, err
	}
	shown, err := a.activitySince(c.principal, time.Time{})
	return wire.JSON{Value: shown}, err
}

// activitySince returns the activity with the steps after a time, with the names that the
// principal may read.
func (a *API) activitySince(p auth.Principal, after time.Time) (api.Activity, error) {
	waits, _, err := a.service.List(p, table.Query{Order: table.ByWait, Limit: topLocks})
	if err != nil {
		return api.Activity{}, err
	}
	visible := func(n lock.Name) bool { return p.May(auth.Read, n) }
	if p.MayAll(auth.Read) {
		visible = nil
	}
	return a.recorder.Activity(after, a.recorder.Busiest(topLocks, visible), waits), nil
}

// live streams the views that the request asks for, until the client leaves, its token ends, or
// the server begins to stop. Views are rendered once for all streams that show the same, see
// package live.
func (x *exchange) live() error {
	shown, err := x.liveViews()
	if err != nil {
		return err
	}
	cursor, err := x.liveCursor()
	if err != nil {
		return err
	}
	reader := x.api.hub.Reader(cursor)
	defer reader.Close()
	feeds, err := x.liveFeeds(shown)
	if err != nil {
		return err
	}
	if !x.api.watches.Begin(x.principal.Account) {
		return problem.ErrTooManyReaders
	}
	defer x.api.watches.End(x.principal.Account)
	defer x.endWithToken()()
	return x.cause(x.streamFeeds(reader, feeds))
}

// liveViews returns the views to show: by default the lock that is named, else the locks.
func (x *exchange) liveViews() ([]string, error) {
	shown, err := x.params.Shown(liveViews)
	switch {
	case err != nil || shown != nil:
		return shown, err
	case x.params.Has(param.Name):
		return []string{showLock}, nil
	}
	return []string{showLocks}, nil
}

// streamFeeds sends the events of feeds, and a ping when there was none for a while.
func (x *exchange) streamFeeds(reader *live.Reader, feeds []keyedFeed) error {
	stream, err := x.beginStream(wire.TypeSSE, false, watchUnsent)
	if err != nil {
		return err
	}
	if x.r.Method == http.MethodHead {
		return nil
	}
	ctx, done := x.untilStop()
	defer done()
	for _, f := range feeds {
		reader.Follow(f.key, f.feed)
	}
	for ctx.Err() == nil {
		soon, cancel := context.WithTimeout(ctx, heartbeat)
		events := reader.Next(soon)
		cancel()
		if len(events) == 0 && ctx.Err() == nil {
			events = [][]byte{pingEvent}
		}
		if err := sendEvents(stream, events); err != nil {
			return err
		}
	}
	if err := x.context().Err(); err != nil {
		return err
	}
	return stream.Close()
}

var pingEvent = wire.AppendEvent(nil, "", "ping", []byte("{}"))

func sendEvents(s *wire.Stream, events [][]byte) error {
	for _, event := range events {
		if err := s.Write(event); err != nil {
			return err
		}
	}
	return s.Flush()
}

// liveCursor returns the cursor to go on after: the end of the newest step that the client has.
func (x *exchange) liveCursor() (string, error) {
	text, err := x.params.LastEventID()
	if err != nil || text == "" {
		return "", err
	}
	if _, err := time.Parse(time.RFC3339, text); err != nil {
		return "", &input.Error{
			Field: "Last-Event-ID", Problem: "is no id of an event here",
			Want: "the id of the last event that was received, or no such header",
		}
	}
	return text, nil
}

// keyedFeed is a feed with what makes it the same as that of another stream.
type keyedFeed struct {
	key  string
	feed live.Feed
}

// liveFeeds returns the feeds of the views, or why the caller may not see one of them.
func (x *exchange) liveFeeds(shown []string) (feeds []keyedFeed, err error) {
	if err := x.checkLiveParams(shown); err != nil {
		return nil, err
	}
	makers := map[string]func() (keyedFeed, error){
		showLocks: x.locksFeed, showLock: x.lockFeed, showActivity: x.activityFeed, showPolicies: x.policiesFeed,
		showServer: x.serverFeed,
	}
	for _, view := range shown {
		feed, err := makers[view]()
		if err != nil {
			return nil, err
		}
		feed.key = view + " " + feed.key
		feeds = append(feeds, feed)
	}
	return feeds, nil
}

// checkLiveParams refuses parameters of views that are not shown.
func (x *exchange) checkLiveParams(shown []string) error {
	p := &x.params
	if lists := slices.Contains(shown, showLocks); !lists {
		if other := p.Given() & param.SetOf(param.Prefix, param.Account, param.Sort, param.After, param.Limit); other != 0 {
			return &input.Error{
				Field: "show", Problem: "has no locks, but " + other.String() + " is given",
				Want: "locks among what is shown, or no parameters for it",
			}
		}
	}
	switch one := slices.Contains(shown, showLock); {
	case one && !p.Has(param.Name):
		return &input.Error{Field: "name", Problem: "is missing", Want: "the name of the lock to show"}
	case !one && p.Has(param.Name):
		return &input.Error{Field: "show", Problem: "has no lock, but a name is given", Want: "lock among what is shown, or no name"}
	}
	return nil
}

// visibility is the same for two principals if they may read the same locks.
func visibility(p auth.Principal) string {
	if p.MayAll(auth.Read) {
		return ""
	}
	return p.Scopes()
}

func (x *exchange) locksFeed() (keyedFeed, error) {
	query, err := listQuery(&x.params)
	if err != nil {
		return keyedFeed{}, err
	}
	if err := core.MaySome(x.principal, "list locks", auth.Read); err != nil {
		return keyedFeed{}, err
	}
	a, p := x.api, x.principal
	begun := false // a table in which nothing has changed yet has version 0
	var version uint64
	var before wire.List
	next := func(context.Context) (live.Frame, bool) {
		now := a.service.Version()
		if begun && now == version {
			return live.Frame{}, false
		}
		views, more, err := a.service.List(p, query)
		if err != nil {
			return live.Frame{}, false
		}
		list := wire.List{Views: views, Next: more}
		same := begun && sameList(list, before)
		begun, version, before = true, now, list
		return frameOf(showLocks, list), !same
	}
	key := strings.Join([]string{
		query.Prefix, query.Account, string(query.After), string(rune('0' + query.Order)), x.params.Text(param.Limit), visibility(p),
	}, "\n")
	return keyedFeed{key, live.Feed{Every: liveEvery, Next: next}}, nil
}

func sameList(a, b wire.List) bool {
	return a.Next == b.Next && slices.EqualFunc(a.Views, b.Views, sameView)
}

// sameView reports whether two views show the same. A published queue is never changed, so the same
// pointer has the same in it. Waiters behind the first page of a queue may differ: only their number
// and the longest wait are compared.
func sameView(a, b lock.View) bool {
	return a.Name == b.Name && sameLease(a.Lease, b.Lease) && a.Waiters == b.Waiters && len(a.Queue) == len(b.Queue) &&
		(len(a.Queue) == 0 || &a.Queue[0] == &b.Queue[0]) && a.WaitingSince.Equal(b.WaitingSince)
}

// sameLease compares what can change in a lease. Each reader has a copy of its own.
func sameLease(a, b *lock.Lease) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Token == b.Token && a.TTL == b.TTL && a.ConfirmWithin == b.ConfirmWithin && a.ExpiresAt.Equal(b.ExpiresAt)
}

// frameOf renders a view of which every event has everything.
func frameOf(kind string, answer wire.Answer) live.Frame {
	body := answer.Append(nil, wire.Times{Now: time.Now()})
	return live.Frame{Event: wire.AppendEvent(nil, "", kind, body[:len(body)-1])} // without its newline
}

func (x *exchange) lockFeed() (keyedFeed, error) {
	name, err := x.params.LockName()
	if err != nil {
		return keyedFeed{}, err
	}
	a, p := x.api, x.principal
	if _, err := a.service.Get(p, name); err != nil {
		return keyedFeed{}, err
	}
	begun := false
	var version uint64
	var before lock.View
	next := func(ctx context.Context) (live.Frame, bool) {
		now := a.service.Version()
		if begun && now == version {
			return live.Frame{}, false
		}
		view, err := a.service.Get(p, name)
		if err != nil {
			return live.Frame{}, false
		}
		if begun && view.Waiters == len(view.Queue) && sameView(view, before) {
			version = now
			return live.Frame{}, false
		}
		shown := view
		if view.Waiters > len(view.Queue) {
			if shown, err = a.service.Queue(ctx, p, name, 0, liveWaiters); err != nil {
				return live.Frame{}, false // it is asked again
			}
		}
		begun, version, before = true, now, view
		return frameOf(showLock, wire.Lock{View: shown}), true
	}
	return keyedFeed{string(name), live.Feed{Every: liveEvery, Next: next}}, nil
}

func (x *exchange) activityFeed() (keyedFeed, error) {
	if err := core.MaySome(x.principal, "see the activity of locks", auth.Read); err != nil {
		return keyedFeed{}, err
	}
	a, p := x.api, x.principal
	begun := false
	var newest time.Time
	next := func(context.Context) (live.Frame, bool) {
		now := a.recorder.Newest()
		if begun && now.Equal(newest) {
			return live.Frame{}, false
		}
		since := func(cursor string) []byte { return a.activityEvent(p, cursor, now) }
		frame := live.Frame{ID: idOf(now), Before: idOf(newest), Since: since}
		if begun {
			frame.Event = since(frame.Before)
		}
		begun, newest = true, now
		return frame, true
	}
	return keyedFeed{visibility(p), live.Feed{Every: liveEvery, Next: next}}, nil
}

// activityEvent is the event with the steps after a cursor, up to one that ended at a time.
func (a *API) activityEvent(p auth.Principal, cursor string, upTo time.Time) []byte {
	after, _ := time.Parse(time.RFC3339, cursor) // empty: all
	if after.After(upTo) {
		after = time.Time{} // the clock was set back
	}
	shown, err := a.activitySince(p, after)
	if err != nil {
		return nil
	}
	shown.Buckets = slices.DeleteFunc(shown.Buckets, func(b api.ActivityBucket) bool { return b.At.After(upTo) })
	body := wire.JSON{Value: shown}.Append(nil, wire.Times{})
	return wire.AppendEvent(nil, idOf(upTo), showActivity, body[:len(body)-1])
}

// idOf is the id of the event whose newest step ended at a time; empty: there is no step.
func idOf(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.Format(time.RFC3339)
}

func (x *exchange) policiesFeed() (keyedFeed, error) {
	if err := core.MayAll(x.principal, "see the policies", auth.Policies); err != nil {
		return keyedFeed{}, err
	}
	a := x.api
	var before string
	next := func(context.Context) (live.Frame, bool) {
		frame := frameOf(showPolicies, wire.JSON{Value: a.policies.List()})
		same := string(frame.Event) == before
		before = string(frame.Event)
		return frame, !same
	}
	return keyedFeed{"", live.Feed{Every: slowEvery, Next: next}}, nil
}

// serverFeed shows the server, which is never the same twice: it has its uptime.
func (x *exchange) serverFeed() (keyedFeed, error) {
	if err := core.MayAll(x.principal, "see the state of the server", auth.Admin); err != nil {
		return keyedFeed{}, err
	}
	a := x.api
	next := func(ctx context.Context) (live.Frame, bool) {
		state, err := a.serverState(ctx)
		if err != nil {
			return live.Frame{}, false // it is read again
		}
		return frameOf(showServer, wire.JSON{Value: state}), true
	}
	return keyedFeed{"", live.Feed{Every: slowEvery, Next: next}}, nil
}
