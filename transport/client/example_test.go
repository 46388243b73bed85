package client_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/store/memory"
	"github.com/octostore/octostore/core/table"
	"github.com/octostore/octostore/transport"
	"github.com/octostore/octostore/transport/client"
)

// Any HTTP client acquires a lock; this package reads its state.
func Example() {
	server, err := startServer()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()

	resp, err := http.Post(server.URL+"/v1/locks/deploy/prod/acquire?holder=ci-1", "", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()
	fmt.Println(resp.Status)

	c, err := client.New(client.Config{URL: server.URL})
	if err != nil {
		fmt.Println(err)
		return
	}
	l, err := c.Lock(context.Background(), "deploy/prod", client.QueuePage{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(l.Name, l.State, l.Lease.Holder)
	// Output:
	// 200 OK
	// deploy/prod held ci-1
}

// startServer starts a server in this process that keeps its locks in memory.
func startServer() (*httptest.Server, error) {
	ctx := context.Background()
	store := memory.New()
	log := journal.New(store)
	locks, err := table.Open(ctx, log, table.Config{Published: log.Publish})
	if err != nil {
		return nil, err
	}
	tokens, err := auth.Open(ctx, auth.Config{Store: store, Recorder: locks})
	if err != nil {
		return nil, err
	}
	api := transport.New(transport.Config{Service: core.New(locks, core.Config{}), Journal: log, Tokens: tokens})
	return httptest.NewServer(api), nil
}
