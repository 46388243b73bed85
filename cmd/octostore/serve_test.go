package main

import (
	"math"
	"testing"
)

func TestAFileLimitThatCannotBeRaisedIsReported(t *testing.T) {
	if got := raiseFileLimit(1); got != 1 {
		t.Errorf("asked for 1 file: got %d", got)
	}
	const impossible = 1 << 40
	got := raiseFileLimit(impossible)
	if got == impossible {
		t.Skip("this system has no limit")
	}
	if again := raiseFileLimit(got); again != got {
		t.Errorf("the limit is %d now, but was reported as %d", again, got)
	}
}

func TestWaitersLeaveFilesForOthers(t *testing.T) {
	for _, test := range []struct {
		files uint64
		want  int
	}{
		{20, 10},
		{256, 128},
		{300, 172},
		{1024, 896},
		{5000, 4500},
		{50_000, 49_000},
		{51_000, 50_000},
		{math.MaxUint64, math.MaxInt32}, // no limit
	} {
		if got := mostWaiters(test.files); got != test.want {
			t.Errorf("of %d files: %d waiters, want %d", test.files, got, test.want)
		}
	}
}
