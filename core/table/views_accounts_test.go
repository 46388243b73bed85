package table

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/octostore/octostore/core/lock"
)

func heldView(name lock.Name, account string) lock.View {
	return lock.View{Name: name, Lease: &lock.Lease{Name: name, Account: account}}
}

// show publishes views as a machine would.
func show(vs *views, shown ...lock.View) {
	for _, v := range shown {
		c := lock.NewChange(vs.slot(v.Name), v.Lease)
		c.Waiters, c.Queue, c.WaitingSince = v.Waiters, v.Queue, v.WaitingSince
		vs.publish([]lock.Change{c})
	}
	vs.published()
}

// slot returns the slot of a name, a new one if it is not in the order.
func (vs *views) slot(name lock.Name) *lock.Slot {
	vs.mu.RLock()
	defer vs.mu.RUnlock()
	if s := vs.order.get(name); s != nil {
		return s
	}
	return lock.NewSlot(name)
}

// viewsOf are views with so many names, all held by one account.
func viewsOf(names int) *views {
	vs := new(views)
	for i := range names {
		show(vs, heldView(lock.Name(fmt.Sprintf("n%06d", i)), "ci"))
	}
	return vs
}

// The work under the lock of the views has a bound, however many locks there are.
func TestViewsAreLeftToOthersAfterAFewNames(t *testing.T) {
	const names = 3*scanStep + 7
	vs := viewsOf(names)
	indexed := func() (n int) {
		for _, held := range vs.accounts.names {
			n += held.len()
		}
		return n
	}
	for want := scanStep; want < names; want += scanStep {
		if done := vs.indexSome(); done || indexed() != want {
			t.Fatalf("a step made it %d names, done: %v; want %d", indexed(), done, want)
		}
	}
	if done := vs.indexSome(); !done || indexed() != names {
		t.Fatalf("%d names, done: %v", indexed(), done)
	}

	counted, after, done := 0, lock.Name(""), false
	for steps := 0; !done; steps++ {
		var n int
		if n, after, done = vs.countSome("ci", "n", after); n > scanStep || steps > names {
			t.Fatalf("counted %d in one step", n)
		}
		counted += n
	}
	if counted != names {
		t.Errorf("counted %d, want %d", counted, names)
	}

	var found []lock.View
	last, done := vs.scan(Query{Limit: names, Account: "other"}, "", &found)
	if want := lock.Name(fmt.Sprintf("n%06d", scanStep-1)); last != want || done {
		t.Errorf("a step of a listing looked up to %s, done: %v; want %s", last, done, want)
	}
}

// An index that is built while locks come and go is exact in the end, and has no account
// that holds nothing.
func TestViewsIndexIsBuiltWhileLocksChange(t *testing.T) {
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 1))
		vs := viewsOf(2*scanStep + rng.IntN(scanStep))
		for done := false; !done; {
			for range rng.IntN(200) {
				changeOne(vs, rng)
			}
			done = vs.indexSome()
		}
		for range 200 {
			changeOne(vs, rng)
		}
		checkAccounts(t, vs)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// changeOne has a lock acquired, ended or given to another account, and returns its name.
func changeOne(vs *views, rng *rand.Rand) lock.Name {
	e := heldView(lock.Name(fmt.Sprintf("n%06d", rng.IntN(4*scanStep))), fmt.Sprint("acct", rng.IntN(3)))
	if rng.IntN(3) == 0 {
		e.Lease = nil
	}
	show(vs, e)
	return e.Name
}

// checkAccounts counts anew what the views keep of accounts.
func checkAccounts(t *testing.T, vs *views) {
	t.Helper()
	want := map[string]int{}
	vs.order.ascend("", func(s *lock.Slot) bool {
		if s.Held() {
			want[s.Account()]++
		}
		return true
	})
	for account, n := range want {
		if all, some := vs.heldBy(account, ""), vs.heldBy(account, "n"); all != n || some != n {
			t.Errorf("%s holds %d; the views say %d, and %d by prefix", account, n, all, some)
		}
	}
	if len(vs.accounts.names) != len(want) {
		t.Errorf("the views keep %d accounts, but %d hold something", len(vs.accounts.names), len(want))
	}
}

func (vs *views) accountsKept() int {
	vs.mu.RLock()
	defer vs.mu.RUnlock()
	return len(vs.accounts.names)
}

// Accounts that hold nothing any more are not kept: there may be many in the life of a
// server.
func TestViewsForgetAccountsWithoutLocks(t *testing.T) {
	inTime(t, Config{}, func(t *testing.T, tab *Table, _ *diary) {
		tab.HeldBy("acme", "") // from here on accounts are kept
		for i := range 20 {
			a := try(lock.Name(fmt.Sprint("l", i)))
			a.Actor.Account = fmt.Sprint("acct", i)
			mustAcquire(t, tab, a)
		}
		if n := tab.views.accountsKept(); n != 20 {
			t.Fatalf("%d accounts are kept, want 20", n)
		}
		time.Sleep(time.Hour)
		if n := tab.views.accountsKept(); n != 0 {
			t.Errorf("%d accounts are kept that hold nothing", n)
		}
	})
}
