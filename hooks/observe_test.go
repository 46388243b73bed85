package hooks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/memory"
	"github.com/octostore/octostore/core/table"
	"github.com/octostore/octostore/hooks/internal/guest"
	"github.com/octostore/octostore/hooks/internal/manifest"
)

// tells logs the event it is given, as a note.
const tells = "i32.const 500 i32.const 60000 call $get local.set 0 "

var told = watching(at("event") + tells + at("key") + "i32.const 500 local.get 0 call $note i32.const 0")

// world is a table whose events are observed.
type world struct {
	house
	store   *shelf
	journal *journal.Journal
	table   *table.Table
	host    *Host
	seen    *notes
	pause   time.Duration // between the tries of an event; 0: a moment
}

// shelf is a store whose places can be made to fail.
type shelf struct {
	*memory.Store
	fails atomic.Bool
	saves atomic.Int32
}

func (s *shelf) SetObserverCursors(ctx context.Context, set []journal.ObserverCursor, forget []string) error {
	if s.fails.Load() {
		return lock.ErrFull
	}
	s.saves.Add(1)
	return s.Store.SetObserverCursors(ctx, set, forget)
}

// notes are what observers noted: "policy kind name" of each event.
type notes struct {
	slog.Handler
	mu  *sync.Mutex
	all *[]string
	who string
}

func newNotes() *notes { return &notes{slog.DiscardHandler, new(sync.Mutex), new([]string), ""} }

func (n *notes) Enabled(context.Context, slog.Level) bool { return true }

func (n *notes) WithAttrs(as []slog.Attr) slog.Handler {
	with := *n
	with.who = as[0].Value.String()
	return &with
}

func (n *notes) Handle(_ context.Context, r slog.Record) error {
	if r.Message != "note" {
		return nil
	}
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "value" {
			e, _ := record.Parse([]byte(a.Value.String()))
			n.mu.Lock()
			*n.all = append(*n.all, strings.TrimSpace(fmt.Sprint(n.who, " ", e.Kind, " ", e.Name)))
			n.mu.Unlock()
		}
		return true
	})
	return nil
}

func (n *notes) list() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(*n.all)
}

func newWorld(t *testing.T) *world {
	return &world{house: newHouse(t), store: &shelf{Store: memory.New()}, seen: newNotes()}
}

// start starts what a server is made of.
func (w *world) start(policies ...string) {
	w.t.Helper()
	var err error
	if w.host, err = Open(context.Background(), Config{
		Manifest: w.manifest(policies...), Logger: slog.New(w.seen), pauses: []time.Duration{max(w.pause, time.Millisecond), max(w.pause, time.Millisecond)},
	}); err != nil {
		w.t.Fatal(err)
	}
	w.journal = journal.New(w.store)
	if w.table, err = table.Open(context.Background(), w.journal, table.Config{Published: w.journal.Publish}); err != nil {
		w.t.Fatal(err)
	}
	if err := w.host.Observe(context.Background(), ObserveConfig{Journal: w.journal, Cursors: w.store, Recorder: w.table}); err != nil {
		w.t.Fatal(err)
	}
}

// stop stops it in the order of a server.
func (w *world) stop() {
	w.t.Helper()
	if err := errors.Join(w.table.Close(), w.journal.Close(), w.host.Close()); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) acquire(names ...lock.Name) {
	w.t.Helper()
	for _, n := range names {
		if _, err := w.table.Acquire(context.Background(), lock.Acquisition{Name: n, TTL: time.Hour}); err != nil {
			w.t.Fatal(err)
		}
	}
}

// until polls until true.
func until(t testing.TB, what string, true func() bool) {
	t.Helper()
	for giveUp := time.Now().Add(30 * time.Second); !true(); time.Sleep(time.Millisecond) {
		if time.Now().After(giveUp) {
			t.Fatalf("still not so: %s", what)
		}
	}
}

