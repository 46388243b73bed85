package clusters_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest/httplocktest"
	"github.com/octostore/octostore/transport/api"
)

// service is the cluster as the clients of a workload see it. Each request goes to any node,
// and goes to another one if it was surely not done.
type service struct {
	c      *cluster
	client *http.Client
	over   chan struct{} // closed when the clients need no answers any more
	broken *brokenRequests
	prefix string // of the names of locks, so that nobody else's are disturbed
}

// Times of clients. A client that is told to come back does so sooner than Retry-After says,
// so that gaps are measured, not pauses.
const (
	comeBack     = 10 * time.Millisecond
	askFor       = 90 * time.Second // that a request is repeated at most
	impatience   = 20 * time.Second // that an answer may take
	seldomAvoids = 20               // one request in so many goes to a node that does not answer
)

func newService(c *cluster, prefix string) *service {
	return &service{
		prefix: prefix,
		c:      c,
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}},
		over:   make(chan struct{}),
		broken: &brokenRequests{},
	}
}

// any returns a node at random.
func (s *service) any() *node {
	for {
		if n := s.c.nodes[rand.IntN(nodes)]; !n.avoided.Load() || rand.IntN(seldomAvoids) == 0 {
			return n
		}
	}
}

// answer is an answer of a node.
type answer struct {
	httplocktest.Answer
	node *node
}

// once sends a request to a node. The outcome of one that returns an error is unknown, unless
// the error is that nobody listened.
func (s *service) once(ctx context.Context, n *node, method, path string, headers ...string) (answer, error) {
	a, err := httplocktest.Send(ctx, s.client, n.name, n.addr, method, path, headers...)
	return answer{a, n}, err
}

// ask sends a request to any node, and again to any other until one has done it, refused it, or
// its outcome is unknown.
func (s *service) ask(ctx context.Context, method, path string, headers ...string) (a answer, err error) {
	for giveUp := time.Now().Add(askFor); ; {
		a, err = s.patiently(ctx, s.any(), method, path, headers...)
		if !surelyNotDone(a.Answer, err) || time.Now().After(giveUp) {
			s.note(ctx, a, err, method, path)
			return a, err
		}
		select {
		case <-time.After(comeBack):
		case <-ctx.Done():
			return a, ctx.Err()
		case <-s.over:
			return a, err
		}
	}
}

func (s *service) patiently(ctx context.Context, n *node, method, path string, headers ...string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, impatience)
	defer cancel()
	return s.once(ctx, n, method, path, headers...)
}

// brokenRequests are those whose clients cannot say what became of them, although they waited.
type brokenRequests struct {
	mu  sync.Mutex
	all []string
}

// note remembers a request that broke. An acquire may have an unknown outcome in any case.
func (s *service) note(ctx context.Context, a answer, err error, method, path string) {
	unknown := err == nil && a.Problem.Code == api.CodeOutcomeUnknown && !strings.Contains(path, "/acquire?")
	if ctx.Err() != nil || err == nil && !unknown || err != nil && a.node.leaving.Load() {
		return
	}
	s.broken.mu.Lock()
	defer s.broken.mu.Unlock()
	s.broken.all = append(s.broken.all, fmt.Sprintf("%s %s %s: %d %s %v", a.node.name, method, path, a.Status, a.Body, err))
}

// brokenSince returns the requests that broke since the last call.
func (s *service) brokenSince() []string {
	s.broken.mu.Lock()
	defer s.broken.mu.Unlock()
	broken := s.broken.all
	s.broken.all = nil
	return broken
}

// surelyNotDone reports whether a request can be sent once more without a second thought.
func surelyNotDone(a httplocktest.Answer, err error) bool {
	if err != nil {
		return errors.Is(err, syscall.ECONNREFUSED)
	}
	return a.Status == http.StatusServiceUnavailable && (a.Problem.Code == api.CodeMoved || a.Problem.Code == api.CodeDraining)
}

// refused reports whether a request was surely not done, although its client could not send it
// anew for longer, or etcd was full.
func refused(a httplocktest.Answer, err error) bool {
	return surelyNotDone(a, err) || err == nil && a.Problem.Code == api.CodeStorageFull
}

// read decodes the body of an answer that came whole.
func read[T any](s *service, a answer) T { return httplocktest.Read[T](a.Answer, s.unexpected) }

func (s *service) unexpected(a httplocktest.Answer) {
	s.c.t.Errorf("%s has an unexpected answer: %d %s", a.From, a.Status, a.Body)
}

// in returns the locks for the workload of one round.
func (s *service) in(round uint64) httplocktest.Locks {
	return httplocktest.Locks{
		Ask: func(ctx context.Context, method, path string, headers ...string) (httplocktest.Answer, error) {
			a, err := s.ask(ctx, method, path, headers...)
			return a.Answer, err
		},
		Refused:    refused,
		Unexpected: s.unexpected,
		Prefix:     fmt.Sprintf("%sround-%d/", s.prefix, round),
	}
}
