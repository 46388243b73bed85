package server

import (
	"testing"

	"github.com/octostore/octostore/core/lock"
)

// Where each commit takes longer than the lock table's answer may, the server still gets on: only
// commits that do not end leave the watchdog unfed.
func TestWatchdogIsFedOnASlowDisk(t *testing.T) {
	var last progressMark
	for i, c := range []struct {
		answer  error
		commits uint64
		fed     bool
	}{
		{nil, 7, true},
		{lock.ErrOutcomeUnknown, 8, true},
		{lock.ErrOutcomeUnknown, 8, false},
		{lock.ErrOutcomeUnknown, 9, true},
		{nil, 9, true},
		{lock.ErrOutcomeUnknown, 9, false},
		{lock.ErrClosed, 10, false},
		{lock.ErrDeposed, 11, false},
	} {
		if err := last.check(c.answer, c.commits); (err == nil) != c.fed {
			t.Errorf("check %d: %v", i, err)
		}
	}
}
