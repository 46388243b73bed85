// Package etcd keeps one table in etcd, so that several nodes can serve it one after the
// other. A [Cluster] is a node's connection: it knows who serves, and takes the term. A
// [Store] is the table for as long as the term lasts.
//
// # Invariants
//
//  1. A batch is committed by one transaction that demands the term of its writer and the
//     head it builds on. So the commits of a term are a chain, and none is applied twice.
//  2. Once a term has ended, no transaction of it can be applied, however late it arrives:
//     the create revision of its key never comes again, and every guard compares it.
//  3. Whether a transaction without an answer was applied is decided by the segment it would
//     have written, never by the head.
//  4. A term is trusted only until the end of its lease at etcd, on a clock that counts
//     pauses, and less a margin.
//  5. A lease runs again at every take for what its row still promises: late, never early.
package etcd

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/octostore/octostore/core/sparselog"
	"github.com/octostore/octostore/core/store/etcd/internal/dial"
	"github.com/octostore/octostore/core/store/etcd/internal/lease"
)

// Config says where the table is kept, and which node this is.
type Config struct {
	// Endpoints are the URLs of etcd's members, at least one.
	Endpoints []string
	// Prefix is what all keys begin with; "" means "/octostore/". A slash is added at its end.
	Prefix string
	// Lease is the time after which etcd takes a node that is silent for dead; 0 means 10 s.
	// Whole seconds, at least 2 s.
	Lease time.Duration
	// TLS is used with endpoints that begin with https; nil means the system's roots.
	TLS *tls.Config
	// User and Password log in to etcd; "" if it needs no login.
	User, Password string
	// Node is the name of this node, unique in its cluster.
	Node string
	// URL is where the other nodes reach this one.
	URL string
	// Version is the program's, as other nodes show it.
	Version string
	// Policies is the digest of the node's policies.
	Policies string
	// Logger gets what an operator should know and no answer says. Nil discards it.
	Logger *slog.Logger

	by      func(clientv3.KV) clientv3.KV // what requests go through; nil: nothing
	agePast time.Duration                 // how often agePast is called; 0: pastEvery
}

const (
	defaultPrefix = "/octostore/"
	defaultLease  = 10 * time.Second
)

// withDefaults returns the configuration with defaults filled in, or its first mistake.
func (cfg Config) withDefaults() (Config, error) {
	cfg.Prefix = strings.TrimSuffix(cmp.Or(cfg.Prefix, defaultPrefix), "/") + "/"
	cfg.Lease = cmp.Or(cfg.Lease, defaultLease)
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	switch {
	case len(cfg.Endpoints) == 0:
		return cfg, errors.New("there are no endpoints of etcd")
	case cfg.Lease < lease.Shortest || cfg.Lease%time.Second != 0:
		return cfg, fmt.Errorf("a lease of %s is not whole seconds, at least %s", cfg.Lease, lease.Shortest)
	}
	return cfg, nil
}

func (cfg *Config) dial() dial.Config {
	return dial.Config{Endpoints: cfg.Endpoints, TLS: cfg.TLS, User: cfg.User, Password: cfg.Password, Logger: cfg.Logger}
}

// Reasons not to open a cluster.
var (
	// ErrOld says that an etcd is older than 3.6.
	ErrOld = dial.ErrOld
	// ErrUnreachable says that no member of etcd has answered.
	ErrUnreachable = dial.ErrUnreachable
	// ErrNewer says that a newer OctoStore has written the table in a way that this one does
	// not know.
	ErrNewer = errors.New("a newer OctoStore has written it")
)

// ErrClosed is the answer of a closed cluster.
var ErrClosed = errors.New("the cluster is closed")

// Stats are counts since the process started, and what was last seen of etcd.
type Stats struct {
	RoundTrips      uint64 // requests to etcd for records
	Retries         uint64 // of them, those sent again
	UnknownOutcomes uint64 // writes given up with an unknown outcome
	Quota           int64  // the most bytes of etcd's database; 0: not known yet
	Used            int64  // bytes in use, of the member of etcd that uses most
	Alarm           bool   // etcd refuses writes, because its database is full
}

// Cluster is a node's connection to etcd. It is safe for use by many goroutines.
type Cluster struct {
	cfg    Config
	client *clientv3.Client
	kv     clientv3.KV // of the client
	keys   keys
	meta   meta
	// process tells this process from all others, also from one before with the same name.
	process string
	space   *space
	counts  counts
	log     *slog.Logger
	sparse  *sparselog.Log

	life context.Context // ends when Close begins
	stop context.CancelFunc
	work sync.WaitGroup

	closing sync.Once

	waits  atomic.Bool // it was logged that the table is half a copy
	member member      // this node among those that are alive
	view   view        // who serves
}

// Open connects to etcd, and makes what all nodes share if this is the first. Who serves is known
// when it returns. Errors: [ErrOld],
// [ErrUnreachable] with the endpoints and what was tried, [ErrNewer], [ErrHalfCopied], and those of
// etcd.
func Open(ctx context.Context, cfg Config) (*Cluster, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	client, err := dial.Open(ctx, cfg.dial())
	if err != nil {
		return nil, err
	}
	c := &Cluster{
		cfg: cfg, client: client, kv: client, keys: keys{cfg.Prefix}, process: rand.Text(), space: newSpace(client, cfg.Logger),
		log: cfg.Logger, sparse: sparselog.New(cfg.Logger), view: newView(), member: member{policies: cfg.Policies},
	}
	if cfg.by != nil {
		c.kv = cfg.by(c.kv)
	}
	c.life, c.stop = context.WithCancel(context.Background())
	if c.meta, err = c.loadMeta(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open the table below %s in etcd: %w", cfg.Prefix, err), c.Close())
	}
	if _, err := c.readOwn(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("ask etcd who serves: %w", err), c.Close())
	}
	c.work.Go(func() { c.space.watch(c.life) })
	c.work.Go(func() { c.watchOwn(c.life) })
	c.work.Go(func() { c.pollOwn(c.life) })
	return c, nil
}

