package clusters_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/octostore/octostore/core/lock/locktest"
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

// spoken is an answer as it came back.
type spoken struct {
	node           *node
	status         int
	body           []byte
	problem        api.Problem // if the status is not 200
	sent, received time.Time
}

// once sends a request to a node. The outcome of one that returns an error is unknown, unless
// the error is that nobody listened.
func (s *service) once(ctx context.Context, n *node, method, path string, header ...string) (a spoken, err error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+n.addr+path, nil)
	if err != nil {
		return a, err
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	a.node, a.sent = n, time.Now()
	resp, err := s.client.Do(req)
	if err != nil {
		return a, err
	}
	defer resp.Body.Close()
	a.status = resp.StatusCode
	a.body, err = io.ReadAll(resp.Body)
	a.received = time.Now()
	if err == nil && a.status != http.StatusOK {
		err = json.Unmarshal(a.body, &a.problem)
	}
	return a, err
}

// ask sends a request to any node, and again to any other until one has done it, refused it, or
// its outcome is unknown.
func (s *service) ask(ctx context.Context, method, path string, header ...string) (a spoken, err error) {
	for giveUp := time.Now().Add(askFor); ; {
		a, err = s.patiently(ctx, s.any(), method, path, header...)
		if !surelyNotDone(a, err) || time.Now().After(giveUp) {
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

func (s *service) patiently(ctx context.Context, n *node, method, path string, header ...string) (spoken, error) {
	ctx, cancel := context.WithTimeout(ctx, impatience)
	defer cancel()
	return s.once(ctx, n, method, path, header...)
}

// brokenRequests are those whose clients cannot say what became of them, although they waited.
type brokenRequests struct {
	mu  sync.Mutex
	all []string
}

// note remembers a request that broke. An acquire may have an unknown outcome in any case.
func (s *service) note(ctx context.Context, a spoken, err error, method, path string) {
	unknown := err == nil && a.problem.Code == api.CodeOutcomeUnknown && !strings.Contains(path, "/acquire?")
	if ctx.Err() != nil || err == nil && !unknown || err != nil && a.node.leaving.Load() {
		return
	}
	s.broken.mu.Lock()
	defer s.broken.mu.Unlock()
	s.broken.all = append(s.broken.all, fmt.Sprintf("%s %s %s: %d %s %v", a.node.name, method, path, a.status, a.body, err))
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
func surelyNotDone(a spoken, err error) bool {
	if err != nil {
		return errors.Is(err, syscall.ECONNREFUSED)
	}
	return a.status == http.StatusServiceUnavailable && (a.problem.Code == api.CodeMoved || a.problem.Code == api.CodeDraining)
}

// read decodes the body of an answer that came whole.
func read[T any](s *service, a spoken) (v T) {
	if err := json.Unmarshal(a.body, &v); err != nil {
		s.c.t.Errorf("%s: %d: %q: %v", a.node.name, a.status, a.body, err)
	}
	return v
}

// in returns the service for the workload of one round.
func (s *service) in(round uint64) *service {
	of := *s
	of.prefix += fmt.Sprintf("round-%d/", round)
	return &of
}

func (s *service) Acquire(ctx context.Context, ask locktest.Ask) locktest.Outcome {
	q := url.Values{"ttl": {ask.TTL.String()}, "holder": {ask.Attempt}}
	if ask.Confirm > 0 {
		q.Set("confirm", ask.Confirm.String())
	}
	if ask.Wait > 0 {
		q.Set("wait", max(ask.Wait.Truncate(time.Millisecond), time.Millisecond).String())
	}
	var header []string
	if ask.Key != "" {
		header = []string{api.HeaderKey, ask.Key}
	}
	o := s.leaseOf(s.ask(ctx, "POST", lockPath(s.prefix+ask.Lock, "/acquire?"+q.Encode()), header...))
	o.HungUp = ctx.Err() != nil
	return o
}

func lockPath(name, verb string) string { return "/v1/locks/" + name + verb }

func (s *service) Renew(ctx context.Context, name, id string, ttl time.Duration) locktest.Outcome {
	verb := "/renew"
	if ttl > 0 {
		verb += "?ttl=" + ttl.String()
	}
	return s.leaseOf(s.ask(ctx, "POST", lockPath(s.prefix+name, verb), api.HeaderLease, id))
}

// leaseOf is what an answer to acquire or renew says. The bounds of the deadline are by our
// own clock: what was left when the answer was built, which was after the server had the
// request for as long as it says, and before we had the answer.
func (s *service) leaseOf(a spoken, err error) locktest.Outcome {
	if err != nil || a.status != http.StatusOK {
		return s.outcomeOf(a, err)
	}
	g := read[api.Grant](s, a)
	left := time.Duration(g.ExpiresInMS) * time.Millisecond
	return locktest.Outcome{
		Result: locktest.Done, Token: g.FencingToken, LeaseID: g.LeaseID,
		Earliest: a.sent.Add(time.Duration(g.ServerMS)*time.Millisecond + left),
		Latest:   a.received.Add(left + time.Millisecond),

		Unconfirmed: g.ConfirmMS > 0, Detail: a.node.name,
	}
}

func (s *service) Release(ctx context.Context, name, id string) locktest.Outcome {
	return s.outcomeOf(s.ask(ctx, "POST", lockPath(s.prefix+name, "/release"), api.HeaderLease, id))
}

func (s *service) Break(ctx context.Context, name string, token uint64) locktest.Outcome {
	verb := "/break?reason=test&fencing_token=" + strconv.FormatUint(token, 10)
	return s.outcomeOf(s.ask(ctx, "POST", lockPath(s.prefix+name, verb)))
}

func (s *service) Look(ctx context.Context, name string) locktest.Outcome {
	a, err := s.ask(ctx, "GET", lockPath(s.prefix+name, ""))
	if err != nil || a.status != http.StatusOK {
		return s.outcomeOf(a, err)
	}
	return seen(read[api.Lock](s, a).Lease, locktest.Free, a.node)
}

// seen is the lease of another client, or the result if there is none.
func seen(l *api.Lease, none locktest.Result, by *node) locktest.Outcome {
	if l == nil {
		return locktest.Outcome{Result: none, Detail: by.name}
	}
	return locktest.Outcome{Result: locktest.Held, Token: l.FencingToken, Attempt: l.Holder, Detail: by.name}
}

// outcomeOf says what an answer means to the model.
func (s *service) outcomeOf(a spoken, err error) locktest.Outcome {
	switch {
	case surelyNotDone(a, err):
		return locktest.Outcome{Result: locktest.Refused}
	case err != nil:
		return locktest.Outcome{Result: locktest.Unknown, Detail: err.Error()}
	case a.status == http.StatusOK:
		return locktest.Outcome{Result: locktest.Done, Detail: a.node.name}
	}
	o := locktest.Outcome{Detail: a.node.name + " " + string(a.problem.Code)}
	switch a.problem.Code {
	case api.CodeHeld:
		o = seen(cmp.Or(a.problem.HeldProblem, &api.HeldProblem{}).Lease, locktest.Refused, a.node)
	case api.CodeNotHeld:
		o.Result = locktest.NotHeld
	case api.CodeAttemptOver:
		o.Result = locktest.AttemptOver
	case api.CodeTooLate, api.CodeOutcomeUnknown:
		o.Result = locktest.Unknown
	case api.CodeSuperseded, api.CodeStorageFull:
		o.Result = locktest.Refused
	default:
		s.c.t.Errorf("%s has an unexpected answer: %d %s", a.node.name, a.status, a.body)
		o.Result = locktest.Unknown
	}
	return o
}
