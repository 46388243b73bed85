package journal_test

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/journal/journaltest"
	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/lock"
)

// A cursor is a number that a record has, had, or comes before all. Another is of a
// journal that was replaced: its numbers are not given again.
func TestCursorsOfOthersAreUnknown(t *testing.T) {
	j, store := journaltest.Open(t)
	write(t, j, 100, 3, 2, 5) // 100–102 · 103–104 · 105–109
	write(t, j, 1000, 4)      // after a restart
	for _, ring := range []bool{true, false} {
		if !ring {
			j = journal.New(store)
			if _, err := j.Load(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		for cursor, want := range map[lock.Seq]bool{
			0: true, 1: false, 99: false, 100: true, 104: true, 105: true, 109: true, 110: false, 999: false, 1000: true, 1003: true, 1004: false, 1 << 52: false,
		} {
			if known, err := j.Knows(t.Context(), cursor); err != nil || known != want {
				t.Errorf("%d: %t, %v, want %t", cursor, known, err, want)
			}
		}
	}
	if err := j.Prune(t.Context(), lock.Head{Seq: 104}); err != nil {
		t.Fatal(err)
	}
	for cursor, want := range map[lock.Seq]bool{104: true, 105: true} {
		if known, err := j.Knows(t.Context(), cursor); err != nil || known != want {
			t.Errorf("%d: %t, %v, want %t", cursor, known, err, want)
		}
	}
	if _, err := j.Knows(t.Context(), 101); !isPruned(err) {
		t.Errorf("what was pruned: %v", err)
	}
}

func isPruned(err error) bool {
	_, is := errors.AsType[*journal.PrunedError](err)
	return is
}

// Wherever an export ends, the cursor of its closing line is known, also where numbers
// jump.
func TestExportEndsAtAKnownCursor(t *testing.T) {
	j, _ := journaltest.Open(t)
	journaltest.History(t, j, 100, 20)
	journaltest.History(t, j, 5000, 20)
	at := func(seq lock.Seq) time.Time { return journaltest.Noon.Add(time.Duration(seq) * time.Second) }
	for _, filter := range []journal.Filter{{}, {Account: "acme"}, {Prefix: "no such"}} {
		for _, until := range []lock.Seq{0, 100, 101, 119, 120, 5000, 5001, 5019} {
			for limit := range 45 {
				q := journal.Query{Filter: filter, Limit: int64(limit)}
				if until > 0 {
					q.Until = at(until)
				}
				out := strings.TrimSuffix(string(journaltest.Export(t, j, q)), "\n")
				var end struct{ Last string }
				if err := json.Unmarshal([]byte(out[strings.LastIndexByte(out, '\n')+1:]), &end); err != nil {
					t.Fatal(err)
				}
				last, err := strconv.ParseUint(end.Last, 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				if known, err := j.Knows(t.Context(), lock.Seq(last)); err != nil || !known {
					t.Fatalf("%v until %d, limit %d: it ends at %d: %t, %v", filter, until, limit, last, known, err)
				}
			}
		}
	}
}

// A verdict says what the last record hashes to, and when the export was made.
func TestVerdictSaysHowFarAndHowOld(t *testing.T) {
	j, _ := journaltest.Open(t)
	journaltest.History(t, j, 1, 20)
	segments, err := j.Scan(t.Context(), 19, 1)
	if err != nil {
		t.Fatal(err)
	}
	head, err := record.HeadOf(segments[len(segments)-1])
	if err != nil {
		t.Fatal(err)
	}
	d, err := verifyFile(journaltest.Export(t, j, journal.Query{}))
	if err != nil || d.Hash != head.Hash || !d.Made.Equal(journaltest.Noon.Truncate(time.Microsecond)) {
		t.Errorf("%+v, %v", d, err)
	}
}
