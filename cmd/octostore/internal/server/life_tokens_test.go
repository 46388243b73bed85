package server

import (
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/config"
	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/core/auth"
)

// A token is taken out of the file after a term has read it, and before the term serves: it is no good
// in that term.
func TestLifeReadsTokensThatChangeWhileATermIsOpened(t *testing.T) {
	file, alice, bob := filepath.Join(t.TempDir(), "tokens"), auth.NewSecret(), auth.NewSecret()
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("alice:" + alice + "\nbob:" + bob + "\n")
	var a atomic.Pointer[server]
	started, changed := make(chan struct{}), false
	in := newCommon()
	in.commit = func() { // of the record of the start, when the tokens have been read
		<-started
		if !changed {
			changed = true
			write("alice:" + alice + "\n")
			a.Load().reloadTokens()
		}
	}
	s, _ := startNode(t, in, "a", func(c *config.Config) { c.TokensFile, c.WatchFiles = config.File(file), 0 })
	a.Store(s)
	close(started)
	serves(t, s)

	octotest.Expect(t, s.as(alice, "GET", "/v1/locks"), 200, "")
	octotest.Expect(t, s.as(bob, "GET", "/v1/locks"), 401, "is not known")
}
