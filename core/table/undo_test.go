package table

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/octostore/octostore/core/lock"
)

const undoneKey = "0123456789abcdef"

// keyed is a request for x, for an hour, with an idempotency key.
func keyed(t *testing.T) lock.Acquisition {
	t.Helper()
	a := try("x")
	a.TTL = time.Hour
	var err error
	if a.Attempt, err = lock.NewAttempt(undoneKey, a.TTL, 0, "", nil); err != nil {
		t.Fatal(err)
	}
	return a
}

// A lease none of whose answers arrived is undone after the grace period, in whatever
// order the losses are noticed and the attempt comes back.
func TestUndoOfALeaseWithoutAnAnswer(t *testing.T) {
	for what, lose := range map[string]func(t *testing.T, tab *Table, a lock.Acquisition){
		"once": func(t *testing.T, tab *Table, a lock.Acquisition) {
			tab.Undo(mustAcquire(t, tab, a))
		},
		"twice, noticed before the attempt comes back": func(t *testing.T, tab *Table, a lock.Acquisition) {
			tab.Undo(mustAcquire(t, tab, a))
			synctest.Wait()
			tab.Undo(mustAcquire(t, tab, a))
		},
		"twice, noticed after the attempt came back": func(t *testing.T, tab *Table, a lock.Acquisition) {
			first, second := mustAcquire(t, tab, a), mustAcquire(t, tab, a)
			tab.Undo(first)
			tab.Undo(second)
		},
		"twice, the second noticed first": func(t *testing.T, tab *Table, a lock.Acquisition) {
			first, second := mustAcquire(t, tab, a), mustAcquire(t, tab, a)
			tab.Undo(second)
			tab.Undo(first)
		},
		"twice, the first noticed long after": func(t *testing.T, tab *Table, a lock.Acquisition) {
			first, second := mustAcquire(t, tab, a), mustAcquire(t, tab, a)
			tab.Undo(second)
			time.Sleep(time.Minute)
			tab.Undo(first)
		},
		"three times, in the middle by Repeat": func(t *testing.T, tab *Table, a lock.Acquisition) {
			first := mustAcquire(t, tab, a)
			second, ok, err := tab.Repeat(a)
			if !ok || err != nil {
				t.Fatal(ok, err)
			}
			third := mustAcquire(t, tab, a)
			tab.Undo(third)
			tab.Undo(first)
			tab.Undo(second)
		},
	} {
		t.Run(what, func(t *testing.T) {
			inTime(t, Config{}, func(t *testing.T, tab *Table, d *diary) {
				lose(t, tab, keyed(t))
				time.Sleep(9 * time.Second)
				if tab.Get("x").Lease == nil {
					t.Error("it is undone before the attempt can have come back")
				}
				time.Sleep(2 * time.Second)
				if tab.Get("x").Lease != nil {
					t.Error("no answer arrived, and the lease stays for an hour")
				}
			})
		})
	}
}

// A lease one of whose answers arrived is never undone (invariant 10), whichever that is
// and whatever is lost besides.
func TestUndoOfADeliveredLease(t *testing.T) {
	for what, lose := range map[string]func(t *testing.T, tab *Table, a lock.Acquisition){
		"the first arrived": func(t *testing.T, tab *Table, a lock.Acquisition) {
			mustAcquire(t, tab, a)
			tab.Undo(mustAcquire(t, tab, a))
		},
		"the second arrived": func(t *testing.T, tab *Table, a lock.Acquisition) {
			first := mustAcquire(t, tab, a)
			mustAcquire(t, tab, a)
			tab.Undo(first)
		},
		"the second arrived, after the first was known to be lost": func(t *testing.T, tab *Table, a lock.Acquisition) {
			tab.Undo(mustAcquire(t, tab, a))
			synctest.Wait()
			mustAcquire(t, tab, a)
		},
		"of three the one in the middle arrived": func(t *testing.T, tab *Table, a lock.Acquisition) {
			first := mustAcquire(t, tab, a)
			mustAcquire(t, tab, a)
			tab.Undo(mustAcquire(t, tab, a))
			tab.Undo(first)
		},
		"it was renewed": func(t *testing.T, tab *Table, a lock.Acquisition) {
			g := mustAcquire(t, tab, a)
			if _, err := tab.Renew(t.Context(), lock.RenewRequest{Origin: me, Name: "x", LeaseID: g.LeaseID}); err != nil {
				t.Fatal(err)
			}
			tab.Undo(g)
		},
		"it was renewed, and an answer is lost afterwards": func(t *testing.T, tab *Table, a lock.Acquisition) {
			g := mustAcquire(t, tab, a)
			tab.Undo(g)
			if _, err := tab.Renew(t.Context(), lock.RenewRequest{Origin: me, Name: "x", LeaseID: g.LeaseID}); err != nil {
				t.Fatal(err)
			}
			tab.Undo(mustAcquire(t, tab, a))
		},
		"a policy refused its renewal": func(t *testing.T, tab *Table, a lock.Acquisition) {
			g := mustAcquire(t, tab, a)
			tab.Undo(g)
			tab.Received(lock.RenewRequest{Origin: me, Name: "x", LeaseID: g.LeaseID})
		},
	} {
		t.Run(what, func(t *testing.T) {
			inTime(t, Config{}, func(t *testing.T, tab *Table, d *diary) {
				lose(t, tab, keyed(t))
				time.Sleep(11 * time.Second)
				if tab.Get("x").Lease == nil {
					t.Error("the lease is undone under its holder")
				}
			})
		})
	}
}

