package server

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/config"
	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/core/store/etcd/etcdtest"
)

// freeAddress returns an address on which nothing listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// Two nodes share one table in etcd: any of them answers, and a stop hands over.
func TestNodesShareOneTableInEtcd(t *testing.T) {
	endpoints := strings.Join(etcdtest.Start(t, 1).Endpoints(), ",")
	join := func(name string) (s *server, stop func()) {
		at := freeAddress(t)
		loaded, err := config.Load(config.Sources{Environ: []string{
			"OCTOSTORE_ADDR=" + at, "OCTOSTORE_ADVERTISE_URL=http://" + at, "OCTOSTORE_WATCH_FILES=0",
			"OCTOSTORE_STORE=etcd", "OCTOSTORE_ETCD_ENDPOINTS=" + endpoints, "OCTOSTORE_NODE=" + name,
		}})
		if err != nil {
			t.Fatal(err)
		}
		s, err = start(t.Context(), nil, loaded.Config, slog.New(slog.DiscardHandler), stores{cluster: openEtcd})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- s.wait(ctx) }()
		return s, func() {
			cancel()
			if err := errors.Join(<-ended, s.stop()); err != nil {
				t.Errorf("node %s: %v", name, err)
			}
		}
	}
	a, stopA := join("a")
	serves(t, a)
	b, stopB := join("b")
	got := b.call("POST", "/v1/locks/x/acquire?ttl=60s")
	octotest.Expect(t, got, 200, `"lease_id"`)
	lease, token := octotest.Member(t, got.Body, "lease_id"), fencingToken(t, got)
	octotest.Expect(t, a.call("GET", "/v1/locks/x"), 200, `"held"`)
	octotest.Expect(t, b.call("GET", "/v1/cluster"), 200, `"takes"`)
	octotest.Expect(t, b.call("GET", "/v1/backup"), 404, `octostore backup with the settings of a node`)

	stopA()

	got = b.call("POST", "/v1/locks/x/renew?lease_id="+lease)
	octotest.Expect(t, got, 200, `"lease_id"`)
	if again := fencingToken(t, got); again != token {
		t.Errorf("the lease has token %d, was %d", again, token)
	}
	if next := fencingToken(t, b.call("POST", "/v1/locks/y/acquire")); next <= token {
		t.Errorf("token %d follows %d", next, token)
	}
	stopB()
}
