package client

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A probe that another program answers, with 200 or not, is no sign of health.
func TestHealthIsThatOfAnOctoStore(t *testing.T) {
	for body, healthy := range map[string]bool{
		`{"status":"ok"}`: true,
		`{"status":"ok","degraded":["storage_full"]}`: true,
		`{"status":"failing"}`:                        false,
		`<html>It works!</html>`:                      false,
		`{"status":200}`:                              false,
		``:                                            false,
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }))
		c, err := New(Config{URL: server.URL})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Health(t.Context()); (err == nil) != healthy {
			t.Errorf("%s: %v", body, err)
		}
		if err := c.Ready(t.Context(), true); (err == nil) != healthy {
			t.Errorf("%s: %v", body, err)
		}
		server.Close()
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, `{"status":"draining"}`)
	}))
	defer server.Close()
	c, err := New(Config{URL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Ready(t.Context(), false); err == nil || !strings.Contains(err.Error(), "draining") {
		t.Errorf("the error does not say why: %v", err)
	}
}
