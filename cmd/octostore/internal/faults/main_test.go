// Package faults_test takes from a server what it needs, and looks whether it keeps its
// promises: its disk, its files, its time, its life.
package faults_test

import (
	"flag"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

// Each flag makes a test longer than usual.
var (
	tortureKills = flag.Int("torture.kills", 0, "how often the server is killed under load (0: as often as is usual)")
	_            = flag.Uint64("torture.seed", 0, "kills have no seed; every stage of .ci/torture is told one")
)

func TestMain(m *testing.M) { octotest.Main(m) }
