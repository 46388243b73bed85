package bench

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/bench/internal/ceiling"
	"github.com/octostore/octostore/cmd/octostore/internal/bench/internal/wire"
)

func TestCeilingHandsOverInTurn(t *testing.T) {
	server := httptest.NewServer(ceiling.NewHandler())
	t.Cleanup(server.Close)
	target := &target{addr: server.Listener.Addr().String()}
	conns, err := wire.Dial(t.Context(), target.addr, 2, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { wire.Close(conns) })
	holder := newLockClient(target, conns[0], "a", "wait=9s", nil)
	waiter := newLockClient(target, conns[1], "a", "wait=9s", nil)
	if err := holder.acquire(); err != nil {
		t.Fatal(err)
	}
	taken := make(chan error, 1)
	go func() { taken <- waiter.acquire() }()
	lot := &waitRound{target: target, control: conns[0], names: []string{"a"}, sample: &sample{}}
	if err := lot.await(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-taken:
		t.Fatalf("the waiter was answered before the lock was free: %v", err)
	default:
	}
	if err := holder.release(); err != nil {
		t.Fatal(err)
	}
	if err := <-taken; err != nil {
		t.Fatal(err)
	}
}
