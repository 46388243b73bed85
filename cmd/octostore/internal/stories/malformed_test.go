package stories_test

import (
	"cmp"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

// Requests that are wrong in many ways at once are no fault of the server: it answers
// none of them as one, logs no panic, closes every connection in time, and serves
// others as before. A request of a failed run can be made again from its number and
// the seed.
func TestMalformedRequestsAreNoFaultOfTheServer(t *testing.T) {
	n := octotest.HowMany(*tortureMalformed, 20_000, 2_000)
	seed := cmp.Or(*tortureSeed, 1)
	p := octotest.Start(t, t.TempDir(), "OCTOSTORE_MAX_TTL=5s", "OCTOSTORE_DEFAULT_TTL=1s")
	goroutines := p.Metric("go_goroutines")
	sender := &mutantSender{t: t, addr: p.Addr, seed: seed, seen: map[int]int{}}
	began := time.Now()
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for i := sender.next.Add(1); i <= uint64(n) && !t.Failed(); i = sender.next.Add(1) {
				sender.send(i)
			}
		})
	}
	wg.Wait()
	t.Logf("%d requests from seed %d in %s; answers by status: %v", n, seed, time.Since(began).Round(time.Millisecond), sender.seen)

	// Many hang up at once; how many of them are answered before is a question of speed.
	if answers := sender.answers(); answers < n/10 || sender.seen[200] < n/1000 || sender.seen[400] < n/100 {
		t.Errorf("%d answers to %d requests: the generator makes too much of one kind: %v", answers, n, sender.seen)
	}
	octotest.WaitWithin(t, 30*time.Second, "the queues are empty", func() bool { return p.Metric("octostore_waiters") == 0 })
	octotest.WaitWithin(t, 30*time.Second, "no goroutine is left over", func() bool { return p.Metric("go_goroutines") <= goroutines+10 })
	p.ExpectHealthy(t)
}

// mutantSender sends mutants and counts what they are answered.
type mutantSender struct {
	t    *testing.T
	addr string
	seed uint64
	next atomic.Uint64

	mu   sync.Mutex
	seen map[int]int // answers by status; 0: none
}

// send sends one mutant and looks at everything that comes back.
func (s *mutantSender) send(n uint64) {
	raw := newMutant(s.seed, n)
	said, err := s.exchange(raw, n%2 == 0)
	if err != nil {
		s.t.Errorf("request %d of seed %d: %v\n%.2000q", n, s.seed, err, raw)
		return
	}
	all := statuses(said)
	if len(all) == 0 {
		all = []int{0}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, status := range all {
		s.seen[status]++
		if status != 0 && !allowed(status) {
			s.t.Errorf("request %d of seed %d is answered %d\n%.2000q\n%.500q", n, s.seed, status, raw, said)
		}
	}
}

// exchange returns what comes back on a connection of its own. A client that is
// patient leaves the server some time before it closes its half.
func (s *mutantSender) exchange(raw []byte, patient bool) ([]byte, error) {
	if !patient {
		return say(s.addr, raw, true, mutantTime)
	}
	c, err := octotest.Dial(s.addr)
	if err != nil {
		return nil, err
	}
	defer c.Reset()
	half := time.AfterFunc(50*time.Millisecond, func() { _ = c.Conn.(*net.TCPConn).CloseWrite() })
	defer half.Stop()
	if err := c.SetDeadline(time.Now().Add(mutantTime)); err != nil {
		return nil, err
	}
	_, _ = c.Write(raw) // hung up on already: the answer says why
	said, err := io.ReadAll(c.In)
	if isTimeout(err) {
		return said, err
	}
	return said, nil
}

// mutantTime is how long the server may take to close a connection whose client has
// closed its half.
const mutantTime = 20 * time.Second

func (s *mutantSender) answers() (n int) {
	for status, times := range s.seen {
		if status != 0 {
			n += times
		}
	}
	return n
}
