// Package clusters_test runs three nodes of OctoStore on a real etcd, takes from them what they
// need, and looks whether they keep their promises.
package clusters_test

import (
	"flag"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

// Besides these, each nemesis has a flag.
var (
	tortureSeed = flag.Uint64("torture.seed", 1, "seed of the first round")
	etcdNodes   = flag.Int("cluster.etcds", 0, "members of etcd, if the nemesis leaves that open (0: one)")
	etcdLease   = flag.Duration("cluster.lease", 0, "lease of a node in etcd (0: that of production with a flag of a nemesis, else a short one)")
	heldLocks   = flag.Int("cluster.held", 0, "locks that are held besides (0: 10,000 with a flag of a nemesis, else a few)")
)

// lease returns the setting OCTOSTORE_ETCD_LEASE of a test.
func lease() time.Duration {
	switch {
	case *etcdLease > 0:
		return *etcdLease
	case torture():
		return 10 * time.Second
	}
	return 2 * time.Second
}

func TestMain(m *testing.M) { octotest.Main(m) }
