package offline

import (
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/core/store/etcd"
	"github.com/octostore/octostore/core/store/etcd/etcdtest"
	"github.com/octostore/octostore/transport/client"
)

func clusterConfig(t *testing.T) etcd.Config {
	t.Helper()
	return etcd.Config{Endpoints: etcdtest.Shared(t).Endpoints(), Prefix: "/" + t.Name() + "/", Lease: 10 * time.Second, Node: "n1", URL: "http://n1:3000"}
}

func openOffline(t *testing.T, cfg etcd.Config) *Tokens {
	t.Helper()
	store, err := Etcd(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	o, err := Open(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestOfflineTokensOfANewCluster(t *testing.T) {
	cfg := clusterConfig(t)
	o := openOffline(t, cfg)
	made, err := o.CreateToken(t.Context(), client.TokenSpec{Account: "admin", Scopes: "admin"})
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	o = openOffline(t, cfg) // without waiting for the end of a lease
	defer o.Close()
	if took := time.Since(began); took > cfg.Lease/2 {
		t.Errorf("the term was free after %s", took)
	}
	all, err := o.Tokens(t.Context())
	if err != nil || len(all) != 1 || all[0].ID != made.ID {
		t.Errorf("got %v, %v; want the token", all, err)
	}
}

func TestOfflineTokensNameTheNodeThatServes(t *testing.T) {
	cfg := clusterConfig(t)
	cluster, err := etcd.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	store, err := cluster.Take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if _, err := Etcd(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), `node "n1" serves this table; to ask it, set OCTOSTORE_URL=http://n1:3000 and`) {
		t.Errorf("got %v, want the node to ask", err)
	}
	if !store.Owns() {
		t.Error("the node has lost its term")
	}
}
