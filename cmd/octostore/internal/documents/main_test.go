// Package documents_test runs what the documents show, and checks that they name
// everything there is, and nothing else.
package documents_test

import (
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

func TestMain(m *testing.M) { octotest.Main(m) }
