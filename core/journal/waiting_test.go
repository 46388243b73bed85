package journal

import (
	"sync"
	"testing"

	"github.com/octostore/octostore/core/lock"
)

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// A reader that waits for a far event sleeps through all earlier ones, also when others
// have been woken meanwhile.
func TestWaitingReaderSleepsUntilItsEvent(t *testing.T) {
	var w waiting
	w.init()
	far, near := w.forEvent(1000), w.forEvent(5)
	if w.published(5); isClosed(near) {
		t.Error("woken by the event that the reader has already")
	}
	if w.published(6); !isClosed(near) {
		t.Error("not woken by the event that the reader waits for")
	}
	if !isClosed(far) {
		t.Error("readers are woken together: each looks again")
	}
	far = w.forEvent(1000)
	for head := lock.Seq(7); head <= 1000; head++ {
		w.published(head)
	}
	if isClosed(far) {
		t.Error("woken before the event that the reader waits for")
	}
	if w.published(1001); !isClosed(far) {
		t.Error("not woken by the event that the reader waits for")
	}
}

// No reader misses its event, whenever it begins to wait.
func TestWaitingReadersMissNothing(t *testing.T) {
	const events = 20_000
	j := New(nil)
	var readers sync.WaitGroup
	for step := lock.Seq(1); step <= 8; step++ {
		readers.Go(func() {
			for after := lock.Seq(0); after < events; after += step {
				if err := j.Wait(t.Context(), after); err != nil || j.Head() <= after {
					t.Errorf("after %d: %v at %d", after, err, j.Head())
					return
				}
			}
		})
	}
	for j.head.Seq = 1; j.head.Seq < events; j.head.Seq++ {
		j.publishView(ring{})
	}
	j.publishView(ring{})
	readers.Wait()
}
