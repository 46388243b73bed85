package etcd

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/octostore/octostore/core/store/etcd/etcdtest"
)

func TestExamineChangesNothing(t *testing.T) {
	t.Parallel()
	e := etcdtest.Start(t, 1)
	cfg := Config{Endpoints: append(e.Endpoints(), "http://127.0.0.1:1")}
	client, err := clientv3.New(clientv3.Config{Endpoints: e.Endpoints()})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	put, err := client.Put(t.Context(), "other", "1")
	if err != nil {
		t.Fatal(err)
	}
	x, err := Examine(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if x.Revision != put.Header.Revision || x.Initialised || x.Serving != (Owner{}) || x.Compacted != 0 || len(x.Alarms) != 0 {
		t.Errorf("an empty etcd at revision %d: %+v", put.Header.Revision, x)
	}
	if math.Abs(x.Rate-1) > 0.2 {
		t.Errorf("the clock of this machine runs %.3f times as fast as itself", x.Rate)
	}
	if m := x.Endpoints[0]; m.Err != nil || m.Version == "" || m.Old || !m.Leader || m.Quota == 0 || m.Size == 0 || m.Latency <= 0 {
		t.Errorf("the member that answers is %+v", m)
	}
	if m := x.Endpoints[1]; m.Err == nil {
		t.Errorf("the member that does not answer is %+v", m)
	}
}

func TestExamineFindsATable(t *testing.T) {
	t.Parallel()
	e := etcdtest.Start(t, 1)
	c, err := Open(t.Context(), Config{Endpoints: e.Endpoints(), Node: "a", URL: "http://a", Lease: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Join(t.Context()); err != nil {
		t.Fatal(err)
	}
	s, err := c.Take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := c.client.Compact(t.Context(), s.Term()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), eventually)
	defer cancel()
	x, err := Examine(ctx, Config{Endpoints: e.Endpoints()})
	if err != nil || !x.Initialised || x.Serving.Node != "a" || x.Serving.Term != s.Term() || x.Compacted != s.Term() {
		t.Errorf("%+v, %v", x, err)
	}
	if len(x.Nodes) != 1 || x.Nodes[0].Name != "a" || x.Nodes[0].URL != "http://a" {
		t.Errorf("the nodes are %+v", x.Nodes)
	}
}

func TestExamineOfAnEtcdThatDoesNotAnswer(t *testing.T) {
	x, err := Examine(t.Context(), Config{Endpoints: []string{"http://127.0.0.1:1"}})
	if !errors.Is(err, ErrUnreachable) || len(x.Endpoints) != 1 || x.Endpoints[0].Err == nil {
		t.Errorf("%+v, %v", x, err)
	}
}
