package audittool

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/octostore/octostore/transport/client"
)

// An export goes on only where the one before ended: with the same server, and after
// the same record. If it does not, nothing is written.
func TestResumeRefusesAnotherHistory(t *testing.T) {
	for _, tt := range []struct {
		name             string
		filter           string
		key, prev, wrong string
	}{
		{name: "the same", key: "K", prev: "H"},
		{name: "another server", key: "L", prev: "H", wrong: "its key is L, it was K"},
		{name: "another record", key: "K", prev: "I", wrong: "the next record has another hash of it"},
		{name: "what was filtered cannot tell", filter: "granted", key: "K", prev: "I"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				key, seq, prev := "K", 7, ""
				if r.URL.Query().Get("after") == "7" {
					key, seq, prev = tt.key, 9, tt.prev
				}
				fmt.Fprintf(w, "{\"export\":1,\"key\":%q}\n{\"seq\":%d,\"kind\":\"granted\",\"prev\":%q}\n{\"end\":true,\"records\":1,\"last\":\"%d\",\"hash\":\"H\"}\n", key, seq, prev, seq)
			}))
			defer srv.Close()
			c, err := client.New(client.Config{URL: srv.URL})
			if err != nil {
				t.Fatal(err)
			}
			output := filepath.Join(t.TempDir(), "a.ndjson")
			resume := func() error {
				e := exporter{client: c, query: client.AuditQuery{Kind: tt.filter}}
				return e.resume(t.Context(), output, output+".state")
			}
			if err := resume(); err != nil {
				t.Fatal(err)
			}
			before, err := os.ReadFile(output)
			if err != nil {
				t.Fatal(err)
			}
			err = resume()
			after, readErr := os.ReadFile(output)
			if readErr != nil {
				t.Fatal(readErr)
			}
			switch {
			case tt.wrong == "" && (err != nil || len(after) == len(before)):
				t.Errorf("it does not go on: %v", err)
			case tt.wrong != "" && (err == nil || !strings.Contains(err.Error(), tt.wrong) || !strings.Contains(err.Error(), "record 7")):
				t.Errorf("it goes on: %v, want %q", err, tt.wrong)
			case tt.wrong != "" && !bytes.Equal(before, after):
				t.Error("something was written")
			}
		})
	}
}

// An export that begins before the one before it has ended, as from cron, would write
// into the same file.
func TestResumeIsOneExportAtATime(t *testing.T) {
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
