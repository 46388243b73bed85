package etcd

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/store/etcd/etcdtest"
	"github.com/octostore/octostore/core/store/storetest"
)

// terms takes the term of a table again and again, without nodes and without leases.
type terms struct {
	t      testing.TB
	client *clientv3.Client
	prefix string
	wire   *wire // of the newest term
	space  *space
	count  int
}

var tables atomic.Int64

// newTerms returns the terms of a table of its own in the etcd that all tests share.
func newTerms(t testing.TB) *terms {
	t.Helper()
	return termsIn(t, etcdtest.Shared(t).Endpoints())
}

func termsIn(t testing.TB, endpoints []string) *terms {
	t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: endpoints})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &terms{t: t, client: c, prefix: fmt.Sprintf("/%s/%d/", t.Name(), tables.Add(1)), space: newSpace(c, slog.New(slog.DiscardHandler))}
}

// take begins the next term. The one before has ended with that.
func (k *terms) take() *records {
	k.t.Helper()
	k.count++
	own, value := keys{k.prefix}.own(), fmt.Sprintf("term %d", k.count)
	if _, err := k.client.Delete(context.Background(), own); err != nil {
		k.t.Fatal(err)
	}
	put, err := k.client.Put(context.Background(), own, value)
	if err != nil {
		k.t.Fatal(err)
	}
	secret := sha256.Sum256([]byte(k.prefix))
	k.wire = &wire{KV: k.client}
	h := hold{
		kv: k.wire, prefix: k.prefix, created: put.Header.Revision, value: value,
		secret: secret[:], key: ed25519.NewKeyFromSeed(secret[:]),
		deposed: func(error) {}, space: k.space, counts: new(counts), log: slog.New(slog.DiscardHandler),
	}
	r := newRecords(h)
	k.t.Cleanup(r.end)
	return r
}

func TestEtcdStore(t *testing.T) {
	e := etcdtest.StartWith(t, etcdtest.Config{Quota: 48 << 20})
	storetest.Run(t, func(t *testing.T) storetest.Fixture {
		k := termsIn(t, e.Endpoints())
		take := func() journal.Store { return k.take() }
		return storetest.Fixture{
			Store: k.take(), Reopen: take, Take: take, Fill: k.fill,
			Lose: func(applied bool, meanwhile func()) { k.wire.lose(applied, meanwhile) },
			Hold: func() func() { return k.wire.hold(func() {}) },
		}
	})
}

// fill writes until etcd has no space, or gives it back as a person would.
func (k *terms) fill(full bool) {
	k.t.Helper()
	ctx, c := context.Background(), k.client
	if full {
		junk := strings.Repeat("x", 1<<20)
		for i := 0; ; i++ {
			if _, err := c.Put(ctx, fmt.Sprintf("junk/%d", i), junk); err != nil {
				return
			}
		}
	}
	gone, err := c.Delete(ctx, "junk/", clientv3.WithPrefix())
	if err != nil {
		k.t.Fatal(err)
	}
	if _, err := c.Compact(ctx, gone.Header.Revision, clientv3.WithCompactPhysical()); err != nil {
		k.t.Fatal(err)
	}
	for _, endpoint := range c.Endpoints() {
		if _, err := c.Defragment(ctx, endpoint); err != nil {
			k.t.Fatal(err)
		}
	}
	if _, err := c.AlarmDisarm(ctx, &clientv3.AlarmMember{}); err != nil {
		k.t.Fatal(err)
	}
}

func oneToken(id string) auth.Token {
	scopes, err := auth.ParseScopes("admin")
	if err != nil {
		panic(err)
	}
	return auth.Token{ID: id, Account: "alice", Scopes: scopes, Hash: sha256.Sum256([]byte(id)), Created: time.Unix(1_800_000_000, 0).UTC()}
}
