package clusters_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/cmd/octostore/internal/octotest/httplocktest"
	"github.com/octostore/octostore/transport/api"
)

// parked are waiters whose requests one node has before it is disturbed.
type parked struct {
	r       *round
	holder  api.Grant
	waiters sync.WaitGroup

	mu      sync.Mutex
	answers []answer
	errs    []error
}

const parkedWaiters = 8

// park has waiters stand in the queue of a lock, asked of one node directly.
func (r *round) park(n *node) *parked {
	w := &parked{r: r}
	name := fmt.Sprintf("%sparked/%d", r.probe.prefix, time.Now().UnixNano())
	p := newPromises(r.probe.service)
	lock := promised{name: name}
	octoWait(p.service, "the lock of the waiters is held", func() bool { return p.acquire(&lock, "ttl=1h") })
	w.holder = lock.grant
	for range parkedWaiters {
		w.waiters.Go(func() {
			a, err := p.once(context.Background(), n, "POST", httplocktest.Path(name, "/acquire?wait=10m&ttl=10s"))
			w.mu.Lock()
			defer w.mu.Unlock()
			w.answers, w.errs = append(w.answers, a), append(w.errs, err)
		})
	}
	octoWait(p.service, "the waiters are in the queue", func() bool { return p.look(name).WaitersTotal == parkedWaiters })
	return w
}

// mustBeTold waits for the answers of all waiters, none of which may be a grant.
func (w *parked) mustBeTold() {
	w.r.t.Helper()
	done := make(chan struct{})
	go func() { w.waiters.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(octotest.Patient):
		w.r.t.Errorf("after %s only some waiters of a lost term have an answer", octotest.Patient)
		<-done // the client gives up by itself
	}
	for i, a := range w.answers {
		if w.errs[i] != nil || a.Status != http.StatusServiceUnavailable || a.Problem.Code != api.CodeMoved {
			w.r.t.Errorf("a waiter of a lost term is answered %d %s, %v", a.Status, a.Body, w.errs[i])
		}
	}
	a, err := w.r.probe.ask(context.Background(), "POST", httplocktest.Path(w.holder.Name, "/release"), api.HeaderLease, w.holder.LeaseID)
	if err != nil || a.Status != http.StatusOK {
		w.r.t.Errorf("the holder cannot release: %d %s, %v", a.Status, a.Body, err)
	}
}
