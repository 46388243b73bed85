package filelimit_test

import (
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/filelimit"
)

func TestFileLimitThatCannotBeRaisedIsReported(t *testing.T) {
	if got := filelimit.Raise(1); got != 1 {
		t.Errorf("asked for 1 file: got %d", got)
	}
	const impossible = 1 << 40
	got := filelimit.Raise(impossible)
	if got == impossible {
		t.Skip("this system has no limit")
	}
	if again := filelimit.Raise(got); again != got {
		t.Errorf("the limit is %d now, but was reported as %d", again, got)
	}
}
