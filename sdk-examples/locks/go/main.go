// Command go holds a lock while it works: it appends the fencing token to a file, ten times a second.
//
//	OCTOSTORE_URL=http://127.0.0.1:3000 go run . NAME FILE SECONDS
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/octostore/octostore/transport/client"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "lock:", err)
		os.Exit(status(err))
	}
}

func run(ctx context.Context, args []string) (err error) {
	if len(args) != 3 {
		return client.ErrInvalid
	}
	name, file := args[0], args[1]
	c, err := client.New(client.Config{URL: os.Getenv("OCTOSTORE_URL"), Token: strings.TrimSpace(os.Getenv("OCTOSTORE_TOKEN"))})
	if err != nil {
		return err
	}
	lease, err := c.Acquire(ctx, name, client.AcquireOptions{
		TTL: seconds("LOCK_TTL", "60"), Wait: seconds("LOCK_WAIT", "600"), Holder: fmt.Sprint("go:", os.Getpid()),
	})
	if err != nil {
		return err
	}
	defer func() {
		released := lease.Release(context.Background()) // not with ctx: after Ctrl-C, too
		err = cmp.Or(err, released)
	}()
	fmt.Printf("%s is locked, with fencing token %d\n", name, lease.Token())

	// The context of the lease ends before another client can have the lock.
	working, done := context.WithTimeout(lease.Context(), seconds("", args[2]))
	defer done()
	defer context.AfterFunc(ctx, done)()
	return work(working, file, lease.Token())
}

func work(ctx context.Context, file string, token uint64) error {
	out, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	for tick := time.NewTicker(100 * time.Millisecond); ; {
		select {
		case <-tick.C:
			if _, err := fmt.Fprintln(out, token); err != nil {
				return err
			}
		case <-ctx.Done():
			cause := context.Cause(ctx)
			if _, lost := errors.AsType[*client.LostError](cause); !lost && errors.Is(cause, context.DeadlineExceeded) {
				return nil // the time is over
			}
			return cause
		}
	}
}

func seconds(variable, or string) time.Duration {
	n, _ := strconv.Atoi(cmp.Or(os.Getenv(variable), or)) // nonsense: 0
	return time.Duration(n) * time.Second
}

// status is the exit status for an error, the same as those of octostore.
func status(err error) int {
	for _, e := range []struct {
		is     error
		status int
	}{
		{client.ErrHeld, 75}, {client.ErrPolicyDenied, 77}, {client.ErrForbidden, 77}, {client.ErrUnauthenticated, 77},
		{client.ErrNotHeld, 79}, {client.ErrInvalid, 64}, {context.Canceled, 143},
	} {
		if errors.Is(err, e.is) {
			return e.status
		}
	}
	if _, lost := errors.AsType[*client.LostError](err); lost {
		return 79
	}
	return 69
}
