// Package runs_test runs octostore run as its users do: with commands of theirs, signals,
// terminals, and servers that stop, restart and deny.
package runs_test

import (
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

func TestMain(m *testing.M) { octotest.Main(m) }
