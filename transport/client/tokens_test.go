package client_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/client"
)

// TestTokensAreReadFromAllPages also asks for the first page without parameters, which a
// server without pages refuses.
func TestTokensAreReadFromAllPages(t *testing.T) {
	pages := map[string]api.TokenList{
		"":        {Tokens: []api.Token{{ID: "a"}, {ID: "b"}}, Next: "1.b"},
		"1.b":     {Tokens: []api.Token{{ID: "c"}}, Next: "2.c"},
		"2.c":     {Tokens: []api.Token{{ID: "d"}}},
		"nowhere": {Next: "nowhere"},
	}
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.RawQuery)
		_ = json.NewEncoder(w).Encode(pages[r.URL.Query().Get("after")])
	}))
	defer server.Close()
	c, err := client.New(client.Config{URL: server.URL, HTTP: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}})
	if err != nil {
		t.Fatal(err)
	}
	all, err := c.Tokens(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, token := range all {
		ids = append(ids, token.ID)
	}
	if got := strings.Join(ids, " "); got != "a b c d" {
		t.Errorf("read are %q", got)
	}
	if got := strings.Join(asked, " "); got != " after=1.b after=2.c" {
		t.Errorf("asked for %q", got)
	}
	pages[""] = api.TokenList{Next: "nowhere"} // a server that never ends
	if all, err := c.Tokens(t.Context()); err == nil {
		t.Errorf("an endless list is %v", all)
	}
}
