package limit

import (
	"testing"

	"github.com/octostore/octostore/core/auth"
)

// One account cannot keep all others from watching.
func TestStreamsAreNotAllOfOneAccount(t *testing.T) {
	s := &Streams{Max: 4}
	for n := range 3 {
		if !s.Begin("alice") {
			t.Fatalf("alice has %d of 4 and gets no other", n)
		}
	}
	if s.Begin("alice") {
		t.Error("alice has all streams")
	}
	if !s.Begin("bob") {
		t.Error("bob gets no stream")
	}
	if s.Begin("carol") {
		t.Error("there are more than 4")
	}
	s.End("alice")
	if !s.Begin("alice") || s.InUse() != 4 {
		t.Error("a stream that has ended still counts")
	}
	for range 3 {
		s.End("alice")
	}
	s.End("bob")
	if s.InUse() != 0 || len(s.byAccount) != 0 {
		t.Errorf("all have ended, and it is %d of %v", s.InUse(), s.byAccount)
	}
	for n := range 4 {
		if !s.Begin(auth.LocalAccount) {
			t.Errorf("an open server has one account, which has %d of 4 and gets no other", n)
		}
	}
}
