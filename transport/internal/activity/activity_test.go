package activity

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/memory"
	"github.com/octostore/octostore/core/table"
	"github.com/octostore/octostore/transport/api"
)

var me = lock.Origin{Actor: lock.Actor{Account: "local"}}

// world is a table with a recorder, in a bubble of testing/synctest that begins at midnight.
type world struct {
	*testing.T
	table    *table.Table
	recorder *Recorder
}

func inWorld(t *testing.T, test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		j := journal.New(memory.New())
		tab, err := table.Open(t.Context(), j, table.Config{Published: j.Publish})
		if err != nil {
			t.Fatal(err)
		}
		w := &world{T: t, table: tab, recorder: Open(Config{Journal: j, Stats: tab.Stats})}
		test(w)
		w.recorder.Close()
		tab.Close()
		j.Close()
	})
}

func (w *world) acquire(name lock.Name, wait time.Duration) table.Grant {
	w.Helper()
	g, err := w.table.Acquire(context.Background(), lock.Acquisition{Origin: me, Name: name, TTL: time.Minute, Wait: wait})
	if err != nil {
		w.Errorf("%s: %v", name, err)
	}
	return g
}

func (w *world) release(g table.Grant) {
	w.Helper()
	if _, err := w.table.Release(w.Context(), lock.ReleaseRequest{Origin: me, Name: g.Lease.Name, LeaseID: g.LeaseID}); err != nil {
		w.Error(err)
	}
}

// untilStep waits for the next end of a step.
func (w *world) untilStep() {
	time.Sleep(time.Until(time.Now().Truncate(Step).Add(Step)))
	synctest.Wait()
}

// Metadata are texts of a client: a key in them is no member of the record.
func TestActivityDoesNotTakeMetadataForAWait(t *testing.T) {
	inWorld(t, func(w *world) {
		claims := map[string]string{"a": "1", "waited_ms": "3600000"}
		first, err := w.table.Acquire(w.Context(), lock.Acquisition{Origin: me, Name: "a", TTL: time.Minute, Metadata: claims})
		if err != nil {
			w.Fatal(err)
		}
		second := make(chan error)
		go func() {
			_, err := w.table.Acquire(w.Context(), lock.Acquisition{Origin: me, Name: "a", TTL: time.Minute, Wait: time.Minute, Metadata: claims})
			second <- err
		}()
		synctest.Wait()
		time.Sleep(2 * time.Second)
		w.release(first)
		if err := <-second; err != nil {
			w.Fatal(err)
		}
		w.untilStep()
		step := w.recorder.Since(time.Time{})[0]
		if step.Grants != 2 || step.Waited != 1 || *step.WaitP50MS < 1800 || *step.WaitP50MS > 2200 {
			w.Errorf("grants %d, waited %d, p50 %v ms; want 2, 1 and about 2000", step.Grants, step.Waited, *step.WaitP50MS)
		}
	})
}

