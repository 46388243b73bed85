package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/octostore/octostore/transport/client"
)

// An export that begins before the one before it has ended, as from cron, would write
// into the same file.
func TestOneExportAtATimeGoesOnFromAState(t *testing.T) {
	state := filepath.Join(t.TempDir(), "s.json")
	first, err := lockState(state)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lockState(state); err == nil || !strings.Contains(err.Error(), "is under way") {
		t.Errorf("the second one: %v", err)
	}
	first.Close()
	again, err := lockState(state)
	if err != nil {
		t.Fatalf("after the first has ended: %v", err)
	}
	again.Close()
}

// A connection that breaks is made again also when nothing has matched the filter yet.
func TestTailOutlivesAConnectionThatToldNothing(t *testing.T) {
	var asked atomic.Int32
	ctx, cancel := context.WithCancel(t.Context())
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{"export":1,"verifiable":false,"after":"0"}`+"\n")
		if asked.Add(1) == 1 {
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}
		cancel()
	}))
	defer srv.Close()
	c, err := client.New(client.Config{URL: srv.URL})
	if err != nil {
		t.Fatal(err)
	}
	var errors strings.Builder
	f := tail{client: c, query: client.AuditQuery{Follow: true, Since: "1h"}, out: io.Discard, errors: &errors, show: jsonLine}
	if err := f.run(ctx); err != nil || asked.Load() != 2 {
		t.Errorf("%v after %d connections, want to be ended in the second", err, asked.Load())
	}
	if !strings.Contains(errors.String(), "the connection is lost; trying again") {
		t.Errorf("it said %q", errors.String())
	}
}
