// Package recipes_test runs what users copy: with-lock.sh in the shells it is for, with
// servers that restart and behind the proxies that operators put in front of a server.
package recipes_test

import (
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

func TestMain(m *testing.M) { octotest.Main(m) }
