package main

import "testing"

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
