package hooks

import (
	"context"
	"errors"
	"testing"

	"github.com/octostore/octostore/core"
)

func TestLeftClientIsNotRefused(t *testing.T) {
	h := newHouse(t)
	h.write("a.wasm", allows)
	host := h.open(entry("a"))
	host.engine.slots.close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := host.Judge(ctx, question("x")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if n := host.Policies()[0].Errors; n != 0 {
		t.Errorf("%d errors are counted", n)
	}
	for range host.engine.slots.most {
		host.engine.slots.done(false)
	}
}

// A fault of the policy itself is one although the client has left meanwhile.
func TestFaultsCountAlthoughTheClientLeft(t *testing.T) {
	h := newHouse(t)
	h.write("traps.wasm", traps)
	host := h.open(entry("traps"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := host.Judge(ctx, question("x")); !errors.As(err, new(*core.PolicyError)) {
		t.Errorf("got %v", err)
	}
	if n := host.Policies()[0].Errors; n != 1 {
		t.Errorf("%d errors are counted", n)
	}
}
