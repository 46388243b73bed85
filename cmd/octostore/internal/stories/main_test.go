// Package stories_test tells what goes wrong in lock servers with long polls, and shows
// that it does not go wrong here. Its tests know a server only as clients do: as a
// process with an address, a log and metrics.
package stories_test

import (
	"flag"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

// Each flag makes a test longer than usual.
var (
	tortureMalformed = flag.Int("torture.malformed", 0, "how many malformed requests are sent (0: as many as is usual)")
	tortureAbandoned = flag.Int("torture.abandoned", 0, "how many waits are abandoned (0: as many as is usual)")
	tortureSeed      = flag.Uint64("torture.seed", 0, "seed of malformed requests and abandoned waits (0: the usual one)")
)

func TestMain(m *testing.M) { octotest.Main(m) }
