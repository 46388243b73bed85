// Package examples_test runs the examples of sdk-examples/locks, in every language that is
// installed, against real servers: all go through the same scenarios.
package examples_test

import (
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

func TestMain(m *testing.M) { octotest.Main(m) }
