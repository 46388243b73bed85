package transport

import (
	"net/http/httptest"
	"testing"
)

// The buffer of a long answer is not kept for other requests: one long list a connection
// would hold its memory for good. An exchange that is kept for reuse forgets its request.
func TestBuffersOfLongAnswersAreNotKept(t *testing.T) {
	s := newServer(t, setup{})
	for _, tt := range []struct {
		size int
		kept bool
	}{{maxKept, true}, {maxKept + 1, false}} {
		x := s.API.begin(httptest.NewRecorder(), httptest.NewRequest("GET", "/healthz", nil))
		x.params.Lock, x.buf = "a", make([]byte, 0, tt.size)
		space := x.workspace
		x.finish(nil)
		if x.r != nil {
			t.Errorf("the exchange keeps its request for others")
		}
		if kept := space.params.Lock == ""; kept != tt.kept {
			t.Errorf("a buffer of %d bytes is kept for others: %v, want %v", tt.size, kept, tt.kept)
		}
	}
}