// caughtUp waits until all observers have seen everything.
func (w *world) caughtUp() {
	w.t.Helper()
	until(w.t, "all has been seen", func() bool {
		return !slices.ContainsFunc(w.host.Policies(), func(s Status) bool {
			return s.Observer != nil && (s.Observer.After < w.journal.Head() || s.Observer.Lag != 0)
		})
	})
}

func (w *world) saw(want ...string) {
	w.t.Helper()
	w.caughtUp()
	if got := w.seen.list(); !slices.Equal(got, want) {
		w.t.Fatalf("seen:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// A new observer begins with what happens from now on, sees the locks it matches in
// order, and goes on where it was over a restart and a reload.
func TestObserverSeesCommittedEvents(t *testing.T) {
	w := newWorld(t)
	w.write("o.wasm", told)
	w.start()
	w.acquire("prod/0")
	o := entry("o", `"hooks":["observe"],"match":["prod/**"]`)
	w.manifest(o)
	if _, err := w.host.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.acquire("prod/1", "test/2", "prod/3")
	want := []string{"o granted prod/1", "o granted prod/3"}
	w.saw(want...)
	w.stop()

	w.start() // without it for a while
	w.acquire("prod/4")
	w.stop()
	w.start(o)
	want = append(want, "o granted prod/4")
	w.saw(want...)

	w.manifest(entry("o", `"hooks":["observe"],"match":["test/**"]`))
	if _, err := w.host.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.acquire("prod/5", "test/6")
	w.saw(append(want, "o granted test/6")...)
	w.stop()
}

func TestObserverMayBeginAtTheStart(t *testing.T) {
	w := newWorld(t)
	w.write("all.wasm", told)
	w.start()
	w.acquire("a")
	if _, err := w.table.Append(t.Context(), lock.Event{Kind: lock.PoliciesLoaded}); err != nil {
		t.Fatal(err)
	}
	w.stop()
	w.write("named.wasm", told)
	w.start(entry("all", `"hooks":["observe"],"observe_from":"start"`))
	w.saw("all granted a", "all policies_loaded")
	w.stop()
}

// Events about no lock go to observers of all names only.
func TestObserverSeesEventsWithoutALock(t *testing.T) {
	for _, tt := range []struct {
		match []string
		want  bool
	}{
		{[]string{"**"}, true}, {[]string{"prod/**"}, false}, {[]string{"**", "!prod/**"}, true}, {[]string{"*", "*/**"}, false},
		{[]string{"**", "!**"}, false}, {[]string{"!**", "**"}, true},
	} {
		p := &policy{Program: guest.Program{Policy: manifest.Policy{Match: tt.match}}}
		if got := p.observes(&record.Line{Kind: lock.Started}); got != tt.want {
			t.Errorf("%v: %v", tt.match, got)
		}
		if p.observes(&record.Line{Kind: lock.ObserverParked}) {
			t.Errorf("%v sees what it has caused itself", tt.match)
		}
	}
}

// An event that an observer fails on three times is parked, on record, and the next
// one comes. What the observer makes of its own failures is nothing.
func TestObserverParksAnEventAfterThreeFailures(t *testing.T) {
	for name, code := range map[string]string{
		"result": at("not today") + "call $deny i32.const 1",
		"trap":   "unreachable",
		"fuel":   "loop br 0 end i32.const 0",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.write("bad.wasm", watching(code))
			w.write("good.wasm", told)
			w.start(entry("bad", `"hooks":["observe"],"fuel":1000`), entry("good", `"hooks":["observe"]`))
			w.acquire("a", "b")
			w.saw("good granted a", "good granted b")
			s := w.host.Policies()[0]
			if s.Calls != 6 || s.Errors != 6 || s.Observer.Parked != 2 || s.FuelUsed == 0 {
				t.Errorf("got %+v, %+v", s, s.Observer)
			}
			record := w.record()
			if n := strings.Count(record, `"kind":"observer_parked"`); n != 2 || !strings.Contains(record, "observer bad, event ") {
				t.Errorf("%d are on record:\n%s", n, record)
			}
			if name == "result" && !strings.Contains(record, "not today") {
				t.Errorf("the reason is not on record:\n%s", record)
			}
			w.stop()
			w.start(entry("bad", `"hooks":["observe"]`, `"match":["none"]`))
			if o := w.host.Policies()[0].Observer; o.Parked != 2 {
				t.Errorf("after a restart %+v", o)
			}
			w.stop()
		})
	}
}

func (w *world) record() string {
	var b strings.Builder
	page, err := w.journal.From(w.journal.Oldest()).Next(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, s := range page {
		b.Write(s.Bytes)
	}
	return b.String()
}

// An observer that was away for longer than the journal reaches back goes on with what
// is left, and that something is missing is on record. One whose policy is gone is
// forgotten by then.
func TestObserverGapIsOnRecord(t *testing.T) {
	w := newWorld(t)
	w.write("o.wasm", told)
	w.write("gone.wasm", told)
	w.start(entry("o", `"hooks":["observe"]`), entry("gone", `"hooks":["observe"]`))
	w.acquire("a")
	w.sawInAnyOrder("o granted a", "gone granted a")
	w.stop()
	w.start()
	w.acquire("b", "c", "d")
	page, err := w.journal.Scan(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	cut, err := record.HeadOf(page[2])
	if err != nil {
		t.Fatal(err)
	}
	if err := w.journal.Prune(t.Context(), cut); err != nil {
		t.Fatal(err)
	}
	w.stop()
	w.start(entry("o", `"hooks":["observe"]`))
	w.caughtUp()
	if got := w.seen.list(); len(got) != 3 || got[2] != "o granted d" {
		t.Errorf("got %v", got)
	}
	if o := w.host.Policies()[0].Observer; o.Gaps != 1 {
		t.Errorf("got %+v", o)
	}
	if !strings.Contains(w.record(), `"kind":"observer_gap"`) {
		t.Errorf("the gap is not on record:\n%s", w.record())
	}
	w.stop()
	if places, _ := w.store.ObserverCursors(t.Context()); len(places) != 1 {
		t.Errorf("kept: %v", places)
	}
}

// sawInAnyOrder is saw for events in any order.
func (w *world) sawInAnyOrder(want ...string) {
	w.t.Helper()
	w.caughtUp()
	got := w.seen.list()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		w.t.Fatalf("seen %q, want %q", got, want)
	}
}

// An event that an observer has failed on, but not for good, comes again after a restart.
func TestObserverGetsAnUnfinishedEventAgain(t *testing.T) {
	w := newWorld(t)
	w.pause = time.Hour
	w.write("o.wasm", watching("i32.const 1"))
	w.start(entry("o", `"hooks":["observe"]`))
	w.acquire("a")
	until(t, "it has failed", func() bool { return w.host.Policies()[0].Errors == 1 })
	if o := w.host.Policies()[0].Observer; o.Lag == 0 || o.After == w.journal.Head() {
		t.Errorf("it does not lag: %+v", o)
	}
	w.stop()
	w.write("o.wasm", told)
	w.start(entry("o", `"hooks":["observe"]`))
	w.saw("o granted a")
	w.stop()
}

// Nothing is lost if places cannot be saved, and they are not saved for every event.
func TestObserverPositionsAreSaved(t *testing.T) {
	w := newWorld(t)
	w.write("o.wasm", watching("i32.const 0"))
	w.start(entry("o", `"hooks":["observe"]`))
	for i := range 50 {
		w.acquire(lock.Name(fmt.Sprintf("a/%d", i)))
	}
	w.caughtUp()
	if n := w.store.saves.Load(); n > 3 {
		t.Errorf("saved %d times", n)
	}
	w.store.fails.Store(true)
	w.acquire("b")
	w.caughtUp()
	w.stop()
	w.store.fails.Store(false)
	w.write("o.wasm", told)
	w.start(entry("o", `"hooks":["observe"]`))
	w.caughtUp()
	if got := w.seen.list(); len(got) == 0 || got[len(got)-1] != "o granted b" {
		t.Errorf("b was lost: %q", got)
	}
	w.stop()
}
