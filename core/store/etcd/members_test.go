package etcd

import (
	"testing"
	"time"

	"github.com/octostore/octostore/core/store/etcd/etcdtest"
)

// A member of etcd that is paused keeps its connections and says nothing; a leader that is
// killed is replaced by an election. Neither ends a term.
func TestTermOutlivesAMemberOfEtcd(t *testing.T) {
	t.Parallel()
	e := etcdtest.Start(t, 3)
	c, err := Open(t.Context(), Config{Endpoints: e.Endpoints(), Node: "a", URL: "http://a"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, err := c.Take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	goesOn := func(what string) {
		t.Helper()
		began, before := time.Now(), s.lease.Until()
		for s.lease.Until() <= before+time.Second { // confirmed since
			if !s.Owns() {
				t.Fatalf("%s: the term is lost after %s: %v", what, time.Since(began), s.Cause())
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	goesOn("all members")
	e.Stop(0)
	goesOn("a paused member")
	e.Cont(0)
	for i := range e.Endpoints() {
		m, err := c.client.Status(t.Context(), e.Endpoints()[i])
		if err == nil && m.Leader == m.Header.MemberId {
			e.Kill(i)
			break
		}
	}
	goesOn("a killed leader")
	if _, err := s.Load(t.Context()); err != nil {
		t.Error(err)
	}
}
