package doctor

import (
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/core/journal/verify"
	"github.com/octostore/octostore/core/store/sqlite"
)

// A clock that was set back since the newest record makes leases end at a wrong time.
func TestDoctorNoticesAClockThatWasSetBack(t *testing.T) {
	for behind, want := range map[time.Duration]bool{-time.Hour: false, time.Second: false, time.Hour: true} {
		var out strings.Builder
		d := doctor{out: &out}
		d.journal(sqlite.Inspection{}, &verify.SegmentVerifier{Newest: time.Now().Add(behind)}, verify.NewReplay(0))
		if got := strings.Contains(out.String(), "FAIL  time"); got != want || (d.verdict() != nil) != want {
			t.Errorf("%s behind: %q, %v", behind, out.String(), d.verdict())
		}
	}
}

// Each thing is one line, whatever is said about it.
func TestDoctorPrintsALinePerFinding(t *testing.T) {
	var out strings.Builder
	d := doctor{out: &out}
	d.say(wrong, "x", "a\nb\n")
	d.say(fine, "y", "c")
	if got := out.String(); got != "FAIL  x            a / b\nok    y            c\n" {
		t.Errorf("%q", got)
	}
}
