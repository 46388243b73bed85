package clusters_test

import (
	"context"
	"net/http"
	"syscall"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/cmd/octostore/internal/octotest/httplocktest"
	"github.com/octostore/octostore/core/store/etcd/etcdtest"
	"github.com/octostore/octostore/transport/api"
)

// A node that forwards is killed while it has grants that it has not delivered: it is paused first, so
// that they arrive and stay there. Each of them is undone at once, and the next waiter, at another node, has
// the lock long before the lease would have ended. What was delivered through the node stays.
func killForwarder(r *round) {
	serving := r.serving()
	n := r.another(serving)
	kept := r.grantThrough(n, r.fresh("delivered"))
	var all []undelivered
	for range undeliveredGrants {
		all = append(all, r.waitBehind(n, serving))
	}
	n.avoided.Store(true)
	r.signal(n, syscall.SIGSTOP)
	octotest.WaitWithin(r.t, recovery, "the node stands still", func() bool { return etcdtest.StandsStill(n.server.Cmd.Process.Pid) })
	for _, u := range all {
		r.must(serving, "POST", httplocktest.Path(u.holder.Name, "/release"), u.holder.LeaseID)
		octotest.WaitWithin(r.t, recovery, "the lock goes to the paused node", func() bool { return r.lookAt(serving, u.holder.Name).holder() == ghost })
	}
	n.server.Kill()
	for _, u := range all {
		u.mustGoOn(r, serving)
	}
	r.must(serving, "POST", httplocktest.Path(kept.Name, "/renew"), kept.LeaseID)
	r.must(serving, "POST", httplocktest.Path(kept.Name, "/release"), kept.LeaseID)
	r.restart(n)
	r.answered(5)
}

const (
	undeliveredGrants = 8
	ghost             = "ghost" // the holder that never gets its grant
)

// another returns a node that forwards.
func (r *round) another(than *node) *node {
	for {
		if n := r.nodes[r.rng.IntN(nodes)]; n != than {
			return n
		}
	}
}

// fresh returns the name of a lock that nobody has used.
func (r *round) fresh(what string) string {
	return r.probe.prefix + "forwarder/" + what + "/" + time.Now().Format("150405.000000000")
}

// grantThrough acquires a lock through a node.
func (r *round) grantThrough(n *node, name string) api.Grant {
	r.t.Helper()
	return read[api.Grant](r.probe.service, r.must(n, "POST", httplocktest.Path(name, "/acquire?ttl=1h"), ""))
}

// must sends a request that has to succeed to a node.
func (r *round) must(n *node, method, path, lease string) answer {
	r.t.Helper()
	a, err := r.probe.patiently(context.Background(), n, method, path, api.HeaderLease, lease)
	if err != nil || a.Status != http.StatusOK {
		r.t.Errorf("%s %s: %d %s, %v", method, path, a.Status, a.Body, err)
	}
	return a
}

// view is the state of a lock.
type view struct{ api.Lock }

func (v view) holder() string {
	if v.Lease == nil {
		return ""
	}
	return v.Lease.Holder
}

// lookAt asks a node for the state of a lock.
func (r *round) lookAt(n *node, name string) view {
	return view{read[api.Lock](r.probe.service, r.must(n, "GET", httplocktest.Path(name, ""), ""))}
}

// undelivered is a lock whose first waiter is behind a node that is about to be killed.
type undelivered struct {
	holder      api.Grant
	lost, stays chan answered // of the waiters
}

type answered struct {
	answer
	err error
}

// waitBehind has a lock with a holder and two waiters, of whom the first asks through n.
func (r *round) waitBehind(n, serving *node) undelivered {
	r.t.Helper()
	u := undelivered{lost: make(chan answered, 1), stays: make(chan answered, 1)}
	u.holder = r.grantThrough(serving, r.fresh("undelivered"))
	wait := func(through *node, query string, to chan<- answered, place int) {
		go func() {
			a, err := r.probe.once(context.Background(), through, "POST", httplocktest.Path(u.holder.Name, "/acquire?wait=10m&ttl=1h"+query))
			to <- answered{a, err}
		}()
		octotest.WaitWithin(r.t, recovery, "it waits", func() bool { return r.lookAt(serving, u.holder.Name).WaitersTotal == place })
	}
	wait(n, "&holder="+ghost, u.lost, 1)
	wait(serving, "", u.stays, 2)
	return u
}

// mustGoOn waits until the second waiter has the lock: the first was not told of its grant.
func (u undelivered) mustGoOn(r *round, serving *node) {
	r.t.Helper()
	if a := <-u.lost; a.err == nil {
		r.t.Errorf("a client of the node that was killed is answered %d %s", a.Status, a.Body)
	}
	select {
	case a := <-u.stays:
		if a.err != nil || a.Status != http.StatusOK {
			r.t.Errorf("the next waiter is answered %d %s, %v", a.Status, a.Body, a.err)
			return
		}
		g := read[api.Grant](r.probe.service, a.answer)
		if g.FencingToken <= u.holder.FencingToken {
			r.t.Errorf("token %d follows %d", g.FencingToken, u.holder.FencingToken)
		}
		r.must(serving, "POST", httplocktest.Path(g.Name, "/release"), g.LeaseID)
	case <-time.After(octotest.Patient):
		r.t.Errorf("the grant of a client that never got it was not undone: %s is held by %q", u.holder.Name, r.lookAt(serving, u.holder.Name).holder())
	}
}
