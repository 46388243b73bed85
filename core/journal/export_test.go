package journal_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/journal/journaltest"
	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/journal/verify"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/memory"
)

// records are the lines of an export without the first and the last.
func records(t testing.TB, export []byte) []record.Record {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(string(export), "\n"), "\n")
	var all []record.Record
	for _, line := range lines[1 : len(lines)-1] {
		r, err := record.Parse([]byte(line))
		if err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		all = append(all, r)
	}
	return all
}

func verifyFile(export []byte) (verify.Result, error) {
	v := verify.NewVerifier(nil)
	err := v.Verify(bytes.NewReader(export))
	return v.Result(), err
}

func TestExportHoldsTheSelectedRecords(t *testing.T) {
	j, _ := journaltest.Open(t)
	const first, last = 100, 399
	journaltest.History(t, j, first, last-first+1)
	at := func(seq lock.Seq) time.Time { return journaltest.Noon.Add(time.Duration(seq) * time.Second) }
	all := func(r record.Record) bool { return true }
	kinds := func(kinds ...lock.Kind) func(record.Record) bool {
		return func(r record.Record) bool { return slices.Contains(kinds, r.Kind) }
	}
	for _, test := range []struct {
		name       string
		query      journal.Query
		want       func(record.Record) bool
		from, to   lock.Seq // of what is left of that
		verifiable bool
	}{
		{"everything", journal.Query{}, all, first, last, true},
		{"after a cursor", journal.Query{After: 200}, all, 201, last, true},
		{"after the newest", journal.Query{After: last}, all, last + 1, last, true},
		{"a number of records", journal.Query{Limit: 7}, all, first, first + 6, true},
		{"a number of records after a cursor", journal.Query{After: 233, Limit: 50}, all, 234, 283, true},
		{"until a time", journal.Query{Until: at(250)}, all, first, 249, true},
		{"until before the beginning", journal.Query{Until: at(1)}, all, last + 1, last, true},
		{"by prefix", journal.Query{Filter: journal.Filter{Prefix: "app1/"}},
			func(r record.Record) bool { return strings.HasPrefix(string(r.Name), "app1/") }, first, last, false},
		{"by name", journal.Query{Filter: journal.Filter{Name: "app1/prod"}},
			func(r record.Record) bool { return r.Name == "app1/prod" }, first, last, false},
		{"by kind", journal.Query{Filter: journal.Filter{Kinds: []lock.Kind{lock.Denied, lock.Broken}}},
			kinds(lock.Denied, lock.Broken), first, last, false},
		{"by account, which holds or did it", journal.Query{Filter: journal.Filter{Account: "ops"}},
			kinds(lock.Broken), first, last, false},
		{"by decision: deny", journal.Query{Filter: journal.Filter{Decision: journal.DecisionDeny}}, kinds(lock.Denied), first, last, false},
		{"by decision: error", journal.Query{Filter: journal.Filter{Decision: journal.DecisionError}}, kinds(lock.PolicyError), first, last, false},
		{"by decision: allow", journal.Query{Filter: journal.Filter{Decision: journal.DecisionAllow}}, kinds(lock.Granted), first, last, false},
		{"by what may be seen", journal.Query{Filter: journal.Filter{Visible: func(n lock.Name) bool { return n != "app0/prod" }}},
			func(r record.Record) bool { return r.Name != "" && r.Name != "app0/prod" }, first, last, false},
		{"everything at once", journal.Query{After: 150, Until: at(300), Filter: journal.Filter{Prefix: "app", Kinds: []lock.Kind{lock.Denied}}},
			kinds(lock.Denied), 151, 299, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			out := journaltest.Export(t, j, test.query)
			want := 0
			got := records(t, out)
			for seq := test.from; seq <= test.to; seq++ {
				r := journaltest.Event(seq)
				rec := record.Record{Seq: seq, Kind: r.Kind}
				if r.Lease != nil {
					rec.Name = r.Lease.Name
				}
				if !test.want(rec) {
					continue
				}
				if want >= len(got) || got[want].Seq != seq {
					t.Fatalf("record %d is missing, or out of order", seq)
				}
				want++
			}
			if len(got) != want {
				t.Errorf("%d records, want %d", len(got), want)
			}
			if says := bytes.Contains(out[:60], []byte(`"verifiable":true`)); says != test.verifiable {
				t.Errorf("it says verifiable: %t", says)
			}
			_, err := verifyFile(out)
			var fault *verify.Fault
			if test.verifiable && err != nil || !test.verifiable && !errors.As(err, &fault) {
				t.Errorf("verification: %v", err)
			}
		})
	}
}

