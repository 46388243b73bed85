package sqlite

import (
	"errors"
	"testing"
)

func TestSystemClocks(t *testing.T) {
	c := clocks{}.orSystem()
	if _, err := c.sinceBoot(); errors.Is(err, errors.ErrUnsupported) {
		t.Skip("this system has no clock that counts from the boot")
	}
	if first, again := c.boot(), c.boot(); first == "" || first != again {
		t.Errorf("boot = %q, then %q", first, again)
	}
	if now := c.read(); now.boot <= 0 || now.wall != now.time.UnixNano() {
		t.Errorf("instant = %+v", now)
	}
}