func TestActivityCountsWhatHappensInAStep(t *testing.T) {
	inWorld(t, func(w *world) {
		g := w.acquire("a", 0)
		done := make(chan table.Grant)
		go func() { done <- w.acquire("a", time.Minute) }()
		synctest.Wait()
		w.acquire("b", 0)
		w.recorder.Conflict()
		if _, err := w.table.Renew(t.Context(), lock.RenewRequest{Origin: me, Name: "a", LeaseID: g.LeaseID}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		w.release(g)
		<-done
		if _, err := w.table.Break(t.Context(), lock.BreakRequest{Origin: me, Name: "b"}); err != nil {
			t.Fatal(err)
		}
		w.untilStep()
		got := w.recorder.Since(time.Time{})
		if len(got) != 1 {
			t.Fatalf("%d steps", len(got))
		}
		b := got[0]
		if !b.At.Equal(time.Now()) || b.Grants != 3 || b.Waited != 1 || b.Releases != 1 || b.Renewals != 1 || b.Breaks != 1 || b.Conflicts != 1 || b.Held != 1 {
			t.Errorf("%+v", b)
		}
		if b.WaitP50MS == nil || *b.WaitP50MS < 1800 || *b.WaitP50MS > 2200 || b.HandoverP99MS == nil || b.CommitP50MS == nil {
			t.Errorf("wait %v, hand-over %v, commit %v; want about 2000 ms, and some", b.WaitP50MS, b.HandoverP99MS, b.CommitP50MS)
		}
		w.untilStep()
		b = w.recorder.Since(w.recorder.Newest().Add(-time.Second))[0]
		if b.Grants != 0 || b.Held != 1 || b.WaitP50MS != nil || b.CommitP50MS != nil || b.HandoverP50MS != nil {
			t.Errorf("a step in which nothing happened has %+v", b)
		}
	})
}

func TestActivityKeepsAnHour(t *testing.T) {
	inWorld(t, func(w *world) {
		w.acquire("old", 0)
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		all := w.recorder.Since(time.Time{})
		if len(all) != Kept || !all[0].At.Equal(time.Now().Add(-(Kept-1)*Step)) {
			t.Errorf("%d steps since %s", len(all), all[0].At)
		}
		if some := w.recorder.Since(time.Now().Add(-time.Minute)); len(some) != 6 {
			t.Errorf("%d steps of the last minute", len(some))
		}
		if busy := w.recorder.Busiest(20, nil); len(busy) > 0 {
			t.Errorf("two hours later %v are busy", busy)
		}
	})
}

// Where the wall clock is set back, what was stays as long ago as it was; where it is set
// forward, what is too old goes.
func TestActivitySurvivesSteppedClocks(t *testing.T) {
	r := &Recorder{}
	at := func(s string) api.ActivityBucket {
		clock, err := time.Parse(time.TimeOnly, s)
		if err != nil {
			t.Fatal(err)
		}
		return api.ActivityBucket{At: clock}
	}
	check := func(want ...string) {
		t.Helper()
		var got []string
		for _, b := range r.buckets {
			got = append(got, b.At.Format(time.TimeOnly))
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	r.append(at("10:00:00"))
	r.append(at("10:00:10"))
	r.append(at("09:00:20"))
	check("09:00:00", "09:00:10", "09:00:20")
	r.append(at("09:00:20"))
	check("08:59:50", "09:00:00", "09:00:10", "09:00:20")
	r.append(at("09:59:59"))
	check("09:00:00", "09:00:10", "09:00:20", "09:59:59")
	r.append(at("23:00:00"))
	check("23:00:00")
}

func TestActivityNamesTheBusiestLocks(t *testing.T) {
	inWorld(t, func(w *world) {
		for i := range 5 {
			for range i + 1 {
				w.release(w.acquire(lock.Name(fmt.Sprintf("team-%d/x", i)), 0))
			}
		}
		w.untilStep()
		busy := w.recorder.Busiest(2, nil)
		if len(busy) != 2 || busy[0].Name != "team-4/x" || busy[0].Grants != 5 || busy[1].Name != "team-3/x" {
			t.Errorf("%+v", busy)
		}
		busy = w.recorder.Busiest(20, func(n lock.Name) bool { return n == "team-1/x" })
		if len(busy) != 1 || busy[0].Name != "team-1/x" || busy[0].Grants != 2 {
			t.Errorf("of those that may be seen: %+v", busy)
		}
	})
}

// Of ever new names, however many, few are kept; locks that are busier than those are found.
func TestActivityIsBoundedWhateverNamesCome(t *testing.T) {
	b := newBusiest()
	start := time.Now()
	for second := range 3600 {
		for i := range 300 {
			b.granted(fmt.Appendf(nil, "job/%d-%d", second, i), 0, false)
		}
		for range 10 {
			b.granted([]byte("busy"), 0, false)
		}
		b.granted([]byte("wanted"), 5000, true)
		if second%10 == 9 {
			b.turn(start.Add(time.Duration(second+1) * time.Second))
		}
	}
	kept := 0
	for _, c := range b.windows {
		kept += len(c.heap)
		if len(c.heap) != len(c.byName) {
			t.Errorf("%d names in one, %d in the other", len(c.heap), len(c.byName))
		}
	}
	if most := (windows + 1) * namesPerWindow; kept > most {
		t.Errorf("%d names are kept, want at most %d", kept, most)
	}
	all := b.all()
	if all[0].name != "busy" || all[0].grants > 36_000 || all[0].grants < 35_000 {
		t.Errorf("the busiest of %d is %s with %d grants, want busy with up to 36000", len(all), all[0].name, all[0].grants)
	}
	i := slices.IndexFunc(all, func(l busyLock) bool { return l.name == "wanted" })
	if i < 0 || i > 5 || all[i].waited < 3500 || *all[i].waits.quantile(0.99) < 4500 {
		t.Errorf("a lock that is waited for each second is number %d: %+v", i, all[max(i, 0)])
	}
}

func TestQuantilesAreNearTheTruth(t *testing.T) {
	var s spans
	if s.quantile(0.5) != nil {
		t.Error("nothing has a median")
	}
	for i := range 1000 {
		s.observe(int64(i * 10))
	}
	for part, want := range map[float64]float64{0.5: 5000, 0.99: 9900} {
		if got := *s.quantile(part); got < 0.85*want || got > 1.15*want {
			t.Errorf("quantile %g is %g, want about %g", part, got, want)
		}
	}
	s = spans{}
	s.observe(0)
	s.observe(1 << 40)
	if low, high := *s.quantile(0.5), *s.quantile(1); low != 0.5 || high < 86_400_000 {
		t.Errorf("from %g to %g", low, high)
	}
	h := func(counts ...uint64) table.Histogram {
		return table.Histogram{Bounds: []float64{.001, .01}, Counts: counts}
	}
	if median, high := between(h(5, 0, 0), h(105, 0, 0)); *median != 0.5 || *high != 0.99 {
		t.Errorf("%g and %g of 100 below a millisecond", *median, *high)
	}
	if median, high := between(table.Histogram{}, h(0, 10, 90)); *median != 10 || *high != 10 {
		t.Errorf("%g and %g where most are above the last bound", *median, *high)
	}
}

// BenchmarkCount counts a grant of a name that is new, the worst of lines.
func BenchmarkCount(b *testing.B) {
	busy := newBusiest()
	name := []byte("job/0000000000")
	for i := 0; b.Loop(); i++ {
		name = fmt.Appendf(name[:4], "%010d", i)
		busy.granted(name, 0, false)
	}
}
