package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/store/memory"
	"github.com/octostore/octostore/core/table"
	"github.com/octostore/octostore/transport"
	"github.com/octostore/octostore/transport/client"
)

// What is done under a lock gets the context of the lease: it ends before the lock can be
// another's.
func Example() {
	c, stop := startServer()
	defer stop()

	lease, err := c.Acquire(context.Background(), "deploy/prod", client.AcquireOptions{
		Wait: 10 * time.Minute, Holder: "ci-1", Reason: "release 1.4",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer lease.Release(context.Background())

	if err := deploy(lease.Context()); err != nil {
		fmt.Println(err)
	}
	// Output:
	// deployed
}

func deploy(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	fmt.Println("deployed")
	return nil
}

// A program that does not want to wait looks at the error.
func ExampleClient_Acquire() {
	c, stop := startServer()
	defer stop()
	ctx := context.Background()

	first, err := c.Acquire(ctx, "reports/daily", client.AcquireOptions{Holder: "web-1"})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = c.Acquire(ctx, "reports/daily", client.AcquireOptions{Holder: "web-2"})
	switch {
	case errors.Is(err, client.ErrHeld):
		fmt.Println("skipped:", err)
	case errors.Is(err, client.ErrPolicyDenied), errors.Is(err, client.ErrForbidden):
		fmt.Println("not allowed:", err)
	}
	fmt.Println(first.Release(ctx))
	// Output:
	// skipped: the lock is held by "web-1" (account "local") (409 held)
	// <nil>
}

// A lease ends if its holder stands still for too long, and then another client gets the lock. A
// resource that refuses tokens lower than the highest it has seen is safe from the first one, too.
func ExampleLease_Token() {
	c, stop := startServer()
	defer stop()
	ctx := context.Background()

	var highest uint64
	write := func(token uint64, text string) {
		if token < highest {
			fmt.Println("refused:", text)
			return
		}
		highest = token
		fmt.Println("written:", text)
	}

	var tokens []uint64
	for range 2 {
		lease, err := c.Acquire(ctx, "ledger", client.AcquireOptions{})
		if err != nil {
			fmt.Println(err)
			return
		}
		tokens = append(tokens, lease.Token())
		if err := lease.Release(ctx); err != nil {
			fmt.Println(err)
		}
	}
	write(tokens[1], "the new holder's")
	write(tokens[0], "the old holder's")
	// Output:
	// written: the new holder's
	// refused: the old holder's
}

// The cause of the end of a lease's context says what happened.
func ExampleLease_Context() {
	c, stop := startServer()
	defer stop()
	ctx := context.Background()

	lease, err := c.Acquire(ctx, "a", client.AcquireOptions{TTL: 3 * time.Second})
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := c.Break(ctx, client.BreakRequest{Name: "a", Reason: "it hangs"}); err != nil {
		fmt.Println(err)
		return
	}
	<-lease.Context().Done()
	cause := context.Cause(lease.Context())
	if lost, is := errors.AsType[*client.LostError](cause); is {
		fmt.Println(lost.Name, "is lost:", errors.Is(cause, client.ErrNotHeld))
	}
	// Output:
	// a is lost: true
}

// Of all candidates one leads. The context it gets ends before another can be elected, and it
// resigns by returning.
func ExampleCampaign() {
	c, stop := startServer()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	election := c.NewCampaign("scheduler/leader", client.AcquireOptions{Holder: "node-1", TTL: 15 * time.Second})
	err := election.Lead(ctx, func(ctx context.Context, l *client.Lease) error {
		leader, err := election.Leader(ctx)
		if err != nil {
			return err
		}
		fmt.Println(leader.Holder, "leads:", leader.FencingToken == l.Token())
		return nil
	})
	fmt.Println("resigned:", err)
	// Output:
	// node-1 leads: true
	// resigned: <nil>
}

// Observers learn who leads, and of every change.
func ExampleCampaign_Observe() {
	c, stop := startServer()
	defer stop()
	ctx := context.Background()

	election := c.NewCampaign("scheduler/leader", client.AcquireOptions{Holder: "node-1"})
	lease, err := election.Win(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	for leader, err := range election.Observe(ctx) {
		switch {
		case err != nil:
			fmt.Println(err)
			return
		case leader.FencingToken == 0:
			fmt.Println("nobody leads")
			return
		}
		fmt.Println(leader.Holder, "leads")
		if err := lease.Release(ctx); err != nil { // resign
			fmt.Println(err)
		}
	}
	// Output:
	// node-1 leads
	// nobody leads
}

// startServer starts a server in this process that keeps its locks in memory, and returns a client
// of it.
func startServer() (c *client.Client, stop func()) {
	handler, closed, err := newHandler(memory.New())
	if err != nil {
		panic(err)
	}
	server := httptest.NewServer(handler)
	c, err = client.New(client.Config{URL: server.URL})
	if err != nil {
		panic(err)
	}
	return c, func() {
		server.Close()
		closed()
	}
}

// newHandler returns a server that keeps its locks in a store.
func newHandler(store *memory.Store) (handler http.Handler, closed func(), err error) {
	ctx := context.Background()
	log := journal.New(store)
	locks, err := table.Open(ctx, log, table.Config{Published: log.Publish})
	if err != nil {
		return nil, nil, err
	}
	tokens, err := auth.Open(ctx, auth.Config{Store: store, Recorder: locks})
	if err != nil {
		return nil, nil, err
	}
	api := transport.New(transport.Config{Service: core.New(locks, core.Config{}), Journal: log, Tokens: tokens})
	return api, func() {
		_ = api.Close()
		_ = tokens.Close()
		_ = locks.Close()
		_ = log.Close()
	}, nil
}
