package etcdtest_test

import (
	"context"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/octostore/octostore/core/store/etcd/etcdtest"
)

func connect(t *testing.T, endpoints ...string) *clientv3.Client {
	t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: endpoints, DialTimeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func put(t *testing.T, c *clientv3.Client, value string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	_, err := c.Put(ctx, "key", value)
	return err
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}

func TestEtcdIsKilledPausedAndStartedAgain(t *testing.T) {
	e := etcdtest.Start(t, 1)
	c := connect(t, e.Endpoints()...)
	if err := put(t, c, "1"); err != nil {
		t.Fatal(err)
	}
	e.Stop(0)
	if err := put(t, c, "2"); err == nil {
		t.Error("a paused etcd answers")
	}
	e.Cont(0)
	eventually(t, "no answer after the pause", func() bool { return put(t, c, "3") == nil })
	e.Kill(0)
	if err := put(t, c, "4"); err == nil {
		t.Error("a killed etcd answers")
	}
	e.Restart(0)
	eventually(t, "no answer after the start", func() bool { return put(t, c, "5") == nil })
}

func TestEtcdProxyDisturbsTheWay(t *testing.T) {
	p := etcdtest.NewProxy(t, etcdtest.Shared(t).Endpoints()[0])
	c := connect(t, p.Endpoint())
	if err := put(t, c, "before"); err != nil {
		t.Fatal(err)
	}
	p.Lose()
	if err := put(t, c, "lost"); err == nil {
		t.Error("an answer came through")
	}
	p.Cut()
	if err := put(t, c, "cut"); err == nil {
		t.Error("a connection was open")
	}
	p.Mend()
	var got string
	eventually(t, "no way after the proxy was mended", func() bool {
		r, err := c.Get(t.Context(), "key")
		if err == nil {
			got = string(r.Kvs[0].Value)
		}
		return err == nil
	})
	if got != "lost" {
		t.Errorf("the key is %q, want the value whose answer was lost", got)
	}
	p.Delay(100 * time.Millisecond)
	began := time.Now()
	if err := put(t, c, "late"); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < 200*time.Millisecond {
		t.Errorf("with a delay of 100 ms each way a write took %s", took)
	}
}