// What a request says about an answer stays known when its batch is refused for lack of
// space: that one arrived, or that one was lost.
func TestUndoKnowsWhatARefusedBatchSaid(t *testing.T) {
	renew := func(t *testing.T, tab *Table, g Grant) {
		if _, err := tab.Renew(t.Context(), lock.RenewRequest{Origin: me, Name: "x", LeaseID: g.LeaseID}); !errors.Is(err, lock.ErrFull) {
			t.Errorf("renewed on a full disk: %v", err)
		}
	}
	release := func(t *testing.T, tab *Table, g Grant) {
		if _, err := tab.Release(t.Context(), lock.ReleaseRequest{Origin: me, Name: "x", LeaseID: g.LeaseID}); !errors.Is(err, lock.ErrFull) {
			t.Errorf("released on a full disk: %v", err)
		}
	}
	releaseByKey := func(t *testing.T, tab *Table) {
		if _, err := tab.Release(t.Context(), lock.ReleaseRequest{Origin: me, Name: "x", Key: undoneKey}); !errors.Is(err, lock.ErrFull) {
			t.Errorf("released on a full disk: %v", err)
		}
	}
	for what, c := range map[string]struct {
		say   func(t *testing.T, tab *Table, g Grant)
		stays bool
	}{
		"a renewal before the loss is noticed": {func(t *testing.T, tab *Table, g Grant) { renew(t, tab, g); tab.Undo(g) }, true},
		"a renewal after that":                 {func(t *testing.T, tab *Table, g Grant) { tab.Undo(g); synctest.Wait(); renew(t, tab, g) }, true},
		"a release":                            {func(t *testing.T, tab *Table, g Grant) { tab.Undo(g); synctest.Wait(); release(t, tab, g) }, true},
		"a release by key":                     {func(t *testing.T, tab *Table, g Grant) { tab.Undo(g); synctest.Wait(); releaseByKey(t, tab) }, false},
		"nothing":                              {func(t *testing.T, tab *Table, g Grant) { tab.Undo(g) }, false},
	} {
		t.Run(what, func(t *testing.T) {
			inTime(t, Config{}, func(t *testing.T, tab *Table, d *diary) {
				g := mustAcquire(t, tab, keyed(t))
				d.set(nil, lock.ErrFull)
				c.say(t, tab, g)
				synctest.Wait()
				d.set(nil, nil)
				time.Sleep(11 * time.Second)
				if stays := tab.Get("x").Lease != nil; stays != c.stays {
					t.Errorf("the lease stays: %t, want %t", stays, c.stays)
				}
			})
		})
	}
}

// A repeat whose caller has given up waiting for the disk is one more lost answer.
func TestUndoOfARepeatThatWasGivenUp(t *testing.T) {
	inTime(t, Config{}, func(t *testing.T, tab *Table, d *diary) {
		a := keyed(t)
		tab.Undo(mustAcquire(t, tab, a))
		gate := make(chan struct{})
		d.set(gate, nil)
		tab.start(t.Context(), try("other"))
		synctest.Wait() // the commit hangs
		if _, _, err := tab.Repeat(a); !errors.Is(err, lock.ErrOutcomeUnknown) {
			t.Fatalf("repeated while the disk hangs: %v", err)
		}
		close(gate)
		time.Sleep(11 * time.Second)
		if tab.Get("x").Lease != nil {
			t.Error("no answer arrived, and the lease stays for an hour")
		}
	})
}
