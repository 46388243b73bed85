package host

import (
	"errors"
	"testing"
)

func TestClocksOfTheSystem(t *testing.T) {
	c := Clocks{}.OrSystem()
	if _, err := c.SinceBoot(); errors.Is(err, errors.ErrUnsupported) {
		t.Skip("this system has no clock that counts from the boot")
	}
	if first, again := c.Boot(), c.Boot(); first == "" || first != again {
		t.Errorf("boot = %q, then %q", first, again)
	}
	if now := c.Read(); now.Boot <= 0 || now.Wall != now.Time.UnixNano() {
		t.Errorf("instant = %+v", now)
	}
}
