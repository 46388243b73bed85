package usage

import (
	"context"
	"fmt"
	"os"
	"time"
)

const (
	syncCount = 100
	syncBytes = 4 << 10
)

// SyncTimes measures how long it takes to append a page to a file in dir and sync it. No
// durable answer can be faster.
func SyncTimes(ctx context.Context, dir string) ([]time.Duration, error) {
	f, err := os.CreateTemp(dir, "octostore-bench-sync-")
	if err != nil {
		return nil, fmt.Errorf("disk: %w", err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	page := make([]byte, syncBytes)
	var took []time.Duration
	for range syncCount {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		start := time.Now()
		if _, err := f.Write(page); err != nil {
			return nil, fmt.Errorf("disk: %w", err)
		}
		if err := syncData(f); err != nil {
			return nil, fmt.Errorf("disk: %w", err)
		}
		took = append(took, time.Since(start))
	}
	return took, nil
}
