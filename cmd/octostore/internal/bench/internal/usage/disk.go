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

	overwriteBytes = 8 << 10
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
	return timed(ctx, f, func(int) error {
		_, err := f.Write(page)
		return err
	})
}

// OverwriteTimes measures how long it takes to write 8 KiB over what a file in dir has, and
// sync it. It is the disk's part of a durable answer of a server that, like ours, keeps its
// log at its size.
func OverwriteTimes(ctx context.Context, dir string) ([]time.Duration, error) {
	f, err := os.CreateTemp(dir, "octostore-bench-sync-")
	if err != nil {
		return nil, fmt.Errorf("disk: %w", err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if _, err := f.Write(make([]byte, syncCount*overwriteBytes)); err != nil {
		return nil, fmt.Errorf("disk: %w", err)
	}
	if err := f.Sync(); err != nil {
		return nil, fmt.Errorf("disk: %w", err)
	}
	pages := make([]byte, overwriteBytes)
	return timed(ctx, f, func(i int) error {
		_, err := f.WriteAt(pages, int64(i*overwriteBytes))
		return err
	})
}

// timed measures writes, each with its sync.
func timed(ctx context.Context, f *os.File, write func(i int) error) ([]time.Duration, error) {
	var took []time.Duration
	for i := range syncCount {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		start := time.Now()
		if err := write(i); err != nil {
			return nil, fmt.Errorf("disk: %w", err)
		}
		if err := syncData(f); err != nil {
			return nil, fmt.Errorf("disk: %w", err)
		}
		took = append(took, time.Since(start))
	}
	return took, nil
}