// ForwardKey returns the 32 bytes by which nodes know each other's requests. All nodes of a
// cluster have the same.
func (c *Cluster) ForwardKey() []byte {
	key, err := hkdf.Key(sha256.New, c.meta.Secret, nil, "octostore forwarded requests", sha256.Size)
	if err != nil {
		panic(err) // of a length that no hash allows
	}
	return key
}

// Stats returns counts, and what was last seen of etcd. Quick.
func (c *Cluster) Stats() Stats {
	u := c.space.now()
	return Stats{
		RoundTrips: c.counts.roundTrips.Load(), Retries: c.counts.retries.Load(), UnknownOutcomes: c.counts.unknown.Load(),
		Quota: u.Quota, Used: u.InUse, Alarm: u.Alarm,
	}
}

// closeTime bounds how long Close waits for etcd; its lease ends by itself otherwise.
const closeTime = 2 * time.Second

// Close ends what Open and Join began: the other nodes no longer see this one. Close the stores
// before.
func (c *Cluster) Close() (err error) {
	c.closing.Do(func() {
		c.stop()
		c.work.Wait()
		c.leave()
		c.sparse.Close()
		err = c.client.Close()
	})
	return err
}

// alive returns a context that ends with ctx or with the cluster.
func (c *Cluster) alive(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(c.life, cancel)
	return ctx, func() { stop(); cancel() }
}

// ask sends an operation again and again until it is answered, ctx ends, or etcd refuses it for
// good. It is only for what may be applied twice: reads, and writes whose guard sees to that.
func (c *Cluster) ask(ctx context.Context, op clientv3.Op) (clientv3.OpResponse, error) {
	var p pauses
	for {
		answer, err := c.askOnce(ctx, op)
		if err == nil || final(err) || fateOf(err) == impossible {
			return answer, err
		}
		if p.wait(ctx) != nil {
			return answer, fmt.Errorf("etcd does not answer: %w", err)
		}
	}
}

func (c *Cluster) askOnce(ctx context.Context, op clientv3.Op) (clientv3.OpResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	return c.kv.Do(clientv3.WithRequireLeader(ctx), op)
}

// format is the version of the keys and their values.
const format = 1

// meta is what all nodes share. It is written once.
type meta struct {
	Format int    `json:"format"`
	ID     string `json:"id"`     // of the store, random
	Secret []byte `json:"secret"` // of lease ids, and of what is derived from it
	Seed   []byte `json:"seed"`   // of the key that signs the journal
}

func newMeta() meta {
	m := meta{Format: format, ID: rand.Text(), Secret: make([]byte, sha256.Size), Seed: make([]byte, ed25519.SeedSize)}
	rand.Read(m.Secret)
	rand.Read(m.Seed)
	return m
}

func (m *meta) text() string {
	text, err := json.Marshal(m)
	if err != nil {
		panic(err) // of numbers and bytes
	}
	return string(text)
}

// key returns the key that signs the journal.
func (m *meta) key() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(m.Seed) }

// loadMeta reads what all nodes share. The first of them writes it, unless something of a table is
// there already: that is of an import, or of a table whose key was deleted.
func (c *Cluster) loadMeta(ctx context.Context) (meta, error) {
	first, key, own := newMeta(), c.keys.meta(), c.keys.own()
	absent := []clientv3.Cmp{clientv3.Compare(clientv3.CreateRevision(key), "=", 0)} // first, for those after it read what there is
	for _, part := range []string{c.keys.table(), c.keys.tokens()} {
		absent = append(absent, clientv3.Compare(clientv3.CreateRevision(part), "=", 0).WithPrefix())
	}
	if _, err := c.ask(ctx, clientv3.OpTxn(absent, []clientv3.Op{clientv3.OpPut(key, first.text())}, nil)); err != nil {
		return meta{}, err
	}
	answer, err := c.ask(ctx, clientv3.OpTxn(nil, []clientv3.Op{clientv3.OpGet(key), clientv3.OpGet(own)}, nil)) // what is there now
	if err != nil {
		return meta{}, err
	}
	found := rangeOf(answer.Txn(), 0).Kvs
	if len(found) > 0 {
		return parseMeta(key, found[0].Value)
	}
	if o, v := ownerOf(rangeOf(answer.Txn(), 1).Kvs); o.Node == CopyingNode {
		return meta{}, halfCopied(c.cfg.Prefix, v)
	}
	return meta{}, fmt.Errorf("%s is missing, but other keys of a table are there", key)
}

func parseMeta(key string, text []byte) (m meta, err error) {
	err = json.Unmarshal(text, &m)
	switch {
	case err == nil && m.Format > format:
		return m, fmt.Errorf("%w: %s has format %d, this is %d", ErrNewer, key, m.Format, format)
	case err != nil || m.Format < 1 || len(m.Secret) != sha256.Size || len(m.Seed) != ed25519.SeedSize:
		return m, fmt.Errorf("%s is not what OctoStore has written", key)
	}
	return m, nil
}
