package transport

import (
	"testing"

	"github.com/octostore/octostore/core/auth"
)

// Whoever may watch may not keep all others from it.
func TestNoAccountHasAllSeats(t *testing.T) {
	s := &seats{most: 4}
	for n := range 3 {
		if !s.take("alice") {
			t.Fatalf("alice has %d of 4 and gets no other", n)
		}
	}
	if s.take("alice") {
		t.Error("alice has all seats")
	}
	if !s.take("bob") {
		t.Error("bob finds no seat")
	}
	if s.take("carol") {
		t.Error("there are more than 4")
	}
	s.leave("alice")
	if !s.take("alice") || s.now() != 4 {
		t.Error("a seat that was left stays taken")
	}
	for range 3 {
		s.leave("alice")
	}
	s.leave("bob")
	if s.now() != 0 || len(s.of) != 0 {
		t.Errorf("all have left, and it is %d of %v", s.now(), s.of)
	}
	for n := range 4 {
		if !s.take(auth.LocalAccount) {
			t.Errorf("an open server has one account, which has %d of 4 and gets no other", n)
		}
	}
}
