package boottime

import (
	"testing"
	"time"
)

func TestBoottimeReadsTheLineOfTheSystem(t *testing.T) {
	for line, want := range map[string]time.Duration{
		"350735.47 234388.90\n": 350735*time.Second + 470*time.Millisecond,
		"0.00 0.00\n":           0,
		"12.05 1.00":            12*time.Second + 50*time.Millisecond,
	} {
		if got, ok := parseUptime([]byte(line)); !ok || got != want {
			t.Errorf("%q is %s, %t; want %s", line, got, ok, want)
		}
	}
	for _, line := range []string{"", "\n", "12", "12.5 3", "-1.00 3.00", "a.00 1.00", "1.xx 2.00", "1.-1 2"} {
		if got, ok := parseUptime([]byte(line)); ok {
			t.Errorf("%q is taken for %s", line, got)
		}
	}
}
