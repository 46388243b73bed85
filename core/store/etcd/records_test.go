package etcd

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/store/etcd/etcdtest"
	"github.com/octostore/octostore/core/store/storetest"
)

// terms takes the term of a table again and again, without nodes and without leases.
type terms struct {
	t      testing.TB
	client *clientv3.Client
	prefix string
	kv     clientv3.KV // of the next term; nil: the client's
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
	h := hold{
		kv: k.kv, prefix: k.prefix, created: put.Header.Revision, value: value,
		secret: secret[:], key: ed25519.NewKeyFromSeed(secret[:]),
		deposed: func(error) {}, space: k.space, counts: new(counts), log: slog.New(slog.DiscardHandler),
	}
	if h.kv == nil {
		h.kv = k.client
	}
	r := newRecords(h)
	k.t.Cleanup(r.end)
	return r
}

func TestRecords(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Fixture {
		k := newTerms(t)
		return storetest.Fixture{
			Store:  k.take(),
			Reopen: func() journal.Store { return k.take() },
		}
	})
}
