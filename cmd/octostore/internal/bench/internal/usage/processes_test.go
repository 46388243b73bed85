package usage

import (
	"os"
	"runtime"
	"strings"
	"testing"
)

func TestProcessesAreCountedWithTheirChildren(t *testing.T) {
	const stat = "4711 (post) gres: (x) S 42 4711 4711 0 -1 4194560 1 2 3 4 250 50 30 20 20 0 1 0 99 1000000 7 18446744073709551615"
	p, ok := parseProcess(stat)
	if want := (process{pid: 4711, parent: 42, ticks: 300, childTicks: 50, pages: 7}); !ok || p != want {
		t.Errorf("got %+v, %v; want %+v", p, ok, want)
	}
	for _, damaged := range []string{"", "4711 (x) S 42", strings.Replace(stat, "250", "many", 1), strings.Replace(stat, "42", "-", 1)} {
		if p, ok := parseProcess(damaged); ok {
			t.Errorf("%q was taken for %+v", damaged, p)
		}
	}
}

func TestProcessesOfThisMachine(t *testing.T) {
	u := ReadProcesses(os.Getpid())
	if known := runtime.GOOS == "linux"; (u.CPU > 0) != known || (u.Resident > 0) != known {
		t.Errorf("%s: got %+v", runtime.GOOS, u)
	}
	if u := ReadProcesses(-5); u.CPU != Unknown || u.Resident != Unknown {
		t.Errorf("a process that is not there: %+v", u)
	}
}
