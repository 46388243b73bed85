package locktest

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// checkTime is how long the check of one lock may take. It takes milliseconds.
const checkTime = 20 * time.Second

// MustHold fails the test if the answers in h cannot be right or if that cannot be
// decided. It then writes a picture of the history and says how to run the workload again.
func (h *History) MustHold(t testing.TB, replay string) {
	t.Helper()
	err := h.Check(checkTime)
	if err == nil {
		return
	}
	t.Errorf("%v; to run it again: %s", err, replay)
	dir, err := os.MkdirTemp("", "octostore-linearize-") // kept for the developer
	if err != nil {
		t.Error(err)
		return
	}
	picture := filepath.Join(dir, "history.html")
	if err := h.Draw(picture, checkTime); err != nil {
		t.Error(err)
		return
	}
	t.Errorf("the history, in pictures: %s", picture)
}
