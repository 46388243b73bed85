package hooks

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/octostore/octostore/core"
)

// callsSeen is a tracer of calls; a request whose context is traced has a value in it.
type callsSeen struct{ ended []string }

type tracedRequest struct{}

func (c *callsSeen) Call(ctx context.Context, policy string, hook core.Hook, phase core.Phase) func(verdict, kind string, fuel int64) {
	if ctx.Value(tracedRequest{}) == nil {
		return nil
	}
	return func(verdict, kind string, fuel int64) {
		c.ended = append(c.ended, fmt.Sprintf("%s %s %s: %s %s, fuel %t", policy, hook, phase, verdict, kind, fuel > 0))
	}
}

func TestTracerSeesEveryPolicyCall(t *testing.T) {
	h := newHouse(t)
	h.write("allows.wasm", allows)
	h.write("denies.wasm", denies)
	h.write("traps.wasm", traps)
	tracer := new(callsSeen)
	host, err := Open(context.Background(), Config{
		Manifest: h.manifest(entry("allows"), entry("denies"), entry("traps")), Tracer: tracer,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = host.Close() })
	_, _ = host.Judge(context.Background(), question("a")) // not traced
	_, _ = host.Judge(context.WithValue(context.Background(), tracedRequest{}, true), question("a"))
	want := []string{
		"allows acquire request: allow , fuel true",
		"denies acquire request: deny , fuel true",
		"traps acquire request: error trap, fuel true",
	}
	if !slices.Equal(tracer.ended, want) {
		t.Errorf("%q, want %q", tracer.ended, want)
	}
}
