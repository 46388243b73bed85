package auth

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/sleep"
)

// failures counts failed authentications since the last record of them. A flood of such
// requests must not fill the audit log, so they are counted and recorded together, and the
// memory they take is limited.
type failures struct {
	mu     sync.Mutex
	begun  time.Time
	counts map[string]int
	from   map[string]bool
	others bool // there were more addresses than mostAddresses
	wake   chan struct{}
}

// mostAddresses is how many addresses a record names.
const mostAddresses = 8

// CountFailure counts a failed authentication from an address (host:port). why is one of
// this package's errors. A record follows later.
func (ts *Tokens) CountFailure(addr string, why error) {
	f := &ts.failures
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.counts == nil {
		f.begun, f.counts, f.from, f.others = time.Now(), map[string]int{}, map[string]bool{}, false
		select {
		case f.wake <- struct{}{}:
		default: // nothing records failures any more
		}
	}
	f.counts[failureKind(why)]++
	if parsed, err := netip.ParseAddrPort(addr); err == nil {
		addr = parsed.Addr().String()
	}
	switch {
	case f.from[addr]:
	case len(f.from) < mostAddresses:
		f.from[addr] = true
	default:
		f.others = true
	}
}

func failureKind(why error) string {
	switch {
	case errors.Is(why, ErrNoToken):
		return "without a token"
	case errors.Is(why, ErrExpired):
		return "with one that has expired"
	case errors.Is(why, ErrRevoked):
		return "with one that was revoked"
	}
	return "with one that is not known"
}

// summary returns the counts in words and resets them; empty: there were no failures.
func (f *failures) summary() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.counts == nil {
		return ""
	}
	all := 0
	var kinds []string
	for _, kind := range slices.Sorted(maps.Keys(f.counts)) {
		all += f.counts[kind]
		kinds = append(kinds, fmt.Sprintf("%d %s", f.counts[kind], kind))
	}
	from := slices.Sorted(maps.Keys(f.from))
	if f.others {
		from = append(from, "others")
	}
	what := "requests were"
	if all == 1 {
		what = "request was"
	}
	said := fmt.Sprintf("%d %s not let in since %s: %s; from %s",
		all, what, f.begun.UTC().Format(time.RFC3339), strings.Join(kinds, ", "), strings.Join(from, ", "))
	f.counts = nil
	return said
}

// keepFailures records failures: soon after the first, then at intervals.
func (ts *Tokens) keepFailures(ctx context.Context) {
	var last time.Time
	for ctx.Err() == nil {
		select {
		case <-ts.failures.wake:
		case <-ctx.Done():
		}
		_ = sleep.For(ctx, max(failureFirst, failureEvery-time.Since(last)))
		last = time.Now()
		ts.recordFailures()
	}
}

func (ts *Tokens) recordFailures() {
	const patience = 2 * time.Second
	said := ts.failures.summary()
	if said == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, err := ts.cfg.Recorder.Append(ctx, lock.Event{Kind: lock.AuthFailed, Cause: said})
	ts.log.Warn("requests were not let in", "what", said, "recorded", err == nil)
}
