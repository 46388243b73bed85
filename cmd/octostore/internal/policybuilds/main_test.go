// Package policybuilds_test builds policies in every language and runs their fixtures: the
// bundled ones, the examples, what `octostore policy new` creates, and modules that were
// built for the first version of the interface.
package policybuilds_test

import (
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

func TestMain(m *testing.M) { octotest.Main(m) }
