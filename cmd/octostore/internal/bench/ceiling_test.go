package bench

import "testing"

// The ceiling is fair only if its answers look to the load like a server's.
func TestTheCeilingAnswersLikeAServer(t *testing.T) {
	for what, answer := range map[string]*canned{"acquire": ceilingAcquired, "release": ceilingReleased, "status": ceilingHeld} {
		if number(answer.body, fieldToken) == 0 {
			t.Errorf("%s has no fencing token", what)
		}
	}
	if len(field(ceilingAcquired.body, fieldLease)) == 0 {
		t.Error("acquire has no lease id")
	}
	if state := field(ceilingHeld.body, fieldState); string(state) != "held" {
		t.Errorf("status says %q", state)
	}
}
