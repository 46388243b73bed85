package table

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/octostore/octostore/core/lock"
)

// The pages of a listing, and a count by prefix, have each lock that was held from beginning to
// end once and in order, whatever others come and go between the pages.
func TestViewsPagesHaveWhatStaysHeld(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 3))
		vs := new(views)
		for range 4 * scanStep {
			changeOne(vs, rng)
		}
		q := Query{Limit: 1 + rng.IntN(2*scanStep), Prefix: []string{"", "n", "n0005", "x"}[rng.IntN(4)]}
		if rng.IntN(2) == 0 {
			q.Account = "acct1"
		}
		stays, gone := selected(vs, q), map[lock.Name]bool{}
		var listed []lock.Name
		for {
			found, next := vs.list(q)
			for _, v := range found {
				listed = append(listed, v.Name)
			}
			if q.After = next; next == "" {
				break
			}
			for range rng.IntN(scanStep) {
				name := changeOne(vs, rng)
				gone[name] = true
			}
		}
		checkPages(t, q, listed, slices.DeleteFunc(stays, func(n lock.Name) bool { return gone[n] }))
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// selected returns the names that a query is for, one by one.
func selected(vs *views, q Query) (names []lock.Name) {
	for i := range 4 * scanStep {
		name := lock.Name(fmt.Sprintf("n%06d", i))
		v := vs.get(name)
		if v.Lease != nil && strings.HasPrefix(string(name), q.Prefix) && (q.Account == "" || v.Lease.Account == q.Account) {
			names = append(names, name)
		}
	}
	return names
}

func checkPages(t *testing.T, q Query, listed, stays []lock.Name) {
	t.Helper()
	for i, name := range listed {
		if i > 0 && name <= listed[i-1] {
			t.Errorf("%s follows %s", name, listed[i-1])
		}
		if !strings.HasPrefix(string(name), q.Prefix) {
			t.Errorf("%s does not begin with %q", name, q.Prefix)
		}
	}
	for _, name := range stays {
		if _, in := slices.BinarySearch(listed, name); !in {
			t.Errorf("pages of %d for %q leave out %s", q.Limit, q.Prefix, name)
		}
	}
}
