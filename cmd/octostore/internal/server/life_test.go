package server

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/config"
	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/etcd"
	"github.com/octostore/octostore/core/store/memory"
)

// common is what the nodes of a test have in common, in memory: a lock table, and who has the term.
type common struct {
	*memory.Store
	opening chan struct{} // held until it is closed; nil: not held
	commit  func()        // called before every commit; nil: nothing is

	mu      sync.Mutex
	terms   int64
	owner   etcd.Owner
	changed chan struct{}
	claims  []*turn
	members []*member
}

func newCommon() *common { return &common{Store: memory.New(), changed: make(chan struct{})} }

// set makes another node the owner, or none. The caller holds mu.
func (c *common) set(o etcd.Owner) {
	c.owner = o
	close(c.changed)
	c.changed = make(chan struct{})
}

// end ends a term.
func (c *common) end(term int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.owner.Term == term {
		c.set(etcd.Owner{})
	}
}

func (c *common) isOwner(term int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.owner.Term == term
}

// member is a node of a common.
type member struct {
	*common
	name, url string
	digest    string
}

func (m *member) Owner() (etcd.Owner, <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.owner, m.changed
}

func (m *member) Take(ctx context.Context) (claim, error) {
	for {
		m.mu.Lock()
		if m.owner.Term == 0 {
			m.terms++
			m.set(etcd.Owner{Node: m.name, URL: m.url, Term: m.terms, Since: time.Now()})
			t := &turn{shelf: &shelf{Store: m.Store}, common: m.common, term: m.terms, over: make(chan struct{})}
			m.claims = append(m.claims, t)
			m.mu.Unlock()
			return t, nil
		}
		changed := m.changed
		m.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (m *member) Nodes(context.Context) (all []etcd.Node, _ error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, one := range m.members {
		all = append(all, etcd.Node{Name: one.name, URL: one.url, Policies: one.digest})
	}
	return all, nil
}

func (m *member) SetPolicies(_ context.Context, digest string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.digest = digest
	return nil
}

func (m *member) Stats() etcd.Stats { return etcd.Stats{} }

func (m *member) ForwardKey() []byte { return []byte("the forward key of all test nodes") }
func (m *member) Close() error       { return nil }

// turn is a term of a member.
type turn struct {
	*shelf
	common *common
	term   int64
	once   sync.Once
	over   chan struct{}
}

func (t *turn) Commit(ctx context.Context, b *lock.Batch) error {
	if !t.common.isOwner(t.term) {
		return lock.ErrDeposed
	}
	if t.common.commit != nil {
		t.common.commit()
	}
	return t.shelf.Commit(ctx, b)
}

func (t *turn) Load(ctx context.Context) (lock.Snapshot, error) {
	if t.common.opening != nil {
		<-t.common.opening
	}
	return t.shelf.Load(ctx)
}

func (t *turn) Term() int64           { return t.term }
func (t *turn) Owns() bool            { return t.common.isOwner(t.term) && !isClosed(t.over) }
func (t *turn) Lost() <-chan struct{} { return t.over }

func (t *turn) ValidFor() time.Duration {
	if !t.Owns() {
		return 0
	}
	return time.Minute
}

// lose ends the term as a lease does that runs out.
func (t *turn) lose() {
	t.once.Do(func() { close(t.over) })
	t.common.end(t.term)
}

func (t *turn) HandOver(context.Context) error { t.lose(); return nil }

func (t *turn) Close() error { t.lose(); return t.shelf.Close() }

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// startNode starts a node, which lives until the test ends or stops it.
func startNode(t *testing.T, in *common, name string, set ...func(*config.Config)) (s *server, stop func()) {
	t.Helper()
	cfg := testConfig(t)
	for _, f := range set {
		f(&cfg)
	}
	cfg.Store, cfg.Node = config.Etcd, config.NodeName(name)
	m := &member{common: in, name: name}
	s, err := start(t.Context(), nil, cfg, slog.New(slog.DiscardHandler),
		stores{cluster: func(_ context.Context, _ config.Config, digest string, _ *slog.Logger) (cluster, error) {
			in.mu.Lock()
			defer in.mu.Unlock()
			m.digest, in.members = digest, append(in.members, m)
			return m, nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	in.mu.Lock()
	m.url = s.url()
	in.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.wait(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := errors.Join(<-ended, s.stop()); err != nil {
				t.Errorf("node %s: %v", name, err)
			}
		})
	}
	t.Cleanup(stop)
	return s, stop
}

func fencingToken(t *testing.T, got octotest.Answer) uint64 {
	t.Helper()
	var grant struct {
		Token uint64 `json:"fencing_token"`
	}
	if err := json.Unmarshal([]byte(got.Body), &grant); err != nil || grant.Token == 0 {
		t.Fatalf("no grant: %d %s %v", got.Status, got.Body, got.Err)
	}
	return grant.Token
}

// newest returns the claim of the newest term.
func (c *common) newest() *turn {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.claims[len(c.claims)-1]
}

// serves waits until a node serves, and returns its term.
func serves(t *testing.T, s *server) *term {
	t.Helper()
	octotest.WaitUntil(t, "node "+s.node.name+" serves", func() bool { return s.serving() != nil })
	return s.serving()
}

// A node whose term is lost tells its waiters, and the next node goes on with the same leases.
func TestLifeGoesOnAtAnotherNodeWhenATermIsLost(t *testing.T) {
	in := newCommon()
	a, _ := startNode(t, in, "a")
	first := serves(t, a)
	b, _ := startNode(t, in, "b")
	got := a.call("POST", "/v1/locks/x/acquire?ttl=60s")
	octotest.Expect(t, got, 200, `"lease_id"`)
	lease, token := octotest.Member(t, got.Body, "lease_id"), fencingToken(t, got)
	waiting := make(chan octotest.Answer, 1)
	go func() { waiting <- a.call("POST", "/v1/locks/x/acquire?wait=30s") }()
	octotest.WaitUntil(t, "it waits", func() bool { return first.table.Stats().Waiters == 1 })

	in.newest().lose()

	octotest.Expect(t, <-waiting, 503, `"moved"`)
	octotest.WaitUntil(t, "node a forwards or serves again", func() bool { return a.serving() != first })
	octotest.WaitUntil(t, "one node serves", func() bool { return a.serving() != nil || b.serving() != nil })
	next, other := a, b
	if b.serving() != nil {
		next, other = b, a
	}
	got = next.call("POST", "/v1/locks/x/renew?lease_id="+lease)
	octotest.Expect(t, got, 200, `"lease_id"`)
	if again := fencingToken(t, got); again != token {
		t.Errorf("the lease has token %d, was %d", again, token)
	}
	if got := other.call("POST", "/v1/locks/y/acquire"); fencingToken(t, got) <= token {
		t.Errorf("the next token does not grow: %s", got.Body)
	}
}

// While another node may have the term nothing is answered from memory, also before this one notices.
func TestLifeAnswersNothingOfATermThatMayBeOver(t *testing.T) {
	in := newCommon()
	a, _ := startNode(t, in, "a")
	serves(t, a)
	octotest.Expect(t, a.call("GET", "/v1/locks/x"), 200, `"free"`)
	in.mu.Lock()
	in.owner.Term++ // nobody is told
	in.mu.Unlock()
	octotest.Expect(t, a.call("GET", "/v1/locks/x"), 503, `"moved"`)
	in.newest().lose()
	in.end(in.newest().term + 1)
	octotest.WaitUntil(t, "the next term", func() bool { return a.call("GET", "/v1/locks/x").Status == 200 })
}

// A request that comes while this node opens its term is answered by it a moment later.
func TestLifeHoldsRequestsWhileATermIsOpened(t *testing.T) {
	in := newCommon()
	opened := make(chan struct{})
	in.opening = opened
	a, _ := startNode(t, in, "a")
	octotest.WaitUntil(t, "the term is taken", func() bool { o, _ := a.node.Owner(); return o.Node == "a" })
	got := make(chan octotest.Answer, 1)
	go func() { got <- a.call("POST", "/v1/locks/x/acquire") }()
	octotest.WaitUntil(t, "the request waits", func() bool {
		all := make([]byte, 1<<20)
		return strings.Contains(string(all[:runtime.Stack(all, true)]), "(*server).await(")
	})
	close(opened)
	octotest.Expect(t, <-got, 200, `"lease_id"`)
}

// A node that stops hands over: the next one serves at once, and the record says which nodes they are.
func TestLifeIsHandedOverByANodeThatStops(t *testing.T) {
	in := newCommon()
	a, stop := startNode(t, in, "a")
	serves(t, a)
	b, _ := startNode(t, in, "b")
	got := a.call("POST", "/v1/locks/x/acquire?ttl=60s")
	lease := octotest.Member(t, got.Body, "lease_id")

	stop()

	serves(t, b)
	octotest.Expect(t, b.call("POST", "/v1/locks/x/release?lease_id="+lease), 200, `"held_ms"`)
	record := b.call("GET", "/v1/audit").Body
	for _, want := range []string{`"kind":"started"`, " on node a", `"kind":"stopped"`, " on node b"} {
		if !strings.Contains(record, want) {
			t.Errorf("the record lacks %s:\n%s", want, record)
		}
	}
}

// A term that is handed over by hand goes to another node, not back to the same.
func TestLifeIsHandedOverByHand(t *testing.T) {
	in := newCommon()
	a, _ := startNode(t, in, "a")
	serves(t, a)
	b, _ := startNode(t, in, "b")
	octotest.Expect(t, b.call("POST", "/v1/cluster/hand-over?reason=maintenance"), 200, `"others"`)
	serves(t, b)
	octotest.WaitUntil(t, "node a forwards", func() bool { return a.serving() == nil })
	octotest.Expect(t, b.call("POST", "/v1/locks/x/acquire"), 200, `"lease_id"`)
}

// Requests through another node wait while the term is handed over, although the node that served
// refuses them meanwhile: its last commit is slow.
func TestLifeIsHandedOverWithoutARefusal(t *testing.T) {
	in := newCommon()
	in.commit = func() { time.Sleep(50 * time.Millisecond) }
	a, _ := startNode(t, in, "a")
	serves(t, a)
	b, _ := startNode(t, in, "b")
	octotest.Expect(t, b.call("POST", "/v1/cluster/hand-over"), 200, `"others"`)
	for served := false; !served; {
		served = b.serving() != nil
		octotest.Expect(t, b.call("GET", "/v1/locks/x"), 200, `"free"`)
	}
}

// A node that does not serve is well, and is ready while it can reach the one that does.
func TestLifeOfANodeThatDoesNotServe(t *testing.T) {
	in := newCommon()
	a, _ := startNode(t, in, "a")
	serves(t, a)
	b, _ := startNode(t, in, "b")
	octotest.Expect(t, b.call("GET", "/healthz"), 200, `"ok"`)
	octotest.Expect(t, b.call("GET", "/readyz"), 200, `"ok"`)
	octotest.Expect(t, b.call("GET", "/metrics"), 200, "octostore_cluster_serving 0\n")
	octotest.Expect(t, a.call("GET", "/metrics"), 200, "octostore_cluster_serving 1\n")
	if got, want := b.status(), "forwarding on "+b.url()+" to node a"; got != want {
		t.Errorf("its status is %q, want %q", got, want)
	}
	in.mu.Lock()
	in.set(etcd.Owner{Node: "c", URL: "http://127.0.0.1:1", Term: 99}) // nothing listens there
	in.mu.Unlock()
	octotest.Expect(t, b.call("GET", "/readyz"), 503, `"moved"`)
	octotest.Expect(t, b.call("GET", "/healthz"), 200, `"ok"`)
}

// A commit that the store refuses because another node has the term ends the term, not the process.
func TestLifeOutlastsADeposedCommit(t *testing.T) {
	in := newCommon()
	a, _ := startNode(t, in, "a")
	first := serves(t, a)
	deposed := lock.ErrDeposed
	in.newest().fail.Store(&deposed)
	octotest.Expect(t, a.call("POST", "/v1/locks/x/acquire"), 503, `"moved"`)
	octotest.WaitUntil(t, "the next term", func() bool { next := a.serving(); return next != nil && next != first })
	octotest.Expect(t, a.call("POST", "/v1/locks/x/acquire"), 200, `"lease_id"`)
}

// A failure that is not about the term ends the process, as with a file.
func TestLifeEndsWithAStoreThatFails(t *testing.T) {
	in := newCommon()
	cfg := testConfig(t)
	cfg.Store, cfg.Node = config.Etcd, "a"
	s, err := start(t.Context(), nil, cfg, slog.New(slog.DiscardHandler),
		stores{cluster: func(context.Context, config.Config, string, *slog.Logger) (cluster, error) {
			return &member{common: in, name: "a"}, nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.wait(t.Context()) }()
	serves(t, s)
	broken := errors.New("the head is another one")
	in.newest().fail.Store(&broken)
	octotest.Expect(t, s.call("POST", "/v1/locks/a/acquire"), 503, `"outcome_unknown"`)
	if err := <-ended; !errors.Is(err, broken) {
		t.Errorf("ended with %v, want %v", err, broken)
	}
	_ = s.stop()
	if !in.newest().closed.Load() {
		t.Error("the store was left open")
	}
}
