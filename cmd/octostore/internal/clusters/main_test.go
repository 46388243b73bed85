// Package clusters_test runs three nodes of OctoStore on a real etcd, takes from them what they
// need, and looks whether they keep their promises.
package clusters_test

import (
	"flag"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

// Each flag makes a test longer than usual, or like production.
var (
	tortureRounds = flag.Int("torture.rounds", 0, "how often a test disturbs the cluster (0: as often as is usual)")
	tortureSeed   = flag.Uint64("torture.seed", 1, "seed of the first round")
	etcdNodes     = flag.Int("cluster.etcds", 0, "how many nodes etcd has (0: as many as the test needs)")
	etcdLease     = flag.Duration("cluster.lease", 0, "lease of a node in etcd (0: as short as is usual in tests)")
	heldLocks     = flag.Int("cluster.held", 0, "how many other locks are held meanwhile (0: as many as is usual in tests)")
)

// lease returns the setting OCTOSTORE_ETCD_LEASE of a test.
func lease() time.Duration {
	if *etcdLease > 0 {
		return *etcdLease
	}
	return 3 * time.Second
}

func TestMain(m *testing.M) { octotest.Main(m) }
