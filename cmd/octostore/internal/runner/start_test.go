package runner

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/exitcode"
	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/client"
)

// lateServer grants leases that are over when the caller gets them, as after a suspend of the
// machine at just that moment.
type lateServer struct{ *client.Client }

func (s lateServer) Acquire(ctx context.Context, name string, o client.AcquireOptions) (*client.Lease, error) {
	l, err := s.Client.Acquire(ctx, name, o)
	if err == nil {
		_ = l.Release(ctx)
	}
	return l, err
}

func TestRunDoesNotStartWithALeaseThatIsOver(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(api.Grant{Name: "a", LeaseID: strings.Repeat("x", 32), FencingToken: 1, TTLMS: 60_000, ExpiresInMS: 60_000})
	}))
	defer server.Close()
	c, err := client.New(client.Config{URL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	touch, ran := filepath.Join(t.TempDir(), "ran"), func(file string) bool { _, err := os.Stat(file); return err == nil }
	var out bytes.Buffer
	r := &Run{
		Server: c, Name: "a", Command: []string{"touch", touch}, TTL: DefaultTTL, KillAfter: DefaultKillAfter,
		Conflict: exitcode.Held, Stderr: &out, Explain: error.Error,
	}
	if _, err := r.Do(t.Context()); err != nil || !ran(touch) {
		t.Fatalf("with a lease: %v, %s", err, out.String())
	}
	touch += "2"
	r.Server, r.Command = lateServer{c}, []string{"touch", touch}
	_, err = r.Do(t.Context())
	if exitcode.Of(err) != exitcode.Lost || !strings.Contains(err.Error(), "a: the command was not started") || ran(touch) {
		t.Errorf("it ended with %v; the command ran: %t", err, ran(touch))
	}
}