// An export that was cut into pieces by its limit goes on where it stopped: no gap, no
// repeat, whatever the sizes, and the pieces verify as a whole.
func TestExportResumesByItsCursor(t *testing.T) {
	j, _ := journaltest.Open(t)
	journaltest.History(t, j, 1, 100)
	journaltest.History(t, j, 5000, 200) // after a restart numbers jump
	for _, limit := range []int64{1, 3, 7, 50, 299, 300, 1000} {
		v := verify.NewVerifier(nil)
		var seqs []lock.Seq
		after := lock.Seq(0)
		for range 1000 {
			out := journaltest.Export(t, j, journal.Query{After: after, Limit: limit})
			if err := v.Verify(bytes.NewReader(out)); err != nil {
				t.Fatal(err)
			}
			got := records(t, out)
			for _, r := range got {
				seqs = append(seqs, r.Seq)
				after = r.Seq
			}
			if !v.Result().More {
				break
			}
		}
		if len(seqs) != 300 || seqs[0] != 1 || seqs[100] != 5000 || seqs[299] != 5199 || !slices.IsSorted(seqs) {
			t.Errorf("by %d: %d records, from %d to %d", limit, len(seqs), seqs[0], seqs[len(seqs)-1])
		}
		if d := v.Result(); d.Records != 300 || d.Vouched != 5199 || !d.Complete {
			t.Errorf("by %d: %+v", limit, d)
		}
	}
}

func TestSearchFindsATime(t *testing.T) {
	j, store := journaltest.Open(t)
	journaltest.History(t, j, 1000, 500)
	again := journal.New(store) // reads the store, not the memory
	if _, err := again.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, seq := range []lock.Seq{1, 999, 1000, 1001, 1233, 1498, 1499, 1500, 9999} {
		after, err := again.Before(t.Context(), journaltest.Noon.Add(time.Duration(seq)*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		got := records(t, journaltest.Export(t, again, journal.Query{After: after}))
		want := max(seq, 1000)
		switch {
		case seq > 1499 && len(got) > 0:
			t.Errorf("since %d: begins at %d, want nothing", seq, got[0].Seq)
		case seq <= 1499 && (len(got) == 0 || got[0].Seq != want):
			t.Errorf("since %d: %d records, want the first to be %d", seq, len(got), want)
		}
	}
}

func TestPrunedRecordsCannotBeReadAndTheRestVerifies(t *testing.T) {
	j, store := journaltest.Open(t)
	journaltest.History(t, j, 1, 500)
	before := records(t, journaltest.Export(t, j, journal.Query{}))
	segments, err := store.Segments(t.Context(), 0, 200)
	if err != nil {
		t.Fatal(err)
	}
	cut, err := record.HeadOf(segments[len(segments)-1])
	if err != nil {
		t.Fatal(err)
	}
	b := &lock.Batch{Events: []lock.Event{{Seq: 501, Time: journaltest.Noon.Add(time.Hour), Kind: lock.Pruned, Cut: cut}}}
	if err := j.Commit(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	j.Publish()
	if err := j.Prune(t.Context(), cut); err != nil {
		t.Fatal(err)
	}
	for _, j := range []*journal.Journal{j, journal.New(store)} {
		if j.Head() == 0 {
			if _, err := j.Load(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if j.Oldest() != cut.Seq {
			t.Fatalf("the oldest cursor is %d, want %d", j.Oldest(), cut.Seq)
		}
		for _, after := range []lock.Seq{0, 1, cut.Seq - 1} {
			var gone *journal.PrunedError
			if _, err := journal.New(store).Scan(t.Context(), after, 10); err != nil {
				t.Fatal(err) // not loaded: it knows of nothing
			}
			if _, err := j.From(after).Next(t.Context()); !errors.As(err, &gone) || gone.Oldest != cut.Seq {
				t.Errorf("after %d: %v, want that it is gone", after, err)
			}
		}
		out := journaltest.Export(t, j, journal.Query{After: j.Oldest()})
		got := records(t, out)
		if len(got) != 501-int(cut.Seq) || got[0].Prev != before[cut.Seq].Prev {
			t.Errorf("%d records are left, the first is %d", len(got), got[0].Seq)
		}
		if d, err := verifyFile(out); err != nil || !d.Complete || d.Vouched != 501 {
			t.Errorf("the rest: %+v, %v", d, err)
		}
		if err := j.Prune(t.Context(), lock.Head{Seq: 501}); err == nil {
			t.Error("the newest segment can be pruned")
		}
	}
}

func TestFollowingFromBeforeARestart(t *testing.T) {
	store := memory.New()
	var got []lock.Seq
	cursor := lock.Seq(0)
	for round := range 3 {
		j := journal.New(store)
		if _, err := j.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		journaltest.History(t, j, lock.Seq(1+round*1000), 37)
		r := j.From(cursor)
		for {
			page, err := r.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			for _, s := range page {
				for l := range record.Lines(s, 0) {
					got = append(got, l.Seq)
				}
			}
			cursor = got[len(got)-1] - lock.Seq(round%2) // the last one is read again after a restart
		}
		if round == 1 {
			got = got[:len(got)-1]
		}
	}
	slices.Sort(got)
	if len(got) != 3*37 || len(slices.Compact(got)) != 3*37 {
		t.Errorf("%d lines, want each of %d once", len(got), 3*37)
	}
}
