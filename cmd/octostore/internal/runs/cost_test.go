//go:build linux

package runs_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

// The command starts within 15 ms of the renewal that confirms its lease, and a short command
// costs less than 20 ms of processor time besides its own, guard included. A busy machine takes
// longer, so the best of ten counts, and the cost may be twice as high.
func TestRunStartsAtOnceAndCostsLittle(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIP: every program takes long to start with the race detector")
	}
	p := octotest.Start(t, t.TempDir())
	start, cost := time.Hour, time.Hour
	for i := range 10 {
		name := fmt.Sprintf("cost/%d", i)
		r := prepare(t, "http://"+p.Addr, nil, name, "--", "date", "+%s%N").begin(t)
		r.ends(t, 0)
		began, err := strconv.ParseInt(strings.TrimSpace(r.out.String()), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		export := octotest.Call("GET", p.Addr, "/v1/audit?kind=renewed&prefix="+name).Body
		_, record, _ := strings.Cut(export, `"seq"`) // the opening line has a time, too
		text := octotest.Member(t, record, "time")
		confirmed, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			t.Fatal(err)
		}
		start = min(start, time.Unix(0, began).Sub(confirmed))
		cost = min(cost, r.cmd.ProcessState.UserTime()+r.cmd.ProcessState.SystemTime())
	}
	t.Logf("the command starts %s after the renewal that confirms its lease; the run costs %s", start, cost)
	if start > 15*time.Millisecond || cost > 40*time.Millisecond {
		t.Errorf("the command starts %s after the renewal that confirms its lease; the run costs %s", start, cost)
	}
}
