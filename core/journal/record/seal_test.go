package record_test

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/lock"
)

// Times are written as package time writes them.
func TestTimesAreWrittenInTimeFormat(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := time.Unix(rapid.Int64Range(-1<<37, 1<<40).Draw(t, "seconds"), rapid.Int64Range(0, 999_999_999).Draw(t, "nanoseconds"))
		b := &lock.Batch{Events: []lock.Event{{Seq: 1, Time: at, Kind: lock.Started}}}
		record.Seal(b, nil)
		if want := `"time":"` + at.UTC().Format(record.TimeFormat) + `"`; !strings.Contains(string(b.Segment.Bytes), want) {
			t.Fatalf("got %s, want %s", b.Segment.Bytes, want)
		}
	})
}
