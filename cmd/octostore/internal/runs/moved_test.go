//go:build unix

package runs_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

// between is a node that forwards to a server, and answers moved while no server has the lock table.
type between struct {
	away atomic.Bool
	told atomic.Int64 // how many requests
}

func (b *between) listen(t *testing.T, p *octotest.Server) string {
	t.Helper()
	forward := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: p.Addr})
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !b.away.Load() {
			forward.ServeHTTP(w, r)
			return
		}
		b.told.Add(1)
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte(`{"code":"moved","detail":"ask again"}`)) // its loss does no harm
	}))
	t.Cleanup(front.Close)
	return front.URL
}

// passes has the lock table be away until a few requests have been told so.
func (b *between) passes(t *testing.T) {
	t.Helper()
	before := b.told.Load()
	octotest.WaitUntil(t, "requests meet the move", func() bool { return b.told.Load() > before })
	b.away.Store(false)
}

// The lock table moves before the command has its lease, and again when it ends.
func TestRunComesThroughAMoveOfTheLockTable(t *testing.T) {
	t.Parallel()
	p, dir := octotest.Start(t, t.TempDir()), t.TempDir()
	var b between
	at := b.listen(t, p)
	b.away.Store(true)
	r := prepare(t, at, nil, shell("a", "cd "+dir+"; "+untilGo+"exit 3")...).begin(t)
	b.passes(t)
	runs(t, dir, "runs")
	b.away.Store(true)
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	b.passes(t)
	r.ends(t, 3)
	if got := r.errs.String(); strings.Contains(got, "could not be released") {
		t.Errorf("it says %s", got)
	}
	octotest.Expect(t, octotest.Call("GET", p.Addr, "/v1/locks/a"), 200, `"free"`)
}
