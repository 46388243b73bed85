package table_test

import (
	"context"
	"fmt"
	"time"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/memory"
	"github.com/octostore/octostore/core/table"
)

// Two processes want one lock: the second waits until the first releases it. A table on
// another store, such as one in a file, is used in the same way.
func Example() {
	ctx := context.Background()
	locks, err := table.Open(ctx, memory.New(), table.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer locks.Close()

	by := lock.Origin{Actor: lock.Actor{Account: "ci"}}
	request := lock.Acquisition{Origin: by, Name: "deploy/prod", Holder: "ci-1", TTL: time.Minute}
	first, err := locks.Acquire(ctx, request)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(first.Lease.Holder, "holds", first.Lease.Name)

	second := make(chan table.Grant)
	go func() {
		request := request
		request.Holder, request.Wait = "ci-2", 10*time.Second
		g, err := locks.Acquire(ctx, request)
		if err != nil {
			fmt.Println(err)
		}
		second <- g
	}()
	for locks.Get("deploy/prod").Waiters == 0 {
		time.Sleep(time.Millisecond)
	}

	if _, err := locks.Release(ctx, lock.ReleaseRequest{Origin: by, Name: "deploy/prod", LeaseID: first.LeaseID}); err != nil {
		fmt.Println(err)
		return
	}
	g := <-second
	fmt.Println(g.Lease.Holder, "holds", g.Lease.Name)
	fmt.Println("a higher fencing token:", g.Lease.Token > first.Lease.Token)
	// Output:
	// ci-1 holds deploy/prod
	// ci-2 holds deploy/prod
	// a higher fencing token: true
}
