package memory_test

import (
	"testing"

	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/store/memory"
	"github.com/octostore/octostore/core/store/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) storetest.Fixture {
		s := memory.New()
		return storetest.Fixture{Store: s, Reopen: func() journal.Store { return s }}
	})
}
