package journal_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/journal/journaltest"
	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/memory"
)

// newest returns the numbers of the records of an export of the newest ones, and the export.
func newest(t *testing.T, j *journal.Journal, q journal.Query) (found []lock.Seq, e *journal.Export) {
	t.Helper()
	e = j.Export(q)
	if err := e.Seek(t.Context()); err != nil {
		t.Fatal(err)
	}
	for {
		pages, err := e.Next(t.Context())
		if errors.Is(err, io.EOF) {
			return found, e
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, lines := range pages {
			for line := range strings.Lines(string(lines)) {
				r, err := record.Parse([]byte(line))
				if err != nil {
					t.Fatal(err)
				}
				found = append(found, r.Seq)
			}
		}
	}
}

// reopened returns a journal that has nothing in memory of what is in the store.
func reopened(t *testing.T, store journal.Store) *journal.Journal {
	t.Helper()
	j := journal.New(store)
	if _, err := j.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	return j
}

// The newest records are the last ones of the whole export, whether they are in memory or not,
// and whatever the filter is.
func TestNewestRecordsAreTheEndOfTheExport(t *testing.T) {
	live, store := journaltest.Open(t)
	const first, last = 1000, 1399
	journaltest.History(t, live, first, last-first+1)
	var matching = map[string][]lock.Seq{}
	filters := map[string]journal.Filter{
		"all": {}, "broken": {Kinds: []lock.Kind{lock.Broken}}, "app1": {Prefix: "app1/"}, "none": {Account: "nobody"},
	}
	for name, f := range filters {
		for _, r := range records(t, journaltest.Export(t, live, journal.Query{Filter: f})) {
			matching[name] = append(matching[name], r.Seq)
		}
	}
	for where, j := range map[string]*journal.Journal{"in memory": live, "in the store": reopened(t, store)} {
		for name, f := range filters {
			for _, n := range []int{1, 2, 39, 399, 400, 1000} {
				all := matching[name]
				want := all[max(0, len(all)-n):]
				got, e := newest(t, j, journal.Query{Newest: n, Filter: f})
				if !slices.Equal(got, want) {
					t.Errorf("%s, %s, the newest %d: %v, want %v", where, name, n, got, want)
				}
				if e.Verifiable() || e.Incomplete() {
					t.Errorf("%s, %s, the newest %d: verifiable %t, incomplete %t", where, name, n, e.Verifiable(), e.Incomplete())
				}
			}
		}
		noon := func(seq lock.Seq) journal.Query { return journal.Query{Until: journaltest.Event(seq).Time, Newest: 3} }
		if got, _ := newest(t, j, noon(1200)); !slices.Equal(got, []lock.Seq{1197, 1198, 1199}) {
			t.Errorf("%s, until a time: %v", where, got)
		}
		if got, _ := newest(t, j, journal.Query{After: 1397, Newest: 9}); !slices.Equal(got, []lock.Seq{1398, 1399}) {
			t.Errorf("%s, since a record: %v", where, got)
		}
	}
}

// What is committed after the export began is not part of it.
func TestNewestRecordsAreThoseOfTheBeginning(t *testing.T) {
	j, _ := journaltest.Open(t)
	last := journaltest.History(t, j, 1, 20)
	e := j.Export(journal.Query{Newest: 2})
	journaltest.History(t, j, last+1, 20)
	if err := e.Seek(t.Context()); err != nil {
		t.Fatal(err)
	}
	pages, err := e.Next(t.Context())
	if err != nil || e.Records() != 2 || e.Cursor() < last {
		t.Errorf("%d records up to %d: %s, %v", e.Records(), e.Cursor(), pages, err)
	}
}

// A search that finds nothing in a large log gives up, and says so.
func TestNewestRecordsAreSearchedForInABoundedPart(t *testing.T) {
	store := memory.New()
	j := reopened(t, store)
	const batch, batches = 1000, journal.NewestSearched/1000 + 20
	event := lock.Event{Kind: lock.Granted, Time: journaltest.Noon, Lease: &lock.Lease{Name: "a", Account: "x", TTL: 1e9}}
	for seq := lock.Seq(1); seq <= batch*batches; {
		b := &lock.Batch{}
		for range batch {
			event.Seq = seq
			b.Events = append(b.Events, event)
			seq++
		}
		if err := j.Commit(context.Background(), b); err != nil {
			t.Fatal(err)
		}
	}
	got, e := newest(t, reopened(t, store), journal.Query{Newest: 5, Filter: journal.Filter{Kinds: []lock.Kind{lock.Broken}}})
	if len(got) > 0 || !e.Incomplete() || e.Searched() < journal.NewestSearched || e.Searched() > journal.NewestSearched+2*batch {
		t.Errorf("%d found, incomplete %t after %d records", len(got), e.Incomplete(), e.Searched())
	}
	if closing := string(e.Closing()); !strings.Contains(closing, `"incomplete":true`) || !strings.Contains(closing, `"searched":200`) {
		t.Errorf("it ends with %s", closing)
	}
}

func TestStateHasTheExtentOfTheJournal(t *testing.T) {
	j, store := journaltest.Open(t)
	if s, err := j.State(t.Context()); err != nil || s != (journal.State{}) {
		t.Errorf("an empty one: %+v, %v", s, err)
	}
	const first = 1000
	last := journaltest.History(t, j, first, 220)
	want := journal.State{}
	for _, r := range records(t, journaltest.Export(t, j, journal.Query{})) {
		m := journal.Mark{Seq: r.Seq, Time: r.Time}
		if want.Head = m; want.Oldest.Seq == 0 {
			want.Oldest = m
		}
		if r.Kind == lock.Checkpoint {
			want.Checkpoint = m
		}
	}
	if want.Checkpoint.Seq == 0 || want.Head.Seq != last {
		t.Fatalf("the history has changed: %+v", want)
	}
	for where, j := range map[string]*journal.Journal{"in memory": j, "in the store": reopened(t, store)} {
		for range 2 { // the second time it is remembered
			got, err := j.State(t.Context())
			if err != nil || !sameMark(got.Oldest, want.Oldest) || !sameMark(got.Head, want.Head) || !sameMark(got.Checkpoint, want.Checkpoint) {
				t.Errorf("%s: %+v, %v, want %+v", where, got, err, want)
			}
		}
	}
	page, err := j.Scan(t.Context(), 0, 50)
	if err != nil {
		t.Fatal(err)
	}
	cut, err := record.HeadOf(page[len(page)-1])
	if err == nil {
		err = j.Prune(t.Context(), cut)
	}
	if got, stateErr := j.State(t.Context()); err != nil || stateErr != nil || got.Oldest.Seq != cut.Seq+1 {
		t.Errorf("after pruning up to %d: %+v, %v, %v", cut.Seq, got, err, stateErr)
	}
}

// sameMark compares marks; records have microseconds.
func sameMark(a, b journal.Mark) bool {
	return a.Seq == b.Seq && a.Time.Format(record.TimeFormat) == b.Time.Format(record.TimeFormat)
}

// pruning prunes its journal while the first page is read.
type pruning struct {
	*memory.Store
	prune func()
}

func (p *pruning) Segments(ctx context.Context, after lock.Seq, events int) ([]lock.Segment, error) {
	if prune := p.prune; prune != nil {
		p.prune = nil
		prune()
	}
	return p.Store.Segments(ctx, after, events)
}

// Pruning moves the oldest record while a query looks for it. That is no error.
func TestStateOfAJournalThatIsPrunedMeanwhile(t *testing.T) {
	live, store := journaltest.Open(t)
	journaltest.History(t, live, 1, 40)
	slow := &pruning{Store: store.(*memory.Store)}
	j := reopened(t, slow)
	cut := headAt(t, j, 10)
	slow.prune = func() {
		if err := j.Prune(t.Context(), cut); err != nil {
			t.Error(err)
		}
	}
	if got, err := j.State(t.Context()); err != nil || got.Oldest.Seq != cut.Seq+1 {
		t.Errorf("%+v, %v, want %d as the oldest", got, err, cut.Seq+1)
	}
}

// Records that are pruned between the search and the reading are not among the newest.
func TestNewestRecordsThatArePrunedMeanwhile(t *testing.T) {
	j, _ := journaltest.Open(t)
	last := journaltest.History(t, j, 1, 40)
	e := j.Export(journal.Query{Newest: 35})
	if err := e.Seek(t.Context()); err != nil {
		t.Fatal(err)
	}
	cut := headAt(t, j, 20)
	if err := j.Prune(t.Context(), cut); err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := e.Next(t.Context()); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if e.Records() != int64(last-cut.Seq) || e.Cursor() != last {
		t.Errorf("%d records up to %d, want %d up to %d", e.Records(), e.Cursor(), last-cut.Seq, last)
	}
}

// headAt returns the head of the segment that has a record.
func headAt(t *testing.T, j *journal.Journal, seq lock.Seq) lock.Head {
	t.Helper()
	page, err := j.Scan(t.Context(), seq-1, 1)
	if err != nil || len(page) == 0 {
		t.Fatalf("%d segments, %v", len(page), err)
	}
	head, err := record.HeadOf(page[0])
	if err != nil {
		t.Fatal(err)
	}
	return head
}
