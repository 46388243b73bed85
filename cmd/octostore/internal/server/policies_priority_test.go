package server

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/memory"
)

// A whole server gives the lock to its waiters as its policies say, and each of them in
// the order in which they came.
func TestPriorityThroughAServer(t *testing.T) {
	const waiters = 60
	s := ruledServer(t, t.TempDir(), onShelf(&shelf{Store: memory.New()}),
		`{"policies":[{"name":"lane","module":"lane.wasm","match":["prod/**"]}]}`,
		map[string][]byte{"lane": octotest.Module("lane")})
	held := s.call("POST", "/v1/locks/prod/db/acquire?holder=first")
	octotest.Expect(t, held, 200, "lease_id")

	type arrival struct {
		holder   string
		priority lock.Priority
	}
	arrivals := []arrival{}
	var all sync.WaitGroup
	rng := rand.New(rand.NewPCG(3, 4))
	for i := range waiters {
		next := arrival{fmt.Sprintf("h%02d", i), lock.Priority(rng.IntN(3) - 1)}
		arrivals = append(arrivals, next)
		ttl := map[lock.Priority]string{lock.Front: "1m", lock.Normal: "10m", lock.Back: "11m"}[next.priority]
		all.Go(func() {
			w, r := httptest.NewRecorder(), httptest.NewRequest("POST", "http://localhost/v1/locks/prod/db/acquire?wait=5m&ttl="+ttl+"&holder="+next.holder, nil)
			s.serving().api.ServeHTTP(w, r)
			if w.Code != 200 {
				t.Errorf("%s is answered %d %s", next.holder, w.Code, w.Body)
				return
			}
			octotest.Expect(t, s.call("POST", "/v1/locks/prod/db/release?lease_id="+octotest.Member(t, w.Body.String(), "lease_id")), 200, "held_ms")
		})
		octotest.WaitUntil(t, next.holder+" waits", func() bool { return s.serving().table.Stats().Waiters == i+1 })
	}
	octotest.Expect(t, s.call("POST", "/v1/locks/prod/db/release?lease_id="+octotest.Member(t, held.Body, "lease_id")), 200, "held_ms")
	all.Wait()

	want := []string{"first "}
	slices.SortStableFunc(arrivals, func(a, b arrival) int { return cmp.Compare(b.priority, a.priority) })
	for _, a := range arrivals {
		want = append(want, a.holder+" "+map[lock.Priority]string{lock.Front: "front", lock.Back: "back"}[a.priority])
	}
	var got []string
	for _, r := range s.records(t) {
		if r.Kind == lock.Granted {
			got = append(got, r.Holder+" "+r.Priority)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("the lock went to\n%q, want\n%q", got, want)
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
}
