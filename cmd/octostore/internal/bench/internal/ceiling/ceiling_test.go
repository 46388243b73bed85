package ceiling

import (
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/bench/internal/wire"
)

// The ceiling is fair only if its answers look to the load like a server's.
func TestCeilingAnswersLikeAServer(t *testing.T) {
	for what, answer := range map[string]*canned{"acquire": ceilingAcquired, "release": ceilingReleased, "status": ceilingHeld} {
		if wire.Number(answer.body, wire.FieldToken) == 0 {
			t.Errorf("%s has no fencing token", what)
		}
	}
	if len(wire.Field(ceilingAcquired.body, wire.FieldLease)) == 0 {
		t.Error("acquire has no lease id")
	}
	if state := wire.Field(ceilingHeld.body, wire.FieldState); string(state) != "held" {
		t.Errorf("status says %q", state)
	}
}
