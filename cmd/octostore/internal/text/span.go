package text

import (
	"fmt"
	"time"
)

// Span returns milliseconds as people read them: rounded, in at most two units.
func Span(ms int64) string {
	d := max(0, time.Duration(ms)*time.Millisecond)
	if d < time.Second {
		return fmt.Sprintf("%dms", d.Milliseconds())
	}
	const day = 24 * time.Hour
	units := []struct {
		size time.Duration
		name string
	}{{day, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}}
	for i, u := range units[:3] {
		next := units[i+1]
		if r := d.Round(next.size); r >= u.size {
			return twoUnits(int64(r/u.size), u.name, int64(r%u.size/next.size), next.name)
		}
	}
	return fmt.Sprintf("%ds", d.Round(time.Second)/time.Second)
}

// twoUnits leaves out a second unit of zero.
func twoUnits(n int64, unit string, m int64, smaller string) string {
	if m == 0 {
		return fmt.Sprintf("%d%s", n, unit)
	}
	return fmt.Sprintf("%d%s%d%s", n, unit, m, smaller)
}
