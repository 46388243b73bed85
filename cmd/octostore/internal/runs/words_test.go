//go:build unix

package runs_test

import (
	"io"
	"os"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

// A reader of the words of octostore that has left is no reason to end the command, nor to exit
// with anything but its exit code.
func TestRunWhoseWordsHaveNoReader(t *testing.T) {
	t.Parallel()
	p, dir := octotest.Start(t, t.TempDir()), t.TempDir()
	for status, does := range map[int]string{3: "touch done; exit 3", 137: "touch done; kill -KILL $$"} {
		r := prepare(t, "http://"+p.Addr, nil, append([]string{"--json"}, shell("a", "cd "+dir+"; "+does)...)...)
		words, to := pipe(t)
		words.Close()
		r.cmd.Stderr = to
		r.begin(t).ends(t, status)
		if !isThere(dir, "done") {
			t.Error("the command was ended")
		}
	}
}

// A reader that does not read, such as a terminal after ctrl-S, keeps the lease from nothing: the
// command runs for longer than one lease lasts.
func TestRunWhoseWordsAreNotRead(t *testing.T) {
	t.Parallel()
	p := octotest.Start(t, t.TempDir())
	r := prepare(t, "http://"+p.Addr, nil, append([]string{"--json", "--ttl", "8s", "--kill-after", "100ms"}, shell("a", "sleep 8; exit 3")...)...)
	words, to := pipe(t)
	fill(t, to)
	r.cmd.Stderr = to
	r.begin(t)
	time.AfterFunc(8*time.Second, func() { _, _ = io.Copy(io.Discard, words) })
	r.ends(t, 3)
}

func pipe(t *testing.T) (from, to *os.File) {
	t.Helper()
	from, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { from.Close(); to.Close() })
	return from, to
}

// fill writes to a pipe until nothing more fits.
func fill(t *testing.T, to *os.File) {
	t.Helper()
	for size := 1 << 16; size > 0; size /= 2 {
		for {
			_ = to.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
			if _, err := to.Write(make([]byte, size)); err != nil {
				break
			}
		}
	}
}
