package faults_test

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/core/lock/locktest"
	"github.com/octostore/octostore/transport/api"
)

// overHTTP is a real server as the clients of a workload see it.
type overHTTP struct {
	t       *testing.T
	dir     string
	history *locktest.History
	client  *http.Client

	mu     sync.RWMutex // held while there is no server to ask
	server *octotest.Server
}

func newImpatientClient() *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32}, Timeout: 20 * time.Second}
}

func (s *overHTTP) start() bool {
	server, err := octotest.TryStart(s.dir)
	if err != nil {
		s.t.Error(err)
		return false
	}
	s.server = server
	return true
}

// killAndRestart kills the server in the middle of what it does. Requests that come
// after that wait for the next one.
func (s *overHTTP) killAndRestart() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.server.Kill()
	s.history.Restarted()
	return s.start()
}

func (s *overHTTP) url(name, verb string) string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return "http://" + s.server.Addr + "/v1/locks/" + name + verb
}

// spoken is an answer as it came back.
type spoken struct {
	status         int
	body           []byte
	sent, received time.Time
}

// ask sends a request. The outcome of one that returns an error is unknown.
func (s *overHTTP) ask(ctx context.Context, method, url string, header ...string) (a spoken, err error) {
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		s.t.Error(err)
		return a, err
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	a.sent = time.Now()
	resp, err := s.client.Do(req)
	if err != nil {
		return a, err
	}
	defer resp.Body.Close()
	a.status = resp.StatusCode
	a.body, err = io.ReadAll(resp.Body)
	a.received = time.Now()
	return a, err
}

// read decodes the body of an answer that came whole.
func read[T any](s *overHTTP, a spoken) (v T) {
	if err := json.Unmarshal(a.body, &v); err != nil {
		s.t.Errorf("%d: %q: %v", a.status, a.body, err)
	}
	return v
}

func (s *overHTTP) Acquire(ctx context.Context, ask locktest.Ask) locktest.Outcome {
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
	o := s.leaseOf(s.ask(ctx, "POST", s.url(ask.Lock, "/acquire?"+q.Encode()), header...))
	o.HungUp = ctx.Err() != nil
	return o
}

func (s *overHTTP) Renew(ctx context.Context, name, id string, ttl time.Duration) locktest.Outcome {
	verb := "/renew"
	if ttl > 0 {
		verb += "?ttl=" + ttl.String()
	}
	return s.leaseOf(s.ask(ctx, "POST", s.url(name, verb), api.HeaderLease, id))
}

// leaseOf is what an answer to acquire or renew says. The bounds of the deadline are
// by our own clock: what was left when the answer was built, which was after the
// server had the request for as long as it says, and before we had the answer.
func (s *overHTTP) leaseOf(a spoken, err error) locktest.Outcome {
	if err != nil || a.status != http.StatusOK {
		return s.outcomeOf(a, err)
	}
	g := read[api.Grant](s, a)
	left := time.Duration(g.ExpiresInMS) * time.Millisecond
	return locktest.Outcome{
		Result: locktest.Done, Token: g.FencingToken, LeaseID: g.LeaseID,
		Earliest: a.sent.Add(time.Duration(g.ServerMS)*time.Millisecond + left),
		Latest:   a.received.Add(left + time.Millisecond),

		Unconfirmed: g.ConfirmMS > 0,
	}
}

func (s *overHTTP) Release(ctx context.Context, name, id string) locktest.Outcome {
	return s.outcomeOf(s.ask(ctx, "POST", s.url(name, "/release"), api.HeaderLease, id))
}

func (s *overHTTP) Break(ctx context.Context, name string, token uint64) locktest.Outcome {
	return s.outcomeOf(s.ask(ctx, "POST", s.url(name, "/break?reason=test&fencing_token="+strconv.FormatUint(token, 10))))
}

func (s *overHTTP) Look(ctx context.Context, name string) locktest.Outcome {
	a, err := s.ask(ctx, "GET", s.url(name, ""))
	if err != nil || a.status != http.StatusOK {
		return s.outcomeOf(a, err)
	}
	return seen(read[api.Lock](s, a).Lease, locktest.Free)
}

// seen is the lease of another client, or the result if there is none.
func seen(l *api.Lease, none locktest.Result) locktest.Outcome {
	if l == nil {
		return locktest.Outcome{Result: none}
	}
	return locktest.Outcome{Result: locktest.Held, Token: l.FencingToken, Attempt: l.Holder}
}

// outcomeOf says what an answer means to the model.
func (s *overHTTP) outcomeOf(a spoken, err error) locktest.Outcome {
	if err != nil {
		return locktest.Outcome{Result: locktest.Unknown, Detail: err.Error()}
	}
	if a.status == http.StatusOK {
		return locktest.Outcome{Result: locktest.Done}
	}
	p := read[api.Problem](s, a)
	o := locktest.Outcome{Detail: string(p.Code)}
	switch p.Code {
	case api.CodeHeld:
		return seen(cmp.Or(p.HeldProblem, &api.HeldProblem{}).Lease, locktest.Refused)
	case api.CodeNotHeld:
		o.Result = locktest.NotHeld
	case api.CodeAttemptOver:
		o.Result = locktest.AttemptOver
	case api.CodeTooLate, api.CodeOutcomeUnknown:
		o.Result = locktest.Unknown
	case api.CodeSuperseded:
		o.Result = locktest.Refused
	default:
		s.t.Errorf("an unexpected answer: %d %s", a.status, a.body)
		o.Result = locktest.Unknown
	}
	return o
}
