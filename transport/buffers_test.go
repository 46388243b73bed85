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
		x.buf = make([]byte, 0, tt.size)
		x.finish()
		if kept := x.r == nil; kept != tt.kept {
			t.Errorf("a buffer of %d bytes is kept for others: %v, want %v", tt.size, kept, tt.kept)
		}
	}
}
