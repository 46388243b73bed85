// Package sleep waits for a while, or less if a context ends first.
package sleep

import (
	"context"
	"time"
)

// For returns nil after d, or ctx's error as soon as ctx ends. It returns at once if d is
// not positive.
func For(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
